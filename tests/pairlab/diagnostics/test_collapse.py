import math

import numpy as np
import pytest
import torch

from pairlab.diagnostics.collapse import deviation, effective_rank, relative_deviation

ROWS = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 12)).astype(np.float32))


def rows_in(directions: int, *, count: int = 400, dim: int = 32) -> torch.Tensor:
    """Returns rows that fill so many orthogonal directions evenly."""
    rng = np.random.default_rng(directions)
    basis = np.linalg.qr(rng.normal(size=(dim, directions)))[0]
    scores = np.linalg.qr(rng.normal(size=(count, directions)))[0]
    return torch.from_numpy((scores @ basis.T).astype(np.float32))


def test_the_spread_is_that_of_unit_rows_as_a_multiple_of_one_over_root_dim() -> None:
    rows = ROWS.numpy().astype(np.float64)
    unit = rows / np.sqrt((rows**2).sum(axis=1))[:, None]
    mean = unit.mean(axis=0)
    expected = np.mean(np.sqrt(((unit - mean) ** 2).sum(axis=0) / 39)) / (1 / np.sqrt(12))
    assert relative_deviation(ROWS) == pytest.approx(expected, rel=1e-5)


def test_the_raw_spread_is_that_of_the_rows_as_they_are() -> None:
    rows = ROWS.numpy().astype(np.float64)
    expected = np.mean(np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum(axis=0) / 39))
    assert deviation(ROWS) == pytest.approx(expected, rel=1e-5)
    assert deviation(3 * ROWS) == pytest.approx(3 * expected, rel=1e-5)


def test_isotropic_rows_spread_by_one_and_collapsed_ones_by_nothing() -> None:
    isotropic = torch.from_numpy(np.random.default_rng(1).normal(size=(4000, 64)).astype(np.float32))
    assert relative_deviation(isotropic) == pytest.approx(1.0, abs=0.02)
    collapsed = torch.ones(50, 64) + 1e-3 * isotropic[:50]
    assert relative_deviation(collapsed) < 0.002
    assert relative_deviation(torch.ones(50, 64)) == pytest.approx(0.0, abs=1e-5)


def test_lengths_do_not_matter_to_the_spread() -> None:
    lengths = torch.linspace(0.1, 30, 40)[:, None]
    assert relative_deviation(lengths * ROWS) == pytest.approx(relative_deviation(ROWS), rel=1e-5)


def test_the_rank_is_the_exponential_of_the_entropy_of_the_singular_values() -> None:
    singular = np.linalg.svd(ROWS.numpy().astype(np.float64), compute_uv=False)
    shares = [value / sum(singular) + 1e-7 for value in singular]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert effective_rank(ROWS) == pytest.approx(expected, rel=1e-5)
    assert effective_rank(ROWS.T) == pytest.approx(expected, rel=1e-5)


def test_a_hand_computed_rank() -> None:
    # Singular values 3 and 1: p = 3/4, 1/4.
    rows = torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert effective_rank(rows) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)), rel=1e-5)


@pytest.mark.parametrize("directions", [1, 2, 7, 32])
def test_rows_that_fill_some_directions_evenly_have_that_rank(directions: int) -> None:
    assert effective_rank(rows_in(directions)) == pytest.approx(directions, rel=1e-3)


def test_neither_scale_nor_rotation_nor_order_changes_the_rank() -> None:
    rotation = torch.from_numpy(np.linalg.qr(np.random.default_rng(2).normal(size=(12, 12)))[0].astype(np.float32))
    for same in (100 * ROWS, ROWS @ rotation, ROWS.flip(0)):
        assert effective_rank(same) == pytest.approx(effective_rank(ROWS), rel=1e-5)


def test_rows_of_zeros_have_rank_one() -> None:
    assert effective_rank(torch.zeros(8, 4)) == 1.0


def test_rows_in_bfloat16_are_measured_in_float32() -> None:
    rows = ROWS.bfloat16()
    assert relative_deviation(rows) == pytest.approx(relative_deviation(rows.float()), rel=1e-6)
    assert effective_rank(rows) == pytest.approx(effective_rank(rows.float()), rel=1e-6)
