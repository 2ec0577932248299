"""Calibration: whether a probability of 0.8 is right in 80 of 100 pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.metrics.shares import Counts, share

BINS = 15
"""Bins of equal width over [0, 1], as Guo et al. have them."""
UNIT = 1 << 24
"""Probabilities are summed as integers of so many parts of 1: what a float32 of 0.5 or more holds exactly. Integers
add up to the same sum in any order, and int64 holds the sums of 10¹¹ pixels."""

_CHUNK = 1 << 16
"""Pixels counted at once: what is computed of them stays in the cache."""
_ROUNDING = 1e-5
"""What a softmax may exceed 1 by."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """One bin of a reliability diagram: pixels whose confidence lies above `low` and at most at `high`."""

    low: float
    high: float
    pixels: int
    confidence: float | None
    """Mean probability of the class predicted; None without pixels."""
    accuracy: float | None
    """Share of pixels that are right."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence and accuracy are apart."""

    ece: float
    """Expected calibration error, in [0, 1]: the mean distance of accuracy and confidence of the bins, by pixels."""
    brier: float
    """Brier score, in [0, 2]: the mean squared distance of the probabilities to the class that is there."""
    bins: tuple[Reliability, ...]


def calibration_counts(
    probabilities: NDArray[np.float32],
    preds: NDArray[np.uint8],
    target: NDArray[np.uint8],
    *,
    ignore_index: int | None = 255,
) -> Counts:
    """Returns per bin of confidence its pixels, those that are right, and sums of confidence and Brier score.

    Args:
        probabilities: float32 (C, height, width), along C ≥ 0 and of sum 1.
        preds: the classes predicted, uint8 (height, width); confidence is their probability.
        target: class indices, uint8 (height, width).
        ignore_index: target value of pixels that do not count, or None.

    Returns:
        int64 (BINS, 4): pixels, hits, Σ confidence and Σ_pixels Σ_c (p_c − y_c)², both in parts of UNIT. Counts of
        parts sum to the counts of the whole, in any order.

    Raises:
        ValueError: shapes differ from this, or a probability is not in [0, 1].

    Example:
        >>> probabilities = np.array([[[0.75, 0.5]], [[0.25, 0.5]]], dtype=np.float32)
        >>> classes = np.zeros((1, 2), dtype=np.uint8)
        >>> counts = calibration_counts(probabilities, classes, np.array([[0, 1]], dtype=np.uint8))
        >>> counts[[7, 11]].tolist() == [[1, 0, UNIT // 2, UNIT // 2], [1, 1, UNIT * 3 // 4, UNIT // 8]]
        True
    """
    if probabilities.ndim != 3 or not probabilities.shape[1:] == preds.shape == target.shape:
        raise ValueError(
            "probabilities must be (C, height, width), preds and target (height, width), found "
            f"{probabilities.shape}, {preds.shape} and {target.shape}"
        )
    of_class = probabilities.reshape(len(probabilities), -1)
    classes, truth = preds.reshape(-1), target.reshape(-1)
    counts = np.zeros((BINS, 4), dtype=np.int64)
    for start in range(0, truth.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        counts += _chunk_counts(of_class[:, part], classes[part], truth[part], ignore_index)
    return counts


def calibration_from_counts(counts: Counts) -> Calibration:
    """Returns expected calibration error, Brier score and the bins; NaN and NaN where no pixel was counted.

    ECE = Σ_m (pixels_m / pixels) · |accuracy_m − confidence_m|.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (arXiv 1706.04599), equation 3; Brier,
    Verification of forecasts expressed in terms of probability, 1950, which sums over all classes.

    Args:
        counts: of `calibration_counts`, summed.

    Raises:
        ValueError: other counts.

    Example:
        >>> counts = np.zeros((BINS, 4), dtype=np.int64)
        >>> counts[11] = 4, 2, 4 * UNIT * 3 // 4, 2 * UNIT
        >>> found = calibration_from_counts(counts)
        >>> found.ece, found.brier, found.bins[11].confidence, found.bins[11].accuracy
        (0.25, 0.5, 0.75, 0.5)
    """
    counts = np.asarray(counts)
    if counts.shape != (BINS, 4) or counts.dtype.kind not in "ui":
        raise ValueError(f"calibration counts must be integers of shape ({BINS}, 4), found {counts.shape}")
    pixels, hits, confidence, brier = counts.T.astype(np.int64)
    total = int(pixels.sum())
    gaps = np.abs(hits - confidence / UNIT)
    accuracies, confidences = share(hits, pixels), share(confidence, pixels) / UNIT
    bins = tuple(
        Reliability(
            low=number / BINS,
            high=(number + 1) / BINS,
            pixels=int(pixels[number]),
            confidence=float(confidences[number]) if pixels[number] else None,
            accuracy=float(accuracies[number]) if pixels[number] else None,
        )
        for number in range(BINS)
    )
    if total == 0:
        return Calibration(float("nan"), float("nan"), bins)
    return Calibration(float(gaps.sum() / total), int(brier.sum()) / UNIT / total, bins)


def _chunk_counts(
    probabilities: NDArray[np.float32], preds: NDArray[np.uint8], target: NDArray[np.uint8], ignore_index: int | None
) -> Counts:
    """Returns the counts of pixels (C, pixels); bincount sums in float64, which is exact below 2^53."""
    if ignore_index is not None and (ignored := target == ignore_index).any():
        probabilities, preds, target = probabilities[:, ~ignored], preds[~ignored], target[~ignored]
    counts = np.zeros((BINS, 4), dtype=np.int64)
    if target.size == 0:
        return counts
    lowest, highest = float(probabilities.min()), float(probabilities.max())
    if not (lowest >= 0 and highest <= 1 + _ROUNDING):  # NaN is neither
        raise ValueError(f"probabilities must lie in [0, 1], found {lowest:g} to {highest:g}")
    last = max(int(preds.max()), int(target.max()))
    if last >= len(probabilities):
        raise ValueError(
            f"preds or target hold {last}; there are probabilities of the classes 0 to {len(probabilities) - 1}"
        )
    pixels = np.arange(target.size)
    confidence = _in_units(np.minimum(probabilities[preds, pixels], 1))
    squares = np.ones(target.size)
    for of_class in probabilities:
        squares += np.square(of_class, dtype=np.float64)
    brier = _in_units(squares - 2 * probabilities[target, pixels].astype(np.float64))
    bins = np.maximum(confidence * BINS - 1, 0) // UNIT
    for column, weights in enumerate((None, preds == target, confidence, brier)):
        counts[:, column] = np.bincount(bins, weights=weights, minlength=BINS)
    return counts


def _in_units(values: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.rint(values.astype(np.float64) * UNIT).astype(np.int64)
