import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from pairlab.events import Saved
from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.experiment.evaluation import Evaluation
from pairlab.experiment.expansion import expand
from pairlab.experiment.jobs import DatasetReference, SegmentJob
from pairlab.experiment.protocols import Labels
from pairlab.metrics import (
    boundary_counts,
    boundary_f1_from_counts,
    calibration_counts,
    calibration_from_counts,
    confusion_counts,
    entropy_share,
    iou_from_counts,
    mean_iou,
)
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Pixels
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.scenes.xbd import open_xbd
from pairlab.segmentation import SegmentationError
from pairlab.segmentation.evaluation import SplitScores, evaluate
from pairlab.segmentation.inference import predict
from pairlab.segmentation.task import Task
from tests.pairlab.scenes.xbd_tree import write_xbd_tree
from tests.pairlab.training_jobs import DATASET, experiment, run, segment_job


def synthetic_task() -> Task:
    assert isinstance(DATASET.config, SyntheticDataset)
    job = segment_job()
    source = SyntheticSource(DATASET.config, draw=job.seed)
    return Task.prepare(job, source, build_index(source).chips(job.chip_size))


def by_brightness(classes: int) -> Callable[[Pixels], Tensor]:
    """Returns logits that go by how bright a pixel is: wrong often, sure at times, and the same everywhere."""

    def logits(images: Pixels) -> Tensor:
        grey = torch.from_numpy(images[:, -1].astype(np.float32)).mean(dim=-1) / 255
        return torch.stack([-20 * (grey - (0.3 + 0.15 * number)) ** 2 for number in range(classes)], dim=1)

    return logits


def always(number: int, classes: int) -> Callable[[Pixels], Tensor]:
    def logits(images: Pixels) -> Tensor:
        found = torch.zeros(len(images), classes, *images.shape[2:4])
        found[:, number] = 3.0
        return found

    return logits


def scored(task: Task, logits: Callable[[Pixels], Tensor], evaluation: Evaluation | None = None) -> SplitScores:
    return evaluate(task, "test", logits, evaluation=evaluation or Evaluation(), show=2)


def test_figures_of_a_split_are_those_of_all_its_pixels_at_once() -> None:
    task = synthetic_task()
    scores = scored(task, by_brightness(3))
    summary = scores.summary()
    scenes = task.splits["test"]
    predicted = list(predict(scenes, task.image, by_brightness(3), Evaluation()))
    preds = np.stack([each.classes for each in predicted])
    target = np.stack([task.target(scene) for scene in scenes])
    counts = confusion_counts(preds, target, num_classes=3)
    assert summary["confusion"] == counts.tolist()
    assert summary["miou"] == mean_iou(counts)
    assert summary["accuracy"] == pytest.approx((preds == target).mean())
    assert list(summary["f1"].values()) == pytest.approx([2 * iou / (1 + iou) for iou in iou_from_counts(counts)])
    probabilities = np.concatenate([each.probabilities for each in predicted], axis=1)
    calibration = calibration_from_counts(
        calibration_counts(probabilities, preds.reshape(-1, 64), target.reshape(-1, 64))
    )
    assert summary["calibration"]["ece"] == calibration.ece
    assert summary["calibration"]["brier"] == calibration.brier
    assert [each["pixels"] for each in summary["calibration"]["bins"]] == [each.pixels for each in calibration.bins]
    boundary = [
        boundary_counts(each.classes, task.target(scene), num_classes=3, tolerance=3)
        for each, scene in zip(predicted, scenes, strict=True)
    ]
    assert summary["boundary_counts"] == np.sum(boundary, axis=0).tolist()
    f1 = boundary_f1_from_counts(np.sum(boundary, axis=0))
    assert list(summary["boundary_f1"].values()) == f1.tolist()
    assert summary["mean_boundary_f1"] == pytest.approx(f1.mean())
    assert scores.boundary_by_scene() == {
        scene.name: each.tolist() for scene, each in zip(scenes, boundary, strict=True)
    }
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_the_order_of_scenes_changes_no_figure() -> None:
    task = synthetic_task()
    turned = replace(task, splits={"test": task.splits["test"][::-1]})
    assert scored(turned, by_brightness(3)).summary() == scored(task, by_brightness(3)).summary()


def test_the_labels_alone_say_which_classes_are_scored() -> None:
    task = synthetic_task()
    unharmed = tuple(scene for scene in task.splits["test"] if not (task.target(scene) == 2).any())
    assert unharmed
    task = replace(task, splits={"test": unharmed})
    summaries = [scored(task, logits).summary() for logits in (always(0, 3), always(2, 3), by_brightness(3))]
    for summary in summaries:
        assert summary["absent"] == ["damaged"]
        assert (summary["iou"]["damaged"], summary["f1"]["damaged"]) == (None, None)
        assert summary["boundary_f1"]["damaged"] is None
        assert summary["miou"] == pytest.approx((summary["iou"]["background"] + summary["iou"]["intact"]) / 2)
    assert np.array(summaries[1]["confusion"])[:, 2].sum() > 0  # predicted, and still without a say
    assert summaries[1]["miou"] == 0.0


def test_a_wider_tolerance_forgives_more() -> None:
    task = synthetic_task()
    found = [
        scored(task, by_brightness(3), Evaluation(boundary_tolerance=tolerance)).summary() for tolerance in (0, 3, 8)
    ]
    assert [each["boundary_tolerance"] for each in found] == [0, 3, 8]
    assert found[0]["mean_boundary_f1"] < found[1]["mean_boundary_f1"] < found[2]["mean_boundary_f1"]
    assert found[0]["confusion"] == found[2]["confusion"]


def xbd_task(folder: Path) -> Task:
    """Returns a task on tiles of 128², a third of the first test image of which is black."""
    write_xbd_tree(folder, seed=2, size=128)
    first = min((folder / "test" / "images").glob("*_post_disaster.png"))
    image = cv2.imread(str(first))
    assert image is not None
    image[:, :44] = 0
    cv2.imwrite(str(first), image)
    dataset = DatasetReference(name="tree", config=XbdDataset(root="r"), fingerprint="1" * 64)
    asked = experiment(
        labels=Labels(scheme="damage_levels", train_chips=4),
        arms={"r": {"baseline": "random_initialisation"}},
        reference="r",
    )
    (job,) = [planned.config for planned in expand(asked, dataset) if isinstance(planned.config, SegmentJob)]
    source = open_xbd(folder, damage_from="minor-damage")
    return Task.prepare(job, source, build_index(source).chips(job.chip_size))


def test_ground_without_data_has_neither_contours_nor_confidence_but_the_published_counts(tmp_path: Path) -> None:
    task = xbd_task(tmp_path / "tree")
    scene = min(task.splits["test"], key=lambda each: each.name)
    target = task.target(scene)
    scores = evaluate(
        replace(task, splits={"test": (scene,)}), "test", by_brightness(5), evaluation=Evaluation(), show=1
    )
    (shown,) = scores.shown
    assert np.array_equal(scores.counts[0], confusion_counts(shown.prediction, target, num_classes=5))
    assert scores.counts[0].sum() == (target != 255).sum()
    assert scores.calibration[:, 0].sum() == (target[:, 44:] != 255).sum()
    seen = target.copy()
    seen[:, :44] = 255
    assert np.array_equal(scores.boundary[0], boundary_counts(shown.prediction, seen, num_classes=5, tolerance=3))


def test_large_tiles_are_predicted_by_windows_and_counted_whole(tmp_path: Path) -> None:
    """What goes by single pixels comes out the same, whatever the window: every pixel is counted once."""
    task = xbd_task(tmp_path / "tree")
    whole = scored(task, by_brightness(5)).summary()
    asked = []

    def logits(images: Pixels) -> Tensor:
        asked.append(images.shape[2:4])
        return by_brightness(5)(images)

    by_windows = scored(task, logits, Evaluation(window=64, overlap=0.25)).summary()
    assert asked == [(64, 64)] * 9 * len(task.splits["test"])
    assert by_windows["confusion"] == whole["confusion"]
    assert by_windows["boundary_counts"] == whole["boundary_counts"]
    assert by_windows["calibration"]["ece"] == pytest.approx(whole["calibration"]["ece"], abs=1e-6)
    assert whole["xview2"] == by_windows["xview2"]


def test_a_split_without_scenes_is_refused() -> None:
    with pytest.raises(SegmentationError, match="the test split has no scene"):
        scored(replace(synthetic_task(), splits={"test": ()}), by_brightness(3))


def test_every_final_prediction_has_a_picture_of_its_uncertainty_beside_it(tmp_path: Path) -> None:
    events = [event for event in run(segment_job(), tmp_path) if isinstance(event, Saved)]
    final = [event for event in events if event.kind == "prediction" and event.details["final"]]
    uncertain = [event for event in events if event.kind == "uncertainty"]
    assert len(uncertain) == len(final) == 12
    for one, other in zip(final, uncertain, strict=True):
        assert other.details == {key: value for key, value in one.details.items() if key != "iou"}
        assert other.step == one.step
        assert other.path.relative_to(tmp_path / "uncertainty") == one.path.relative_to(tmp_path / "predictions")
        picture = cv2.imread(str(other.path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        assert (picture.shape, picture.dtype) == ((64, 64), np.uint8)
        assert picture.std() > 0


def test_uncertainty_is_the_share_of_the_largest_entropy() -> None:
    task = synthetic_task()
    scores = scored(task, by_brightness(3))
    assert len(scores.shown) == 2
    predicted = predict(task.splits["test"], task.image, by_brightness(3), Evaluation())
    for shown, expected in zip(scores.shown, predicted, strict=False):
        share = entropy_share(expected.probabilities)
        assert np.abs(shown.uncertainty / 255 - share).max() <= 0.5 / 255 + 1e-6
    even = scored(task, lambda images: torch.zeros(len(images), 3, *images.shape[2:4]))
    assert (even.shown[0].uncertainty == 255).all()
