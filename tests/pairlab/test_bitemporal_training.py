"""Pretraining and segmentation on bi-temporal datasets: many bands, change masks, class masks, and none."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pairlab.checkpoint import SavedFile
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.datasets import BitemporalDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.jobs import DatasetReference, PretrainJob, SegmentJob
from pairlab.networks import build_network
from pairlab.pretraining import pretrain
from pairlab.scenes.bitemporal import BitemporalSource, open_bitemporal
from pairlab.scenes.index import DatasetIndex
from pairlab.segmentation import SegmentationError, segment
from tests.pairlab.scenes.bitemporal_tree import drawn_image, indexed, write_levir, write_manifest, write_scenes
from tests.pairlab.training_jobs import experiment

SPLITS = {"train": 6, "val": 1, "test": 1}
TRAINING = {"steps": 3, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 3}
Jobs = tuple[PretrainJob, SegmentJob]


def jobs(config: BitemporalDataset, **changes: object) -> Jobs:
    """Returns the pretraining of an arm and the segmentation that follows it."""
    dataset = DatasetReference(name="pairs", config=config, fingerprint="0" * 64)
    arms = {"temporal": {"pairing": {"policy": "temporal", "pairs": 8}}}
    fields: dict[str, object] = {"arms": arms, "reference": "temporal", "chip_size": 32, "pretraining": TRAINING}
    planned = [job.config for job in expand(experiment(**(fields | changes)), dataset)]
    pretraining = next(job for job in planned if isinstance(job, PretrainJob))
    return pretraining, next(job for job in planned if isinstance(job, SegmentJob))


def opened(folder: Path, config: BitemporalDataset) -> tuple[BitemporalSource, DatasetIndex]:
    index = indexed(folder, config)
    return open_bitemporal(folder, config, scenes=index.table.scenes, bands=index.table.bands), index


def trained(job: PretrainJob, source: BitemporalSource, index: DatasetIndex, folder: Path) -> list[Event]:
    folder.mkdir(exist_ok=True)
    events = pretrain(
        job,
        source,
        index.chips(job.chip_size),
        folder=folder,
        resume=None,
        should_stop=lambda: False,
        device=torch.device("cpu"),
    )
    return list(events)


def segmented(
    job: SegmentJob, source: BitemporalSource, index: DatasetIndex, folder: Path, weights: SavedFile | None
) -> Iterator[Event]:
    folder.mkdir(exist_ok=True)
    return segment(
        job,
        source,
        index.chips(job.chip_size),
        folder=folder,
        weights=weights,
        should_stop=lambda: False,
        device=torch.device("cpu"),
    )


def weights_of(events: list[Event]) -> SavedFile:
    saved = next(event for event in events if isinstance(event, Saved) and event.kind == "weights")
    return SavedFile(saved.path, saved.sha256)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
@pytest.mark.parametrize(("bands", "dtype"), [(5, "uint16"), (13, "float32"), (2, "uint8")])
def test_a_network_learns_from_any_number_of_bands(tmp_path: Path, bands: int, dtype: str) -> None:
    rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed: many bands are NOT trained on")
    rng = np.random.default_rng(5)
    folder = tmp_path / "data"
    for split, count in SPLITS.items():
        for part in ("A", "B"):
            (folder / split / part).mkdir(parents=True)
            for number in range(count):
                image = drawn_image(rng, size=64, bands=bands, dtype=dtype)
                if dtype == "float32":
                    image[:9, :9] = np.nan
                shape = {"height": 64, "width": 64, "count": bands, "dtype": dtype}
                with rasterio.open(folder / split / part / f"{split}-{number}.tif", "w", **shape) as file:
                    file.write(np.moveaxis(image, 2, 0))
    source, index = opened(folder, BitemporalDataset(root="data"))
    assert len(index.table.bands) == bands
    assert index.table.unknown.all()  # no change masks
    pretraining, _ = jobs(BitemporalDataset(root="data"), labels={"scheme": "change"})
    events = trained(pretraining, source, index, tmp_path / "run")
    assert isinstance(events[0], Started)
    assert events[0].facts["pool"] == {"chips": 24, "noisy": 0, "clean": 0, "unknown": 24}
    losses = [event.values["loss"] for event in events if isinstance(event, Metrics)]
    assert len(losses) == 3
    assert all(math.isfinite(loss) for loss in losses)
    network = build_network(pretraining.network, seed=1, bands=bands)
    network.load_state_dict(load_file(weights_of(events).path))


def test_change_masks_are_segmented_where_there_are_some(tmp_path: Path) -> None:
    write_levir(tmp_path / "data", seed=1, scenes=SPLITS, size=72)  # no multiple of what encoders take
    (tmp_path / "data/train/label/train_2.png").unlink()
    config = BitemporalDataset(root="data")
    source, index = opened(tmp_path / "data", config)
    _, greedy = jobs(config, labels={"scheme": "change", "train_chips": 21})
    with pytest.raises(SegmentationError, match="asks for 21 labelled chips; the train split has 20 with labels of B"):
        next(segmented(greedy, source, index, tmp_path / "greedy", None))
    pretraining, segmentation = jobs(config, labels={"scheme": "change", "train_chips": 20})
    weights = weights_of(trained(pretraining, source, index, tmp_path / "pretraining"))
    started, *_, last = segmented(segmentation, source, index, tmp_path / "segmentation", weights)
    assert isinstance(started, Started)
    assert sum(started.facts["labelled_pixels"].values()) == 20 * 32 * 32
    assert isinstance(last, Finished)
    assert last.results["classes"] == ["unchanged", "changed"]
    for protocol in ("linear_probe", "fine_tuning"):
        test = last.results["protocols"][protocol]["test"]
        assert np.sum(test["confusion"]) == 72 * 72
        assert 0 <= test["miou"] <= 1


def test_class_masks_are_segmented_and_a_noise_rate_is_met(tmp_path: Path) -> None:
    splits = ("train",) * 6 + ("val", "test")
    rows = write_scenes(tmp_path / "data", seed=2, splits=splits)
    config = BitemporalDataset(
        root="data", manifest=write_manifest(tmp_path / "data", rows), classes=("background", "field", "house")
    )
    source, index = opened(tmp_path / "data", config)
    arms = {"half": {"pairing": {"policy": "temporal", "noise": {"rate": 0.5}, "pairs": 8}}}
    pretraining, segmentation = jobs(
        config, labels={"scheme": "classes", "train_chips": 8}, arms=arms, reference="half"
    )
    events = trained(pretraining, source, index, tmp_path / "pretraining")
    assert isinstance(events[0], Started)
    assert events[0].facts["realised_noise"] == 0.5
    *_, last = segmented(segmentation, source, index, tmp_path / "segmentation", None)
    assert isinstance(last, Finished)
    assert last.results["classes"] == ["background", "field", "house"]
