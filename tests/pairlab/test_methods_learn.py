"""What a method learns is worth something: a linear probe on it beats one on random weights.

With the settings of `benchmarks.method_runs.PRETRAINING`, one seed; docs/methods.md has the figures.
"""

from functools import cache

import pytest

from benchmarks.method_runs import METHODS, RANDOM, Size, probed, transferred

GAIN = 8.0
"""Points of mIoU."""


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_pretrained_network_beats_random_weights_in_the_linear_probe(method: str) -> None:
    assert reached(method) - reached(RANDOM[transferred(method)]) >= GAIN


@cache
def reached(method: str) -> float:
    return probed(method, "temporal, clean", seed=0, size=Size())
