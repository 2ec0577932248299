"""What stands beside a verdict, never instead: a sign test, and a bootstrap over seeds and test scenes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from pairlab.verdict.differences import POINTS
from pairlab.verdict.intervals import Figures


@dataclass(frozen=True, slots=True)
class SignTest:
    """How many seeds went which way."""

    below: int
    above: int
    equal: int
    p_value: float
    """Two-sided, of “below and above are equally likely”; equal ones do not count. 1 where there are none."""


def sign_test(differences: Figures) -> SignTest:
    """Returns the exact sign test of differences of shape (n,); it assumes no distribution and knows no margin."""
    below, above = int((differences < 0).sum()), int((differences > 0).sum())
    p_value = min(1.0, 2 * float(bdtr(min(below, above), below + above, 0.5))) if below + above else 1.0
    return SignTest(below, above, len(differences) - below - above, p_value)


def skewness(differences: Figures) -> float:
    """Returns the third standardised moment of differences of shape (n,), m₃ / m₂^1.5; 0 where all are equal."""
    centred = differences - differences.mean()
    spread = float((centred**2).mean())
    return 0.0 if spread == 0 else float((centred**3).mean() / spread**1.5)


def bootstrap_interval(
    counts: NDArray[np.int64],
    reference: NDArray[np.int64],
    states: Sequence[int],
    *,
    alpha: float,
    draws: int,
    rng: np.random.Generator,
    same_scenes: bool,
) -> Figures:
    """Returns percentile intervals of a mean difference when seeds and scenes are drawn again, (endpoints, 2), points.

    Seeds and scenes are both drawn with replacement, scenes once for all seeds where every seed has the same ones (Owen
    2007, Ann. Appl. Stat. 1). With few seeds they are too narrow: they show what scenes add, and decide nothing.

    Args:
        counts: confusion counts of the arm, shape (seeds, scenes, classes, classes).
        reference: of the reference arm, the same shape.
        states: places of the state classes; without any mIoU is the one endpoint.
        alpha: what lies beyond each bound.
        draws: how often to draw.
        rng: of the draws.
        same_scenes: whether all seeds have the same test scenes.
    """
    if counts.shape != reference.shape:
        raise ValueError(f"counts must have the same shape, found {counts.shape} and {reference.shape}")
    seeds, scenes = counts.shape[:2]
    even = np.full(scenes, 1 / scenes)
    found = []
    for _ in range(draws):
        chosen = rng.integers(seeds, size=seeds)
        weights = np.broadcast_to(rng.multinomial(scenes, even, size=1 if same_scenes else seeds), (seeds, scenes))
        totals = (np.einsum("ns,nscd->ncd", weights, each[chosen]) for each in (counts, reference))
        mine, theirs = (mean_endpoints(total, states) for total in totals)
        found.append(POINTS * (mine - theirs).mean(axis=0))
    return np.asarray(np.nanquantile(np.array(found), [alpha, 1 - alpha], axis=0).T, dtype=np.float64)


def mean_endpoints(totals: NDArray[np.int64], states: Sequence[int]) -> Figures:
    """Returns mIoU and the mean IoU of the state classes of summed counts (seeds, C, C); shape (seeds, endpoints).

    Means over the classes that the labels have; NaN where they have none of them.
    """
    hits = np.einsum("ncc->nc", totals)
    labelled = totals.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        ious = np.where(labelled > 0, hits / (labelled + totals.sum(axis=1) - hits), 0.0)
        groups = [list(range(totals.shape[1])), *([list(states)] if states else [])]
        return np.stack([ious[:, each].sum(axis=1) / (labelled[:, each] > 0).sum(axis=1) for each in groups], axis=1)
