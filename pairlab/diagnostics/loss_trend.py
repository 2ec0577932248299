"""Whether a loss has fallen at all."""

from math import sqrt
from statistics import fmean, pvariance

WINDOW = 10
"""Points that are averaged."""
WINDOWS = 4
"""So many, before anything is said."""
LEAST_FALL = 0.005
"""Of the loss's size: what falls by less has not learned."""
ERRORS = 3.0
"""Standard errors of the difference of two windows that a fall has to exceed."""


class LossTrend:
    """The losses of a run, window by window.

    The newest window is compared with the highest: the losses of methods with a queue or a momentum copy rise before
    they fall.
    """

    def __init__(self) -> None:
        self._window: list[float] = []
        self._means: list[float] = []
        self._variances: list[float] = []

    def add(self, loss: float) -> bool | None:
        """Returns whether the loss has fallen, asked at the end of each window; None while that cannot be said."""
        self._window.append(loss)
        if len(self._window) < WINDOW:
            return None
        self._means.append(fmean(self._window))
        self._variances.append(pvariance(self._window))
        self._window = []
        if len(self._means) < WINDOWS:
            return None
        error = sqrt(2 * fmean(self._variances) / WINDOW)
        needed = max(ERRORS * error, LEAST_FALL * abs(max(self._means)))
        return max(self._means) - self._means[-1] > needed
