"""Counts, and the shares that figures are."""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


def share(part: Counts, whole: Counts) -> Figures:
    """Returns part / whole as float64, NaN where whole is 0."""
    shares = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=shares, where=np.asarray(whole) > 0)
    return shares


def mean_share(shares: Figures) -> float:
    """Returns the mean of the shares that are not NaN; NaN where all are."""
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if known.size else float("nan")
