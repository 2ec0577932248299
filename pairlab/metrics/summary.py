"""The figures of confusion counts by the names of classes, as results hold them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pairlab.metrics.confusion import (
    f1_from_counts,
    iou_from_counts,
    mean_f1,
    mean_iou,
    pixel_accuracy,
    present_classes,
)
from pairlab.metrics.shares import Counts, Figures


def class_figures(counts: Counts, classes: Sequence[str]) -> dict[str, Any]:
    """Returns `absent`, `miou`, `iou`, `macro_f1`, `f1` and `accuracy`; figures of absent classes are None.

    Args:
        counts: confusion counts (C, C), the target along rows.
        classes: their names.

    Example:
        >>> found = class_figures(np.array([[3, 0, 1], [0, 2, 0], [0, 0, 0]]), ("grass", "roof", "water"))
        >>> found["absent"], found["iou"], found["miou"]
        (['water'], {'grass': 0.75, 'roof': 1.0, 'water': None}, 0.875)
    """
    present = present_classes(counts)
    return {
        "absent": [name for name, there in zip(classes, present, strict=True) if not there],
        "miou": finite(mean_iou(counts)),
        "iou": named(classes, np.where(present, iou_from_counts(counts), np.nan)),
        "macro_f1": finite(mean_f1(counts)),
        "f1": named(classes, np.where(present, f1_from_counts(counts), np.nan)),
        "accuracy": finite(pixel_accuracy(counts)),
    }


def named(classes: Sequence[str], figures: Figures) -> dict[str, float | None]:
    """Returns figures by class name, None for NaN."""
    return {name: finite(value) for name, value in zip(classes, figures, strict=True)}


def finite(value: float) -> float | None:
    """Returns the value, None for NaN, which JSON does not have."""
    return float(value) if math.isfinite(value) else None
