"""Boundary F1: whether contours lie where they should, within a tolerance."""

import numpy as np
from numpy.typing import NDArray

from pairlab.metrics.shares import Counts, Figures, share

BOUNDARY_COUNTS = ("predicted_hits", "predicted", "target_hits", "target")
"""The columns of boundary counts."""

_GROUP = 8
"""Classes looked at at once: one bit each of a byte."""

Bits = NDArray[np.uint8]


def boundary_counts(
    preds: NDArray[np.uint8],
    target: NDArray[np.uint8],
    *,
    num_classes: int,
    tolerance: int,
    ignore_index: int | None = 255,
) -> Counts:
    """Returns how many contour pixels of each class lie near one of the other side, int64 (C, 4).

    A contour pixel of a class has a pixel of another class beside it (left, right, above or below). It is a hit where
    a contour pixel of the same class of the other side is at most `tolerance` pixels away (Euclidean). The edge of the
    scene is no contour. Where the target is ignored nobody knows the contours: pixels that touch it make none there,
    and contour pixels within the tolerance of it are not counted, though others may be near them.

    To be called with whole scenes: an edge between two tiles is no contour either. Counts of scenes sum.

    Args:
        preds: class indices of one scene, uint8 (height, width).
        target: the same of the labels.
        num_classes: C, 1 to 256.
        tolerance: in pixels, at least 0.
        ignore_index: target value of pixels that are not known, or None.

    Returns:
        Per class the columns BOUNDARY_COUNTS: hits among predicted contour pixels, all of these, hits among contour
        pixels of the target, all of these.

    Raises:
        ValueError: shapes or dtypes differ from this, or the tolerance is negative.

    Source: Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013, section 3.2, with
    a tolerance in pixels instead of a share of the diagonal.

    Example:
        >>> target = np.zeros((8, 8), dtype=np.uint8)
        >>> target[:, 4:] = 1
        >>> shifted = np.roll(target, 1, axis=1)
        >>> shifted[:, 0] = 0
        >>> boundary_counts(shifted, target, num_classes=2, tolerance=0).tolist()
        [[0, 8, 0, 8], [0, 8, 0, 8]]
        >>> boundary_counts(shifted, target, num_classes=2, tolerance=1).tolist()
        [[8, 8, 8, 8], [8, 8, 8, 8]]
    """
    if preds.shape != target.shape or preds.ndim != 2:
        raise ValueError(f"preds and target must be of one shape (height, width), found {preds.shape}, {target.shape}")
    if preds.dtype != np.uint8 or target.dtype != np.uint8:
        raise ValueError(f"preds and target must hold uint8, found {preds.dtype} and {target.dtype}")
    if tolerance < 0:
        raise ValueError(f"tolerance must be at least 0 pixels, found {tolerance}")
    known = np.ones(target.shape, dtype=np.bool_) if ignore_index is None else target != ignore_index
    counted = known if known.all() else _dilated((~known).view(np.uint8), tolerance) == 0
    sides = [(side, _contours(side, known)) for side in (preds, target)]
    places = [np.flatnonzero(contours & counted) for _, contours in sides]
    counts = np.zeros((num_classes, len(BOUNDARY_COUNTS)), dtype=np.int64)
    for first in range(0, num_classes, _GROUP):
        near = [_dilated(_class_bits(side, contours, first), tolerance) for side, contours in sides]
        for number, other in ((0, 1), (1, 0)):
            classes = sides[number][0].reshape(-1)[places[number]]
            chosen = (classes >= first) & (classes < first + _GROUP)
            at, of_class = places[number][chosen], classes[chosen]
            hit = near[other].reshape(-1)[at] >> (of_class - first) & 1
            last = min(first + _GROUP, num_classes)
            counts[first:last, 2 * number] = np.bincount(of_class[hit > 0], minlength=num_classes)[first:last]
            counts[first:last, 2 * number + 1] = np.bincount(of_class, minlength=num_classes)[first:last]
    return counts


def boundary_f1_from_counts(counts: Counts) -> Figures:
    """Returns the boundary F1 of each class, float64 (C,) in [0, 1].

    Precision is the share of hits among predicted contour pixels, recall that among the target's; F1 = 2 P R / (P + R),
    0 where one side has contours and the other none, NaN for a class without contour on both.

    Args:
        counts: boundary counts (C, 4), summed over scenes.

    Raises:
        ValueError: other counts.

    Example:
        >>> counts = np.array([[8, 8, 4, 8], [0, 0, 0, 5], [0, 0, 0, 0]])
        >>> boundary_f1_from_counts(counts).round(3).tolist()
        [0.667, 0.0, nan]
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != len(BOUNDARY_COUNTS) or counts.dtype.kind not in "ui":
        raise ValueError(f"boundary counts must be integers of shape (C, 4), found {counts.dtype} of {counts.shape}")
    precision, recall = share(counts[:, 0], counts[:, 1]), share(counts[:, 2], counts[:, 3])
    somewhere = (counts[:, 1] > 0) | (counts[:, 3] > 0)
    f1 = np.where(somewhere, 0.0, np.nan)
    both = precision + recall
    np.divide(2 * precision * recall, both, out=f1, where=both > 0)
    return f1


def _contours(classes: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns where a pixel has one of another class beside it, both known."""
    contours = np.zeros(classes.shape, dtype=np.bool_)
    for low, high in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = (classes[low] != classes[high]) & known[low] & known[high]
        contours[low] |= differ
        contours[high] |= differ
    return contours


def _class_bits(classes: NDArray[np.uint8], contours: NDArray[np.bool_], first: int) -> Bits:
    """Returns contour pixels with the bit of their class set, of the _GROUP classes from the first on."""
    table = np.zeros(256, dtype=np.uint8)
    of_group = np.arange(first, min(first + _GROUP, 256))
    table[of_group] = 1 << (of_group - first)
    bits = table[classes]
    bits *= contours
    return bits


def _dilated(bits: Bits, radius: int) -> Bits:
    """Returns at each pixel the bits of all pixels within a disc of the radius.

    The disc is put together from its rows: a row half as wide is part of the wider one, so that the work grows with the
    radius, not with its square.
    """
    found = bits.copy()
    row = bits.copy()
    width = 0
    for across in range(radius, -1, -1):  # rows far from the middle are the narrow ones
        reach = int(np.sqrt(radius * radius - across * across) + 1e-9)
        for step in range(width + 1, reach + 1):
            row[:, step:] |= bits[:, :-step]
            row[:, :-step] |= bits[:, step:]
        width = reach
        if across == 0:
            found |= row
        elif across < len(bits):
            found[across:] |= row[:-across]
            found[:-across] |= row[across:]
    return found
