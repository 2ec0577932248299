"""What a segmentation found on the test scenes, as one seed's score."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from backend.experiments.schemas import SeedScore
from pairlab.metrics import class_figures
from pairlab.verdict import mean


def seed_score(seed: int, job: str, test: Mapping[str, Any]) -> SeedScore:
    """Returns the score of one job and protocol.

    Jobs of older versions took the mean IoU over the classes of labels and prediction, so that one false pixel of an
    absent class cost a whole class. Theirs is read off their confusion counts anew, so that all arms have one rule.

    Args:
        seed: of the job.
        job: its id.
        test: what it says of the test split (pairlab/segmentation/evaluation.py tells the keys).
    """
    figures = test if "absent" in test else {**test, **class_figures(np.array(test["confusion"]), list(test["iou"]))}
    return SeedScore(
        seed=seed,
        job=job,
        miou=figures["miou"],
        iou=figures["iou"],
        macro_f1=figures["macro_f1"],
        f1=figures["f1"],
        accuracy=figures["accuracy"],
        boundary_f1=test.get("mean_boundary_f1"),
        ece=test.get("calibration", {}).get("ece"),
        xview2=test["xview2"]["score"] if "xview2" in test else None,
    )


def mean_of(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the values that there are; None without any."""
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def means_by_class(scores: Iterable[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Returns each class's mean over the seeds whose labels show it."""
    columns: dict[str, list[float | None]] = {}
    for score in scores:
        for label, value in score.items():
            columns.setdefault(label, []).append(value)
    return {label: mean_of(values) for label, values in columns.items()}
