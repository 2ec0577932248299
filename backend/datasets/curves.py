"""Exact ROC, precision and recall of a score against binary labels; ties count as one threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_POINTS = 200

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Curve:
    """Counts of what is called positive, one entry per threshold, falling; shape (thresholds,).

    A threshold calls positive what scores above it. The first is the greatest score, which calls nothing positive; the
    last lies just below the least, which calls all positive.
    """

    thresholds: Float64Array
    true_positives: Int64Array
    false_positives: Int64Array

    @property
    def _shares(self) -> tuple[Float64Array, Float64Array]:
        return self.false_positives / self.false_positives[-1], self.true_positives / self.true_positives[-1]

    def auroc(self) -> float:
        """Returns the area under the ROC, by trapezia: P(positive scores higher) + P(equal) / 2."""
        fpr, tpr = self._shares
        return float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2))

    def average_precision(self) -> float:
        """Returns Σ (R_n − R_{n−1}) P_n over falling thresholds, without interpolation."""
        _, recall = self._shares
        return float(np.sum(np.diff(recall) * self._precision()))

    def roc(self, *, most: int = MOST_POINTS) -> list[Point]:
        """Returns false positive rate, true positive rate and threshold of at most so many points, ends included."""
        fpr, tpr = self._shares
        return _points(fpr, tpr, self.thresholds, most)

    def precision_recall(self, *, most: int = MOST_POINTS) -> list[Point]:
        """Returns recall, precision and threshold of at most so many points, ends included."""
        _, recall = self._shares
        return _points(recall[1:], self._precision(), self.thresholds[1:], most)

    def _precision(self) -> Float64Array:
        """Returns the precision at all thresholds but the first, which calls nothing positive."""
        return np.asarray(self.true_positives[1:] / (self.true_positives[1:] + self.false_positives[1:]))


def curve_of(positives: Float64Array, negatives: Float64Array) -> Curve:
    """Returns the curve of finite scores, at least one of each.

    Args:
        positives: rising scores of what is positive by its label.
        negatives: rising scores of the others.
    """
    values = merged(positives, negatives)[::-1]
    thresholds = values[np.concatenate([[True], np.diff(values) != 0])]
    thresholds = np.append(thresholds, np.nextafter(thresholds[-1], -np.inf))
    return Curve(thresholds, *(above(each, thresholds) for each in (positives, negatives)))


def merged(*rising: Float64Array) -> Float64Array:
    """Returns scores that rise in each part as one rising list."""
    return np.sort(np.concatenate(rising), kind="stable")  # which merges what is sorted already


def above(rising: Float64Array, thresholds: Float64Array) -> Int64Array:
    """Returns how many of the rising scores lie above each threshold."""
    return np.asarray(len(rising) - np.searchsorted(rising, thresholds, side="right"), dtype=np.int64)


def _points(x: Float64Array, y: Float64Array, thresholds: Float64Array, most: int) -> list[Point]:
    """Returns the points of a curve, thinned to even steps along it."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    chosen = np.arange(len(x))
    if len(x) > most:
        chosen = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], most)).clip(0, len(x) - 1))
        chosen[-1] = len(x) - 1
    return list(zip(x[chosen].tolist(), y[chosen].tolist(), thresholds[chosen].tolist(), strict=True))
