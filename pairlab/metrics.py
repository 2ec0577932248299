"""Segmentation metrics as counts: update adds confusion counts, compute reads figures off them.

Counts of parts sum to the counts of the whole, so tiling and batching cannot change a figure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Figures = NDArray[np.float64]

_VALUES = 256
_CHUNK = 1 << 18
"""Pixels counted at once: the intermediate int64 array of bincount stays in the cache."""


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
    joint = _joint_histogram(_as_uint8(preds, "preds"), _as_uint8(target, "target"))
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
    hits, marked = _hits_and_marked(counts)
    return _share(hits, marked - hits)


def f1_from_counts(counts: Counts) -> Figures:
    """Returns the F1 score (Dice) of each class, float64 (C,) in [0, 1].

    F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c); NaN for a class absent from target and prediction.

    Example:
        >>> f1_from_counts(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])).round(3).tolist()
        [0.857, 0.8, nan]
    """
    hits, marked = _hits_and_marked(counts)
    return _share(2 * hits, marked)


def mean_iou(counts: Counts) -> float:
    """Returns the mean IoU over the classes present in target or prediction (macro); NaN if there is none.

    Example:
        >>> round(mean_iou(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])), 3)
        0.708
    """
    iou = iou_from_counts(counts)
    present = iou[~np.isnan(iou)]
    return float(present.mean()) if present.size else float("nan")


def pixel_accuracy(counts: Counts) -> float:
    """Returns the share of counted pixels that are right, in [0, 1]; NaN if none was counted.

    Example:
        >>> round(pixel_accuracy(np.array([[3, 1], [0, 2]])), 3)
        0.833
    """
    hits, _ = _hits_and_marked(counts)
    return float(_share(hits.sum(), np.asarray(counts).sum()))


@dataclass(frozen=True, slots=True)
class XView2Score:
    """The score of the xView2 challenge and its parts, each in [0, 1]."""

    score: float
    """0.3 · localisation_f1 + 0.7 · damage_f1."""
    localisation_f1: float
    """F1 of buildings against everything else."""
    damage_f1: float
    """Harmonic mean of the four damage levels' F1."""
    per_level: tuple[float, float, float, float]
    """F1 of no-damage, minor-damage, major-damage and destroyed; 0 for a level that was never right."""


def xview2_score(counts: Counts) -> XView2Score:
    """Returns the official xView2 score of one prediction that shows both where buildings are and how damaged.

    As the challenge's own scoring program (github.com/DIUx-xView/xView2_scoring) does it: true and false positives and
    false negatives are summed over the whole set first; damage is scored only where the target has a building; a
    building that is missed is a false negative of its level. The harmonic mean takes 1e-6 more of each F1, so that a
    level that was never right pulls it to 0, also one that the set does not show.

    Args:
        counts: confusion counts of the whole set, integers (C, C), target along rows: background, the four damage
            levels in order, and, if C is 6, un-classified buildings, which count for localisation alone.

    Raises:
        ValueError: other counts.

    Example:
        >>> counts = np.zeros((5, 5), dtype=np.int64)
        >>> counts[1:, 1:], counts[0, 0] = np.diag([8, 4, 2, 2]), 48
        >>> counts[4, 4], counts[4, 0] = 1, 1  # half of what was destroyed is missed
        >>> score = xview2_score(counts)
        >>> round(score.localisation_f1, 3), [round(f1, 3) for f1 in score.per_level], round(score.score, 3)
        (0.968, [1.0, 1.0, 1.0, 0.667], 0.913)
    """
    hits, _ = _hits_and_marked(counts)
    if len(hits) not in (5, 6):
        raise ValueError(f"the xView2 score needs background and four damage levels, found {len(hits)} classes")
    buildings = np.asarray(counts, dtype=np.int64)
    found = int(buildings[1:, 1:].sum())
    localisation = _f1(found, int(buildings[0, 1:].sum() + buildings[1:, 0].sum()))
    damage = buildings[1:5]
    levels = [_f1(int(hits[c]), int(damage[:, c].sum() + damage[c - 1].sum() - 2 * hits[c])) for c in range(1, 5)]
    damage_f1 = len(levels) / sum(1 / (f1 + 1e-6) for f1 in levels)
    no, minor, major, destroyed = levels
    return XView2Score(0.3 * localisation + 0.7 * damage_f1, localisation, damage_f1, (no, minor, major, destroyed))


def _f1(hits: int, misses: int) -> float:
    """Returns 2 TP / (2 TP + FP + FN); 0 without a hit, as the challenge counts it."""
    return 2 * hits / (2 * hits + misses) if hits else 0.0


def _joint_histogram(preds: NDArray[np.uint8], target: NDArray[np.uint8]) -> Counts:
    """Returns counts of all 256×256 pairs of values, target along rows: wrong values show without a second pass."""
    joint = np.zeros(_VALUES * _VALUES, dtype=np.int64)
    for start in range(0, target.size, _CHUNK):
        code = target[start : start + _CHUNK].astype(np.uint16)
        code <<= 8
        code |= preds[start : start + _CHUNK]
        joint += np.bincount(code, minlength=joint.size)
    return joint.reshape(_VALUES, _VALUES)


def _as_uint8(values: NDArray[np.integer], name: str) -> NDArray[np.uint8]:
    """Returns the values flat as uint8; raises ValueError for those that do not fit."""
    if values.dtype.kind not in "bui":
        raise ValueError(f"{name} must hold integers, found {values.dtype}")
    flat = values.reshape(-1)
    if flat.dtype.itemsize > 1 or flat.dtype.kind == "i":
        wrong = np.unique(flat[(flat < 0) | (flat >= _VALUES)])
        if wrong.size:
            raise ValueError(f"{name} holds {_listed(wrong)}; class indices are 0 to {_VALUES - 1}")
    return flat.astype(np.uint8, copy=False)


def _listed(values: NDArray[np.integer]) -> str:
    shown = ", ".join(str(value) for value in values[:5].tolist())
    return shown if values.size <= 5 else f"{shown}, …"


def _hits_and_marked(counts: Counts) -> tuple[Counts, Counts]:
    """Returns per class the true positives, and the target pixels plus the predicted pixels."""
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.dtype.kind not in "ui" or (counts < 0).any():
        raise ValueError(
            f"counts must be integers ≥ 0 of shape (C, C), found {counts.dtype} of {counts.shape}"
            + (f" with least {counts.min()}" if counts.size and counts.dtype.kind in "uif" else "")
        )
    return np.diagonal(counts).astype(np.int64), (counts.sum(axis=0) + counts.sum(axis=1)).astype(np.int64)


def _share(part: Counts, whole: Counts) -> Figures:
    """Returns part / whole as float64, NaN where whole is 0."""
    shares = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=shares, where=np.asarray(whole) > 0)
    return shares
