import doctest
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import pairlab.losses.tolerant_infonce as module
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.pixel_infonce import gather_points, pixel_infonce
from pairlab.losses.tolerant_infonce import tolerant_infonce

PAIRS, DIM, SIDE, POINTS = 3, 4, 3, 5
CELLS = SIDE * SIDE


def grids(seed: int = 0, *, pairs: int = PAIRS) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, pairs, DIM, SIDE, SIDE, generator=generator)
    return first, second


def points(seed: int = 0, *, near: float = 0.3, valid: float = 0.8, pairs: int = PAIRS) -> dict[str, Tensor]:
    """Random cells, positives and valid points; no point has the cell of another of its pair."""
    generator = torch.Generator().manual_seed(seed)
    shape = (pairs, POINTS)
    cells = [torch.rand(pairs, CELLS, generator=generator).argsort(dim=1)[:, :POINTS] for _ in range(2)]
    masks = [torch.rand(*shape, CELLS, generator=generator) < near for _ in range(2)]
    for mask, own in zip(masks, cells, strict=True):
        mask.scatter_(2, own[:, :, None], True)
    return {
        "cells_a": cells[0],
        "cells_b": cells[1],
        "positives_a": masks[0],
        "positives_b": masks[1],
        "valid": torch.rand(*shape, generator=generator) < valid,
    }


def transcription(
    grid_a: Tensor, grid_b: Tensor, drawn: dict[str, Tensor], temperature: float, weights: Tensor | None = None
) -> Tensor:
    """The equation, term by term."""
    a, b = (grid.flatten(2).double() for grid in (grid_a, grid_b))
    valid = drawn["valid"].tolist()
    everyone = [(pair, point) for pair in range(len(valid)) for point in range(POINTS) if valid[pair][point]]

    def term(first: Tensor, second: Tensor) -> Tensor:
        return torch.exp(first @ second / (first.norm() * second.norm()) / temperature)

    def one_way(own: Tensor, own_cells: Tensor, others: Tensor, their_cells: Tensor, positives: Tensor) -> Tensor:
        total, sum_of_weights = torch.zeros((), dtype=torch.float64), 0.0
        for pair, point in everyone:
            anchor = own[pair, :, own_cells[pair, point]]
            good = [cell for cell in range(CELLS) if positives[pair, point, cell]]
            above = sum((term(anchor, others[pair, :, cell]) for cell in good), torch.zeros(()))
            below = above
            for other, its_point in everyone:
                cell = int(their_cells[other, its_point])
                if other != pair or cell not in good:
                    below = below + term(anchor, others[other, :, cell])
            weight = 1.0 if weights is None else float(weights[pair, point])
            total = total - weight * torch.log(above / below)
            sum_of_weights += weight
        return total / sum_of_weights

    there = one_way(a, drawn["cells_a"], b, drawn["cells_b"], drawn["positives_b"])
    back = one_way(b, drawn["cells_b"], a, drawn["cells_a"], drawn["positives_a"])
    return (there + back) / 2


@settings(deadline=None, max_examples=40)
@given(
    near=st.sampled_from([0.0, 0.3, 0.8]),
    valid=st.sampled_from([0.6, 1.0]),
    temperature=st.floats(0.05, 5.0),
    weighed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_value_and_gradients_are_those_of_the_equation_written_out(
    near: float, valid: float, temperature: float, weighed: bool, seed: int
) -> None:
    drawn = points(seed, near=near, valid=valid)
    weights = torch.rand(PAIRS, POINTS, generator=torch.Generator().manual_seed(seed)) if weighed else None
    given_grids = [grid.double().requires_grad_() for grid in grids(seed)]
    found = tolerant_infonce(*given_grids, **drawn, temperature=temperature, weights=weights)
    expected = transcription(given_grids[0], given_grids[1], drawn, temperature, weights)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients, references = (torch.autograd.grad(each, given_grids) for each in (found, expected))
    for gradient, reference in zip(gradients, references, strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-4)
    single = tolerant_infonce(*grids(seed), **drawn, temperature=temperature, weights=weights)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected.item(), abs=2e-5, rel=1e-5)


@pytest.mark.parametrize("weighed", [False, True])
def test_one_positive_each_is_plain_pixel_infonce(weighed: bool) -> None:
    drawn = points(near=0.0)
    weights = torch.rand(PAIRS, POINTS) if weighed else None
    a, b = grids()
    expected = pixel_infonce(
        gather_points(a, drawn["cells_a"]),
        gather_points(b, drawn["cells_b"]),
        temperature=0.2,
        valid=drawn["valid"].ravel(),
        weights=None if weights is None else weights.ravel(),
    )
    torch.testing.assert_close(tolerant_infonce(a, b, **drawn, temperature=0.2, weights=weights), expected)


def test_two_points_by_hand() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).T.reshape(1, 2, 1, 2)
    b = torch.tensor([[3.0, 0.0], [1.0, 1.0]]).T.reshape(1, 2, 1, 2)
    cells, valid = torch.tensor([[0, 1]]), torch.tensor([[True, True]])
    one, own = torch.tensor([[[True, True], [False, True]]]), torch.eye(2, dtype=torch.bool)[None]
    root = math.exp(0.5**0.5)
    # Cosines: [[1, √½], [0, √½]]; τ = 1. The first point of A takes both cells of B, and has no negative left.
    there = [0.0, math.log((1 + root) / root)]
    back = [math.log((math.e + 1) / math.e), math.log((root + root) / root)]
    found = tolerant_infonce(
        a, b, cells_a=cells, cells_b=cells, positives_a=own, positives_b=one, valid=valid, temperature=1.0
    )
    assert found.item() == pytest.approx((sum(there) + sum(back)) / 4, abs=1e-6)


def test_the_order_of_pairs_and_of_points_and_the_lengths_do_not_matter() -> None:
    drawn, (a, b) = points(), grids()
    expected = tolerant_infonce(a, b, **drawn, temperature=0.2)
    turned = {name: each.flip(0) for name, each in drawn.items()}
    torch.testing.assert_close(tolerant_infonce(3 * a.flip(0), b.flip(0), **turned, temperature=0.2), expected)
    turned = {name: each.flip(1) for name, each in drawn.items()}
    torch.testing.assert_close(tolerant_infonce(a, b / 7, **turned, temperature=0.2), expected)


def test_which_view_is_first_does_not_matter() -> None:
    drawn, (a, b) = points(), grids()
    names = {"cells_a": "cells_b", "cells_b": "cells_a", "positives_a": "positives_b", "positives_b": "positives_a"}
    turned = {names.get(name, name): each for name, each in drawn.items()}
    torch.testing.assert_close(
        tolerant_infonce(b, a, **turned, temperature=0.2), tolerant_infonce(a, b, **drawn, temperature=0.2)
    )


def test_turning_both_grids_with_their_cells_does_not_matter() -> None:
    drawn, (a, b) = points(), grids()
    turned = {
        name: CELLS - 1 - each if name.startswith("cells") else each.flip(2) if name.startswith("pos") else each
        for name, each in drawn.items()
    }
    torch.testing.assert_close(
        tolerant_infonce(a.flip(2, 3), b.flip(2, 3), **turned, temperature=0.2),
        tolerant_infonce(a, b, **drawn, temperature=0.2),
    )


def test_points_that_are_not_valid_get_no_gradient_and_change_nothing() -> None:
    drawn = points(near=0.0, valid=0.5)
    a, b = (grid.requires_grad_() for grid in grids())
    torch.autograd.backward(tolerant_infonce(a, b, **drawn, temperature=0.2))
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()
    reached = (a.grad.abs().sum(dim=1) > 0).flatten(1)
    for pair in range(PAIRS):
        assert set(reached[pair].nonzero().flatten().tolist()) == set(
            drawn["cells_a"][pair][drawn["valid"][pair]].tolist()
        )


def test_autocast_does_not_lower_the_precision() -> None:
    drawn, (a, b) = points(), grids()
    expected = tolerant_infonce(a, b, **drawn, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(tolerant_infonce(a, b, **drawn, temperature=0.1), expected)


def test_no_valid_point_is_nothing_to_match() -> None:
    drawn = points()
    with pytest.raises(NothingToMatch, match="nothing to match: 0 of 15 points are valid"):
        tolerant_infonce(*grids(), **drawn | {"valid": torch.zeros_like(drawn["valid"])}, temperature=0.2)


def test_a_tolerance_that_leaves_no_negative_is_nothing_to_match() -> None:
    drawn = points(near=1.1, valid=1.1, pairs=1)
    with pytest.raises(NothingToMatch, match="none of them lies beyond the tolerance of another"):
        tolerant_infonce(*grids(pairs=1), **drawn, temperature=0.2)
    tolerant_infonce(*grids(pairs=2), **points(near=1.1, valid=1.1, pairs=2), temperature=0.2)


def test_weights_that_are_all_zero_are_nothing_to_match() -> None:
    with pytest.raises(NothingToMatch, match="have weight 0"):
        tolerant_infonce(*grids(), **points(), temperature=0.2, weights=torch.zeros(PAIRS, POINTS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid": torch.ones(3, 5)}, r"valid must be bool of shape \(3, 5\), found torch\.float32"),
        ({"positives_b": torch.ones(3, 5, 4, dtype=torch.bool)}, r"positives_b must be bool of shape \(3, 5, 9\)"),
        ({"cells_a": torch.ones(3, 4, dtype=torch.int64)}, r"cells_a must be int64 of shape \(3, 5\)"),
        ({"temperature": 0.0}, r"temperature must be positive and finite, found 0\.0"),
        ({"grid_b": torch.ones(3, 4, 2, 2)}, r"embeddings must have one shape"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    a, b = grids()
    with pytest.raises(ValueError, match=message):
        tolerant_infonce(**{"grid_a": a, "grid_b": b, "temperature": 0.2, **points(), **changes})


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
