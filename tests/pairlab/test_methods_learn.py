"""What a method learns is worth something: a linear probe on it beats one on random weights.

Holds the methods whose gain was measured; docs/methods.md tells of the others.
"""

import pytest

from benchmarks.method_runs import RANDOM, Size, probed

GAIN = 8.0
"""Points of mIoU."""
PROVEN = ["pixel_infonce"]


@pytest.mark.slow
@pytest.mark.parametrize("method", PROVEN)
def test_a_pretrained_network_beats_random_weights_in_the_linear_probe(method: str) -> None:
    size = Size()
    start = probed(RANDOM, "temporal, clean", seed=0, size=size)
    assert probed(method, "temporal, clean", seed=0, size=size) - start >= GAIN
