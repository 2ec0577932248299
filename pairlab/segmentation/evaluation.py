"""What predictions are worth: counts of every scene of a split, and the figures read off their sums.

A finished segmentation tells `classes` [name] and `protocols` {protocol: {`test`, `validation`, and what the training
tells of itself}}. The file `results.json` holds, beside these two keys, the counts of each test scene, so that scenes
can be sorted and drawn anew: `test_scene_counts` (confusion counts, the target along rows) and
`test_scene_boundary_counts` (columns: hits among predicted contour pixels, all of these, hits among contour pixels of
the target, all of these), each {protocol: {scene: [[count]]}} with a row per class. `test` and `validation` hold, all
shares in [0, 1]:

- `absent`: the classes that no label of the split shows. They have no part in any mean, whatever was predicted, so that
  the mean has one denominator in all arms of a seed; figures of single classes are null for them.
- `miou`, `iou` {class}; `macro_f1`, `f1` {class}; `accuracy` of the labelled pixels.
- `mean_boundary_f1`, `boundary_f1` {class} within `boundary_tolerance` pixels; null for a class without a contour in
  the labels.
- `calibration`: `ece`, `brier` and `bins` [{`low`, `high`, `pixels`, `confidence`, `accuracy`}].
- `confusion` and `boundary_counts`: the sums over the `scenes` scenes.
- `xview2`, of damage levels alone: `score`, `localisation_f1`, `damage_f1`, `f1` {level}.

A mean over nothing is null. Results of earlier versions lack `absent` and all that is not IoU or confusion.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pairlab.experiment.evaluation import Evaluation
from pairlab.experiment.protocols import LabelScheme
from pairlab.metrics import (
    boundary_counts,
    boundary_f1_from_counts,
    calibration_counts,
    calibration_from_counts,
    confusion_counts,
    entropy_share,
    iou_from_counts,
    xview2_score,
)
from pairlab.metrics.shares import Counts, mean_share
from pairlab.metrics.summary import class_figures, finite, named
from pairlab.scenes.scene import IGNORE, BoolArray, Pixels, Scene, UInt8Array
from pairlab.segmentation.errors import SegmentationError
from pairlab.segmentation.inference import Logits, Prediction, predict
from pairlab.segmentation.task import Task


@dataclass(frozen=True, slots=True)
class Shown:
    """The prediction of a scene, kept to be looked at."""

    scene: Scene
    prediction: UInt8Array
    """Class indices, shape (height, width)."""
    uncertainty: UInt8Array
    """Entropy of the class probabilities, 255 where all classes are as probable; shape (height, width)."""
    iou: dict[str, float | None]
    """Of this scene; None where a class is in neither label nor prediction."""


@dataclass(frozen=True, slots=True)
class SplitScores:
    """Counts of all scenes of a split."""

    split: str
    scenes: tuple[Scene, ...]
    counts: list[Counts]
    """Confusion counts of each scene."""
    boundary: list[Counts]
    """Boundary counts of each scene."""
    calibration: Counts
    """Calibration counts of all scenes."""
    shown: list[Shown]
    """Of the first scenes."""
    classes: tuple[str, ...]
    scheme: LabelScheme
    tolerance: int
    """Of boundaries, pixels."""

    def summary(self) -> dict[str, Any]:
        """Returns all figures of the split, as the head of this file tells them."""
        total: Counts = np.sum(self.counts, axis=0)
        boundary: Counts = np.sum(self.boundary, axis=0)
        boundary_f1 = np.where(boundary[:, 3] > 0, boundary_f1_from_counts(boundary), np.nan)
        calibration = calibration_from_counts(self.calibration)
        figures = {
            **class_figures(total, self.classes),
            "mean_boundary_f1": finite(mean_share(boundary_f1)),
            "boundary_f1": named(self.classes, boundary_f1),
            "boundary_tolerance": self.tolerance,
            "calibration": {
                "ece": finite(calibration.ece),
                "brier": finite(calibration.brier),
                "bins": [asdict(each) for each in calibration.bins],
            },
            "confusion": total.tolist(),
            "boundary_counts": boundary.tolist(),
            "scenes": len(self.scenes),
        }
        return {**figures, "xview2": self._xview2(total)} if self.scheme == "damage_levels" else figures

    def counts_by_scene(self) -> dict[str, list[list[int]]]:
        """Returns the confusion counts of each scene by its name."""
        return {scene.name: counts.tolist() for scene, counts in zip(self.scenes, self.counts, strict=True)}

    def boundary_by_scene(self) -> dict[str, list[list[int]]]:
        """Returns the boundary counts of each scene by its name."""
        return {scene.name: counts.tolist() for scene, counts in zip(self.scenes, self.boundary, strict=True)}

    def _xview2(self, total: Counts) -> dict[str, Any]:
        score = xview2_score(total)
        return {
            "score": score.score,
            "localisation_f1": score.localisation_f1,
            "damage_f1": score.damage_f1,
            "f1": dict(zip(self.classes[1:5], score.per_level, strict=True)),
        }


def evaluate(task: Task, split: str, logits: Logits, *, evaluation: Evaluation, show: int) -> SplitScores:
    """Returns the counts of all scenes of a split; predictions are forgotten once they are counted.

    Confusion counts are those of all labelled pixels, as the published scores have them. Contours and confidence are
    judged where the image has data, too.

    Args:
        task: holds scenes and labels.
        split: validation or test.
        logits: of the network.
        evaluation: window and tolerance.
        show: of so many scenes, the first ones, the predictions are kept.

    Raises:
        SegmentationError: the split has no scene.
    """
    scenes, classes = task.splits[split], task.classes
    confusion: list[Counts] = []
    boundary: list[Counts] = []
    calibration: Counts | None = None
    shown: list[Shown] = []
    for scene, prediction, no_data in _predicted(task, scenes, logits, evaluation):
        target = task.target(scene)
        seen = np.where(no_data, np.uint8(IGNORE), target)
        confusion.append(confusion_counts(prediction.classes, target, num_classes=len(classes), ignore_index=IGNORE))
        boundary.append(
            boundary_counts(
                prediction.classes,
                seen,
                num_classes=len(classes),
                tolerance=evaluation.boundary_tolerance,
                ignore_index=IGNORE,
            )
        )
        confident = calibration_counts(prediction.probabilities, prediction.classes, seen, ignore_index=IGNORE)
        calibration = confident if calibration is None else calibration + confident
        if len(shown) < show:
            doubt = np.rint(255 * entropy_share(prediction.probabilities)).astype(np.uint8)
            shown.append(Shown(scene, prediction.classes, doubt, named(classes, iou_from_counts(confusion[-1]))))
    if calibration is None:
        raise SegmentationError(f"the {split} split has no scene: there is nothing to evaluate on")
    return SplitScores(
        split=split,
        scenes=scenes,
        counts=confusion,
        boundary=boundary,
        calibration=calibration,
        shown=shown,
        classes=classes,
        scheme=task.labels.scheme,
        tolerance=evaluation.boundary_tolerance,
    )


def _predicted(
    task: Task, scenes: tuple[Scene, ...], logits: Logits, evaluation: Evaluation
) -> Iterator[tuple[Scene, Prediction, BoolArray]]:
    """Yields each scene with its prediction and where one of its images has no data."""
    no_data: dict[str, BoolArray] = {}

    def read(scene: Scene) -> Pixels:
        image = task.image(scene)
        no_data[scene.name] = np.logical_or.reduce([task.source.no_data(date) for date in image])
        return image

    for scene, prediction in zip(scenes, predict(scenes, read, logits, evaluation), strict=True):
        yield scene, prediction, no_data.pop(scene.name)
