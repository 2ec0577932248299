"""How far two arms differ, and which of five words that allows."""

from pairlab.verdict.differences import (
    LEAST_SEEDS,
    POINTS,
    PairedDifference,
    mean,
    paired_difference,
    sample_deviation,
)

__all__ = ["LEAST_SEEDS", "POINTS", "PairedDifference", "mean", "paired_difference", "sample_deviation"]
