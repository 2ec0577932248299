"""Pairing: what choosing pairs and making their views costs, beside the training that waits for them."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.pairing_preview import drawing_rows, preview_rows
from benchmarks.report import Row, run
from pairlab.events import Metrics
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import DatasetReference, PretrainJob
from pairlab.experiment.methods import PixelInfoNCE
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pretraining import pretrain
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.views.batches import PairBatches
from pairlab.views.geometry import GRID_STRIDE
from pairlab.views.pixels import render_views

SIZE, BATCH, PAIRS = 96, 32, 64
"""Pixels of a chip, pairs in a batch, and pairs in all: after so many steps, their chips are in memory."""
SKIP = PAIRS // BATCH
CPU = torch.device("cpu")
ARMS: dict[str, dict[str, Any]] = {
    "share_of_a_step": {},
    "share_of_a_step_masked": {"control": "masked"},
    "share_of_a_step_change_weight": {"change_weight": {"scale": 1.0}},
}
"""What each row adds to half noisy, half controlled pairs."""


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    return [*share_rows(quick), *drawing_rows(quick), *preview_rows(quick)]


def share_rows(quick: bool) -> list[Row]:
    """Returns which share of a real training step goes into making its batch and rendering its views."""
    dataset = SyntheticDataset(knobs={"size": SIZE, "objects": (7, 12)}, train=3 * PAIRS)
    source = SyntheticSource(dataset)
    index = build_index(source).chips(SIZE)
    rows = []
    for name, changes in ARMS.items():
        making, step = _seconds(_job(dataset, steps=SKIP + (2 if quick else 12), **changes), source, index)
        bar = 0.05 if name == "share_of_a_step" else None
        against = f"resnet18, {SIZE}², {BATCH} pairs, chips in memory: {1000 * making:.0f} ms of {step:.2f} s"
        rows.append(Row(name, making / step, "of a step", against, bar, at_least=False))
    return rows


def _seconds(job: PretrainJob, source: SyntheticSource, index: ChipIndex) -> tuple[float, float]:
    """Returns the median times of making a batch for the network, and of a step of a real pretraining, in turns.

    The first steps, which read the chips and warm PyTorch up, are left out.
    """
    assert isinstance(job.method, PixelInfoNCE)
    batches = PairBatches(
        source,
        pairs_of(job, index),
        job.pretraining,
        seed=job.seed,
        grid=SIZE // GRID_STRIDE,
        points=job.method.points_per_pair,
        change_weight=job.method.change_weight,
    )
    making, training = [], []
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as folder:
        resumed = time.perf_counter()
        for event in pretrain(
            job,
            source,
            index,
            folder=Path(folder),
            resume=None,
            should_stop=lambda: False,
            device=CPU,
            map_moments=0,
        ):
            if isinstance(event, Metrics):
                began = time.perf_counter()
                training.append(began - resumed)
                batch = batches.batch(event.step)
                render_views(batch.chips, batch.views, batch.factors, bands=source.bands, device=CPU)
                making.append(time.perf_counter() - began)
            resumed = time.perf_counter()
    return statistics.median(making[SKIP:]), statistics.median(training[SKIP:])


def _job(
    dataset: SyntheticDataset, *, steps: int, control: str = "rerender", change_weight: object = None
) -> PretrainJob:
    noise = {"rate": 0.5, "control": control}
    experiment = Experiment.model_validate(
        {
            "name": "share",
            "dataset": "share",
            "chip_size": SIZE,
            "method": {"name": "pixel_infonce", "change_weight": change_weight},
            "network": {"encoder": "tu-resnet18"},
            "pretraining": {"steps": steps, "batch_size": BATCH, "checkpoint_every": steps},
            "arms": {
                "random": {"baseline": "random_initialisation"},
                "half": {"pairing": {"policy": "temporal", "noise": noise, "pairs": PAIRS}},
            },
            "reference": "half",
            "seeds": [0],
        }
    )
    reference = DatasetReference(name="share", config=dataset, fingerprint="0" * 64)
    return next(job.config for job in expand(experiment, reference) if isinstance(job.config, PretrainJob))


if __name__ == "__main__":
    run("pairing", measure)
