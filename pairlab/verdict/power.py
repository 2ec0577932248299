"""How likely n seeds are to show *robust*, and how many it takes."""

from collections.abc import Sequence
from math import lgamma, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr, stdtrit

POWER = 0.8
"""Probability of *robust*, for an arm without any difference, that a number of seeds is planned for."""
DEVIATION_CONFIDENCE = 0.8
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


def tost_power(n: int, deviation: float, *, margin: float, alpha: float = 0.05, difference: float = 0.0) -> float:
    """Returns the probability that two one-sided t tests, each at alpha, show that the difference lies inside ±margin.

    The interval mean ± t·s/√n lies inside (−δ, +δ) for s < δ√n/t. Given s the mean is normal, and (n − 1)s²/σ² is χ²
    with n − 1 degrees of freedom; the integral over s is exact up to its quadrature (Owen 1965, Biometrika 52;
    Phillips 1990, J. Pharmacokinet. Biopharm. 18).

    Args:
        n: seeds, at least 2.
        deviation: σ of a seed's difference, points; positive.
        margin: δ, points.
        alpha: level of each test.
        difference: the true one, points.
    """
    if n < 2 or deviation <= 0:
        raise ValueError(f"power needs n of at least 2 and a positive deviation, got n {n} and deviation {deviation:g}")
    freedom = n - 1
    quantile = stdtrit(freedom, 1 - alpha)
    error = deviation / sqrt(n)
    most = min(margin / (quantile * error), 1 + 12 / sqrt(2 * freedom))  # of s/σ; χ's tail beyond holds nothing
    ratio = most / 2 * (_NODES + 1)
    inside = ndtr((margin - difference) / error - quantile * ratio) - ndtr(
        (-margin - difference) / error + quantile * ratio
    )
    return float(np.clip(np.sum(_WEIGHTS * np.maximum(inside, 0.0) * _density(ratio, freedom)) * most / 2, 0.0, 1.0))


def upper_deviation(deviation: float, n: int, *, confidence: float = DEVIATION_CONFIDENCE) -> float:
    """Returns the one-sided upper confidence bound of σ: s·√((n − 1) / χ²_{1 − confidence, n − 1})."""
    if n < 2:
        raise ValueError(f"a deviation needs at least 2 values, got {n}")
    return deviation * sqrt((n - 1) / float(chdtri(n - 1, confidence)))


def seeds_needed(
    looks: Sequence[int], deviation: float, *, margin: float, alpha: float, power: float = POWER
) -> int | None:
    """Returns the smallest of the looks at which an arm without any difference is shown robust with that power.

    Args:
        looks: numbers of seeds, rising.
        deviation: σ of a seed's difference, points; 0 needs no more than the first look.
        margin: δ, points.
        alpha: level of each one-sided test at a look.
        power: what is asked for.
    """
    for look in looks:
        if deviation == 0 or tost_power(look, deviation, margin=margin, alpha=alpha) >= power:
            return look
    return None


def _density(ratio: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Returns the density of s/σ, a χ variable divided by √freedom."""
    constant = log(2) + freedom / 2 * log(freedom / 2) - lgamma(freedom / 2)
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(constant + (freedom - 1) * np.log(ratio) - freedom / 2 * ratio**2), dtype=np.float64)
