"""What a method learns is worth something: a linear probe on it beats one on random weights.

Holds the methods whose gain was measured; docs/methods.md tells of the others.
"""

from functools import cache

import pytest

from benchmarks.method_runs import RANDOM, Size, probed, transferred

GAIN = 8.0
"""Points of mIoU."""
PROVEN = ["pixel_infonce", "densecl", "pixpro", "vicregl", "simclr", "moco", "vicreg"]


@pytest.mark.slow
@pytest.mark.parametrize("method", PROVEN)
def test_a_pretrained_network_beats_random_weights_in_the_linear_probe(method: str) -> None:
    assert reached(method) - reached(RANDOM[transferred(method)]) >= GAIN


@cache
def reached(method: str) -> float:
    return probed(method, "temporal, clean", seed=0, size=Size())
