"""What needs both dates is read from both dates, of every kind of dataset."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pairlab.events import Finished, Started
from pairlab.experiment.datasets import BitemporalDataset, XbdDataset
from pairlab.experiment.expansion import expand
from pairlab.experiment.jobs import DatasetReference, SegmentJob
from pairlab.scenes.bitemporal import open_bitemporal
from pairlab.scenes.index import DatasetIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import SceneSource
from pairlab.scenes.xbd import open_xbd
from pairlab.segmentation import segment
from tests.pairlab.scenes.bitemporal_tree import indexed
from tests.pairlab.scenes.xbd_tree import write_xbd_tree
from tests.pairlab.training_jobs import experiment

SIZE = 64
BLOCK = 16
RANDOM = {"random": {"baseline": "random_initialisation"}}


def write_replaced_blocks(folder: Path) -> None:
    """Writes pairs of coloured blocks, a third of them of another colour afterwards: no image tells which."""
    rng = np.random.default_rng(3)
    for split, count in {"train": 12, "val": 1, "test": 4}.items():
        for part in ("A", "B", "label"):
            (folder / split / part).mkdir(parents=True)
        for number in range(count):
            before, after = rng.integers(0, 256, (2, SIZE // BLOCK, SIZE // BLOCK, 3), dtype=np.uint8)
            changed = rng.random((SIZE // BLOCK, SIZE // BLOCK)) < 1 / 3
            after = np.where(changed[..., None], after, before)
            images = {"A": before, "B": after, "label": 255 * changed.astype(np.uint8)}
            for part, image in images.items():
                whole = image.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
                cv2.imwrite(str(folder / split / part / f"{split}-{number}.png"), whole)


def segmented(
    config: BitemporalDataset | XbdDataset,
    source: SceneSource,
    index: DatasetIndex,
    folder: Path,
    **changes: Any,  # noqa: ANN401
) -> tuple[Started, dict[str, Any]]:
    dataset = DatasetReference(name="pairs", config=config, fingerprint="0" * 64)
    asked = experiment(arms=RANDOM, reference="random", **changes)
    (job,) = [planned.config for planned in expand(asked, dataset) if isinstance(planned.config, SegmentJob)]
    started, *_, last = segment(
        job,
        source,
        index.chips(job.chip_size),
        folder=folder,
        weights=None,
        should_stop=lambda: False,
        device=torch.device("cpu"),
    )
    assert isinstance(started, Started)
    assert isinstance(last, Finished)
    return started, last.results["protocols"]


def test_change_is_read_from_both_dates_and_not_from_one(tmp_path: Path) -> None:
    write_replaced_blocks(tmp_path / "data")
    config = BitemporalDataset(root="data")
    index = indexed(tmp_path / "data", config)
    source = open_bitemporal(tmp_path / "data", config, scenes=index.table.scenes, bands=index.table.bands)

    def iou(seen: str, name: str) -> float:
        labels = {"scheme": "change", "train_share": 1.0, "input": seen}
        protocols = [{"name": name, "steps": 60, "evaluate_every": 60, "batch_size": 8, "learning_rate": 0.01}]
        started, results = segmented(
            config, source, index, tmp_path, labels=labels, protocols=protocols, transfer="encoder"
        )
        assert started.facts["labelled_scenes"] == 12
        assert started.facts["dates"] == (["B"] if seen == "post" else ["A", "B"])
        return float(results[name]["test"]["iou"]["changed"])

    alone = iou("post", "linear_probe")
    assert alone < 0.3
    assert iou("difference", "linear_probe") > alone + 0.3
    assert iou("difference", "small_decoder") > alone + 0.3
    assert iou("difference", "fine_tuning") > alone + 0.1


@pytest.mark.parametrize(
    ("labels", "dates"),
    [
        ({"scheme": "damage_levels", "input": "concatenation", "train_scenes": 1}, ["pre", "post"]),
        ({"scheme": "building", "input": "pre", "train_chips": 2}, ["pre"]),
    ],
)
def test_tiles_of_xbd_are_segmented_from_other_dates(tmp_path: Path, labels: dict[str, Any], dates: list[str]) -> None:
    write_xbd_tree(tmp_path / "tree", seed=2, size=64)
    source = open_xbd(tmp_path / "tree", damage_from="minor-damage")
    protocols = [
        {"name": name, "steps": 2, "evaluate_every": 2, "batch_size": 2}
        for name in ("linear_probe", "small_decoder", "fine_tuning")
    ]
    started, results = segmented(
        XbdDataset(root="r"), source, build_index(source), tmp_path, labels=labels, protocols=protocols
    )
    assert started.facts["dates"] == dates
    assert list(results) == ["linear_probe", "small_decoder", "fine_tuning"]
    assert all(np.sum(each["test"]["confusion"]) > 0 for each in results.values())
