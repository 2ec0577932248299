"""How far two arms differ: seed by seed, because runs of one seed share their scenes, labels and initial weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import stdev

POINTS = 100.0
"""mIoU points in a mIoU of 1."""
LEAST_SEEDS = 5
"""Below so many seeds there is no verdict, whatever the interval."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """An arm's scores minus the reference's, over the seeds that both have."""

    seeds: tuple[int, ...]
    """In rising order."""
    values: tuple[float, ...]
    """Difference of each seed, mIoU points (−100 to 100)."""

    @property
    def mean(self) -> float:
        """Mean difference, mIoU points."""
        return mean(self.values)


def paired_difference(scores: Mapping[int, float], reference: Mapping[int, float]) -> PairedDifference | None:
    """Returns the differences in mIoU points, or None where no seed has both scores.

    Δ_s = 100 · (score_s − reference_s) for every seed s of both; a seed of one arm alone tells no difference.

    Args:
        scores: seed → mIoU in [0, 1] of the arm.
        reference: seed → mIoU in [0, 1] of the reference arm.
    """
    seeds = tuple(sorted(scores.keys() & reference.keys()))
    if not seeds:
        return None
    return PairedDifference(seeds, tuple(POINTS * (scores[seed] - reference[seed]) for seed in seeds))


def mean(values: Sequence[float]) -> float:
    """Returns the arithmetic mean of at least one value."""
    return fsum(values) / len(values)


def sample_deviation(values: Sequence[float]) -> float | None:
    """Returns the sample standard deviation (n − 1 in the denominator), or None below two values."""
    return stdev(values) if len(values) > 1 else None
