"""Confusion counts, and the figures that are read off them: IoU, F1 and accuracy."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pairlab.metrics.shares import Counts, Figures, mean_share, share

_VALUES = 256
_CHUNK = 1 << 18
"""Pixels counted at once: the intermediate int64 array of bincount stays in the cache."""
_FEW = 1 << 16
"""Pixels up to which a table of the classes costs less than a histogram of all 65,536 pairs of values."""


def confusion_counts(
    preds: NDArray[np.integer], target: NDArray[np.integer], *, num_classes: int, ignore_index: int | None = 255
) -> Counts:
    """Returns how often each class was predicted where each class was true, int64 (C, C).

    Args:
        preds: class indices, integers of any shape; values below ignored pixels do not matter. uint8 is fastest.
        target: class indices of the same shape.
        num_classes: C, 1 to 256.
        ignore_index: target value of pixels that do not count, 0 to 255, or None.

    Returns:
        Counts with the target along rows and the prediction along columns.

    Raises:
        ValueError: shapes or dtypes differ from this, or a value is no class; the message names it.

    Example:
        >>> target = np.array([0, 0, 1, 255], dtype=np.uint8)
        >>> confusion_counts(np.array([0, 1, 1, 1], dtype=np.uint8), target, num_classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    if preds.shape != target.shape:
        raise ValueError(f"preds and target must have the same shape, found {preds.shape} and {target.shape}")
    if not 1 <= num_classes <= _VALUES:
        raise ValueError(f"num_classes must be 1 to {_VALUES}, found {num_classes}")
    if ignore_index is not None and not 0 <= ignore_index < _VALUES:
        raise ValueError(f"ignore_index must be 0 to {_VALUES - 1} or None, found {ignore_index}")
    preds, target = _as_uint8(preds, "preds"), _as_uint8(target, "target")
    if target.size <= _FEW and (few := _few_counts(preds, target, num_classes, ignore_index)) is not None:
        return few
    joint = _joint_histogram(preds, target)
    if ignore_index is not None:
        joint[ignore_index] = 0
    for name, histogram in (("target", joint.sum(axis=1)), ("preds", joint.sum(axis=0))):
        wrong = np.flatnonzero(histogram[num_classes:]) + num_classes
        if wrong.size:
            ignored = f" and {ignore_index} (ignored)" if name == "target" and ignore_index is not None else ""
            raise ValueError(f"{name} holds {_listed(wrong)}; allowed are the classes 0 to {num_classes - 1}{ignored}")
    return joint[:num_classes, :num_classes].copy()


def iou_from_counts(counts: Counts) -> Figures:
    """Returns the intersection over union of each class, float64 (C,) in [0, 1].

    IoU_c = TP_c / (TP_c + FP_c + FN_c); NaN for a class absent from target and prediction.

    Example:
        >>> iou_from_counts(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])).round(3).tolist()
        [0.75, 0.667, nan]
    """
    hits, marked = hits_and_marked(counts)
    return share(hits, marked - hits)


def f1_from_counts(counts: Counts) -> Figures:
    """Returns the F1 score (Dice) of each class, float64 (C,) in [0, 1].

    F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c); NaN for a class absent from target and prediction.

    Example:
        >>> f1_from_counts(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])).round(3).tolist()
        [0.857, 0.8, nan]
    """
    hits, marked = hits_and_marked(counts)
    return share(2 * hits, marked)


def present_classes(counts: Counts) -> NDArray[np.bool_]:
    """Returns which classes the target shows, bool (C,).

    They are a property of the labels alone: whatever is predicted, the mean over them has one and the same denominator.

    Example:
        >>> present_classes(np.array([[3, 1, 0], [0, 2, 4], [0, 0, 0]])).tolist()
        [True, True, False]
    """
    hits_and_marked(counts)
    return np.asarray(np.asarray(counts).sum(axis=1) > 0)


def mean_iou(counts: Counts) -> float:
    """Returns the mean IoU over the classes that the target shows (macro); NaN if there is none.

    A class absent from the target is left out, also where it was predicted: its pixels are false negatives of the
    classes that are there.

    Example:
        >>> round(mean_iou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])), 3)
        0.708
        >>> round(mean_iou(np.array([[3, 0, 1], [0, 2, 0], [0, 0, 0]])), 3)  # the third class is predicted once
        0.875
    """
    return mean_share(iou_from_counts(counts)[present_classes(counts)])


def mean_f1(counts: Counts) -> float:
    """Returns the mean F1 over the classes that the target shows (macro); NaN if there is none.

    Example:
        >>> round(mean_f1(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])), 3)
        0.829
    """
    return mean_share(f1_from_counts(counts)[present_classes(counts)])


def pixel_accuracy(counts: Counts) -> float:
    """Returns the share of counted pixels that are right, in [0, 1]; NaN if none was counted.

    Example:
        >>> round(pixel_accuracy(np.array([[3, 1], [0, 2]])), 3)
        0.833
    """
    hits, _ = hits_and_marked(counts)
    return float(share(hits.sum(), np.asarray(counts).sum()))


def hits_and_marked(counts: Counts) -> tuple[Counts, Counts]:
    """Returns per class the true positives, and the target pixels plus the predicted pixels; both int64 (C,).

    Raises:
        ValueError: these are no counts.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.dtype.kind not in "ui" or (counts < 0).any():
        raise ValueError(
            f"counts must be integers ≥ 0 of shape (C, C), found {counts.dtype} of {counts.shape}"
            + (f" with least {counts.min()}" if counts.size and counts.dtype.kind in "uif" else "")
        )
    return np.diagonal(counts).astype(np.int64), (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.int64)


def _joint_histogram(preds: NDArray[np.uint8], target: NDArray[np.uint8]) -> Counts:
    """Returns counts of all 256×256 pairs of values, target along rows: wrong values show without a second pass."""
    joint = np.zeros(_VALUES * _VALUES, dtype=np.int64)
    for start in range(0, target.size, _CHUNK):
        code = target[start : start + _CHUNK].astype(np.uint16)
        code <<= 8
        code |= preds[start : start + _CHUNK]
        joint += np.bincount(code, minlength=joint.size)
    return joint.reshape(_VALUES, _VALUES)


def _few_counts(
    preds: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int, ignore_index: int | None
) -> Counts | None:
    """Returns the counts through a table of the classes; None where a value is no class."""
    rows, columns = _tables(num_classes, ignore_index)
    width = num_classes + 2
    joint = np.bincount(rows[target] + columns[preds], minlength=width * width).reshape(width, width)
    if joint[num_classes + 1].any() or joint[:num_classes, num_classes + 1].any():
        return None
    return joint[:num_classes, :num_classes].copy()


@lru_cache(maxsize=16)
def _tables(num_classes: int, ignore_index: int | None) -> tuple[Counts, Counts]:
    """Returns the row of each target value, times the width, and the column of each predicted one.

    Behind the classes come what is ignored and what is wrong.
    """
    columns = np.full(_VALUES, num_classes + 1, dtype=np.int64)
    columns[:num_classes] = np.arange(num_classes)
    rows = columns.copy()
    if ignore_index is not None:
        rows[ignore_index] = num_classes
    return rows * (num_classes + 2), columns


def _as_uint8(values: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
    """Returns the values flat as uint8; raises ValueError for those that do not fit."""
    if values.dtype.kind not in "bui":
        raise ValueError(f"{name} must hold integers, found {values.dtype}")
    flat = values.reshape(-1)
    if (
        flat.size
        and (flat.dtype.itemsize > 1 or flat.dtype.kind == "i")
        and not 0 <= flat.min() <= flat.max() < _VALUES
    ):
        wrong = np.unique(flat[(flat < 0) | (flat >= _VALUES)])
        raise ValueError(f"{name} holds {_listed(wrong)}; class indices are 0 to {_VALUES - 1}")
    return flat.astype(np.uint8, copy=False)


def _listed(values: NDArray[np.integer]) -> str:
    shown = ", ".join(str(value) for value in values[:5].tolist())
    return shown if values.size <= 5 else f"{shown}, …"
