"""Student's t for paired differences: one-sided p-values against a border, and intervals, of many samples at once."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Means of n paired differences and their standard errors; NaN where there is no such mean."""

    mean: Figures
    error: Figures
    """Standard error of the mean: sample deviation / √n."""
    n: int

    @classmethod
    def of(cls, differences: Figures) -> Self:
        """Returns the sample of differences of shape (..., n), n ≥ 2; a NaN among them makes its mean unknown."""
        n = differences.shape[-1]
        if n < 2:
            raise ValueError(f"an interval needs at least 2 differences, got {n}")
        return cls(differences.mean(axis=-1), differences.std(axis=-1, ddof=1) / np.sqrt(n), n)

    def p_above(self, border: float) -> Figures:
        """Returns the p-values of “the true mean is at most `border`”: small ones show that it lies above."""
        return _upper_tail(self.mean - border, self.error, self.n - 1)

    def p_below(self, border: float) -> Figures:
        """Returns the p-values of “the true mean is at least `border`”: small ones show that it lies below."""
        return _upper_tail(border - self.mean, self.error, self.n - 1)

    def interval(self, alpha: float) -> tuple[Figures, Figures]:
        """Returns the bounds of the 1 − 2·alpha interval: each is missed with probability alpha."""
        reach = stdtrit(self.n - 1, 1 - alpha) * self.error
        return self.mean - reach, self.mean + reach


def _upper_tail(distance: Figures, error: Figures, freedom: int) -> Figures:
    """Returns P(T ≥ distance / error); where all differences are equal it is 0 beyond the border and 1 otherwise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = np.asarray(stdtr(freedom, -distance / error), dtype=np.float64)
    tail = np.where(error > 0, tail, np.where(distance > 0, 0.0, 1.0))
    return np.where(np.isnan(distance), 1.0, tail)
