import math

import numpy as np
import pytest
import torch

from pairlab.diagnostics.alignment import alignment, uniformity


def drawn(seed: int, rows: int = 30, dim: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32))


def unit(rows: torch.Tensor) -> np.ndarray:
    values = rows.numpy().astype(np.float64)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


def test_alignment_is_the_mean_squared_distance_at_unit_length() -> None:
    a, b = drawn(0), drawn(1)
    expected = sum(((x - y) ** 2).sum() for x, y in zip(unit(a), unit(b), strict=True)) / 30
    assert alignment(a, b) == pytest.approx(expected, rel=1e-5)
    assert alignment(a, b) == pytest.approx(alignment(b, a), rel=1e-6)


def test_alignment_of_equal_and_opposite_rows() -> None:
    a = drawn(2)
    assert alignment(a, 5 * a) == pytest.approx(0.0, abs=1e-6)
    assert alignment(a, -a) == pytest.approx(4.0, rel=1e-5)


def test_uniformity_is_the_logarithm_of_the_mean_kernel_of_all_pairs() -> None:
    rows = drawn(3)
    z = unit(rows)
    kernels = [math.exp(-2 * ((z[i] - z[j]) ** 2).sum()) for i in range(30) for j in range(i)]
    assert uniformity(rows) == pytest.approx(math.log(sum(kernels) / len(kernels)), rel=1e-5)


def test_uniformity_by_hand() -> None:
    # Two opposite points: squared distance 4, exp(−2 · 4).
    assert uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])) == pytest.approx(-8.0, rel=1e-5)


def test_collapsed_rows_are_least_uniform_and_scattered_ones_more() -> None:
    assert uniformity(torch.ones(20, 8)) == pytest.approx(0.0, abs=1e-5)
    # Isotropic in many dimensions: all distances are near √2, exp(−2 · 2).
    assert uniformity(drawn(4, rows=400, dim=512)) == pytest.approx(-4.0, abs=0.05)
