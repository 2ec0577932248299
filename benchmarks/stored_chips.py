"""Chips of tiles as xBD has them, out of a real chip store."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.full_xbd import write_full_xbd
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.pair import PairList
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.stored_images import StoredSource
from pairlab.scenes.xbd import open_xbd
from pairlab.views.chips import ChipReader

KEY = "benchmark"
BUDGET = 4 * 2**30


@dataclass(frozen=True, slots=True)
class StoredChips:
    """Where tiles and their store lie; each process opens them anew."""

    folder: Path

    def write(self, *, tiles: int) -> None:
        """Writes tiles and store."""
        write_full_xbd(self._tiles, tiles=tiles)
        source = open_xbd(self._tiles, damage_from="minor-damage")
        with self._store.part(KEY, number=0) as part:
            for scene in source.scenes:
                for acquisition, files in scene.files.items():
                    part.add(
                        scene.name, acquisition, source.image(scene, acquisition), source=self._tiles / files.image
                    )

    def open(self, size: int) -> tuple[StoredSource, ChipIndex]:
        """Returns the dataset, its images out of the store, and its chips of so many pixels a side."""
        source = open_xbd(self._tiles, damage_from="minor-damage")
        chips = build_index(source).chips(size)
        return StoredSource(source, self._store.open(KEY), folder=self._tiles), chips

    def images(self, job: PretrainJob) -> NDArray[np.uint8]:
        """Returns the chips that a job's pairs show, uint8 (chips, size, size, 3)."""
        source, index = self.open(job.chip_size)
        pairs = pairs_of(job, index)
        chips = ChipReader(source, pairs).chips(np.arange(len(pairs)))[: len(pairs)]
        assert chips.dtype == np.uint8
        return chips.astype(np.uint8, copy=False)

    @property
    def _tiles(self) -> Path:
        return self.folder / "tiles"

    @property
    def _store(self) -> ChipStore:
        return ChipStore(self.folder / "store", budget_bytes=BUDGET, keep_free_bytes=0)


def pairs_and_source(chips: StoredChips, job: PretrainJob) -> tuple[PairList, StoredSource]:
    """Returns what a job's batches are made of."""
    source, index = chips.open(job.chip_size)
    return pairs_of(job, index), source


def speed_job(
    method: str,
    *,
    size: int,
    batch: int,
    pairs: int,
    steps: int,
    encoder: str,
    decoder_channels: int = 256,
    parts: int = 1,
) -> PretrainJob:
    """Returns a pretraining by a method of each image with itself, on all dates."""
    experiment = Experiment.model_validate(
        {
            "name": "speed",
            "dataset": "speed",
            "chip_size": size,
            "method": {"name": method},
            "network": {"encoder": encoder, "decoder": "fpn", "decoder_channels": decoder_channels},
            "pretraining": {"steps": steps, "batch_size": batch, "checkpoint_every": steps, "parts": parts},
            "arms": {"same": {"pairing": {"policy": "same_image", "pairs": pairs}}},
            "reference": "same",
            "seeds": [0],
        }
    )
    reference = DatasetReference(name="speed", config=XbdDataset(root="speed", folder="tiles"), fingerprint="0" * 64)
    return next(job.config for job in expand(experiment, reference) if isinstance(job.config, PretrainJob))
