"""What a method learns is worth something: a linear probe on it beats one on random weights.

With the settings of `benchmarks.method_runs.PRETRAINING`, one seed and one thread: sums in another order end elsewhere.
Without BYOL, whose gain such an order can undo; docs/methods.md has the figures.
"""

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from benchmarks.method_runs import METHODS, RANDOM, Size, probed, transferred

GAIN = 8.0
"""Points of mIoU."""
PROVEN = [method for method in METHODS if method != "byol"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("method", PROVEN)
def test_a_pretrained_network_beats_random_weights_in_the_linear_probe(method: str) -> None:
    assert reached(method) - reached(RANDOM[transferred(method)]) >= GAIN


@cache
def reached(method: str) -> float:
    return probed(method, "temporal, clean", seed=0, size=Size())
