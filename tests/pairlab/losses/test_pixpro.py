import doctest
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import pairlab.losses.pixpro as module
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.pixpro import pixpro, propagated

PAIRS, CELLS, DIM = 3, 6, 4


def cells(seed: int = 0, *, count: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, PAIRS, CELLS, DIM, generator=generator))


def matches(seed: int = 0, *, share: float = 0.3) -> Tensor:
    """Random ones, in ascending order."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(PAIRS, CELLS, CELLS, generator=generator) < share
    pair, first, second = chosen.nonzero().unbind(1)
    return torch.stack([pair * CELLS + first, pair * CELLS + second], dim=1)


def cosine(u: Tensor, v: Tensor) -> Tensor:
    found: Tensor = torch.dot(u, v) / (torch.linalg.vector_norm(u) * torch.linalg.vector_norm(v))
    return found


def propagation(x: Tensor, values: Tensor, sharpness: float) -> Tensor:
    """Eq. 3 and 4, term by term."""
    return torch.stack(
        [
            torch.stack(
                [
                    torch.stack([cosine(i, j).clamp_min(0) ** sharpness * v for j, v in zip(view, of, strict=True)])
                    for i in view
                ]
            ).sum(dim=1)
            for view, of in zip(x, values, strict=True)
        ]
    )


def transcription(y_a: Tensor, y_b: Tensor, x_a: Tensor, x_b: Tensor, matched: Tensor) -> Tensor:
    """Eq. 5, term by term, averaged over the matches of a pair and then over the pairs that have any."""
    of_pairs = []
    for pair in range(PAIRS):
        terms = [
            -cosine(y_a[pair, a % CELLS], x_b[pair, b % CELLS]) - cosine(y_b[pair, b % CELLS], x_a[pair, a % CELLS])
            for a, b in matched.tolist()
            if a // CELLS == pair
        ]
        if terms:
            of_pairs.append(torch.stack(terms).mean())
    return torch.stack(of_pairs).mean()


@settings(deadline=None, max_examples=25)
@given(
    sharpness=st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    entries=st.sampled_from([1, 20, CELLS**2, 3 * CELLS**2, 1 << 20]),
    seed=st.integers(0, 2**32 - 1),
)
def test_propagation_and_its_gradients_are_those_of_the_equations_in_parts_of_any_size(
    sharpness: float, entries: int, seed: int
) -> None:
    x, values = (each.double().requires_grad_() for each in cells(seed, count=2))
    found = propagated(x, values, sharpness=sharpness, entries=entries)
    expected = propagation(x, values, sharpness)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients, references = (torch.autograd.grad((each * weights).sum(), (x, values)) for each in (found, expected))
    for gradient, reference in zip(gradients, references, strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sharpness", [0.25, 1.0, 2.0])
def test_cells_that_are_not_alike_give_no_gradient_that_is_none(sharpness: float) -> None:
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]], requires_grad=True)
    torch.autograd.backward(propagated(x, x, sharpness=sharpness).sum())
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_propagation_does_not_mix_views_and_follows_the_order_of_cells() -> None:
    x, values = cells(count=2)
    whole = propagated(x, values, sharpness=2.0)
    torch.testing.assert_close(propagated(x[1:2], values[1:2], sharpness=2.0), whole[1:2])
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(propagated(x[:, order], values[:, order], sharpness=2.0), whole[:, order])
    torch.testing.assert_close(propagated(9 * x, values, sharpness=2.0), whole)


def test_memory_of_propagation_is_bounded_at_a_grid_of_56() -> None:
    """What backward needs is kept of the cells, and of no similarity of all of them with each other."""
    x = torch.randn(2, 56 * 56, 2, requires_grad=True)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        smoothed = propagated(x, x, sharpness=2.0)
    assert smoothed.shape == x.shape
    assert sum(kept) < 100 * x.nbytes < 56**4 * 4


@settings(deadline=None, max_examples=40)
@given(share=st.sampled_from([0.02, 0.3, 1.0]), seed=st.integers(0, 2**32 - 1))
def test_value_and_gradients_are_those_of_the_equation_written_out(share: float, seed: int) -> None:
    matched = matches(seed, share=share)
    if not len(matched):
        return
    y_a, y_b, x_a, x_b = (each.double() for each in cells(seed))
    y_a, y_b = y_a.requires_grad_(), y_b.requires_grad_()
    found, expected = pixpro(y_a, y_b, x_a, x_b, matches=matched), transcription(y_a, y_b, x_a, x_b, matched)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients, references = (torch.autograd.grad(each, (y_a, y_b)) for each in (found, expected))
    for gradient, reference in zip(gradients, references, strict=True):
        torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-5)
    single = pixpro(*cells(seed), matches=matched)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected.item(), abs=1e-5)


def test_two_pairs_by_hand() -> None:
    right, up, slant = [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]
    y = torch.tensor([[right, up], [right, up]])
    x = torch.tensor([[slant, right], [right, up]])
    root = 0.5**0.5
    # First pair: cell 0 matches 0 and 1, so cosines √½ and 1 there, and √½ (of 0) and √½ (of 1: up with slant) back.
    # Second pair: cell 0 matches 1: 0 both ways.
    matched = torch.tensor([[0, 0], [0, 1], [2, 3]])
    expected = (-((root + 1) / 2) - (root + root) / 2 - 0 - 0) / 2
    assert pixpro(y, y, x, x, matches=matched).item() == pytest.approx(expected, abs=1e-6)


def test_pairs_without_matches_do_not_count() -> None:
    given_cells, matched = cells(), matches()
    first = matched[matched[:, 0] < CELLS]
    alone = [torch.cat([each[:1]] * PAIRS) for each in given_cells]
    everywhere = torch.cat([first + pair * CELLS for pair in range(PAIRS)])
    torch.testing.assert_close(pixpro(*given_cells, matches=first), pixpro(*alone, matches=everywhere))


def test_the_order_of_pairs_and_of_views_and_the_lengths_do_not_matter() -> None:
    y_a, y_b, x_a, x_b = cells()
    matched = matches()
    expected = pixpro(y_a, y_b, x_a, x_b, matches=matched)
    turned = [each.flip(0) for each in (y_a, y_b, x_a, x_b)]
    pair, cell = matched // CELLS, matched % CELLS
    there = (PAIRS - 1 - pair) * CELLS + cell
    torch.testing.assert_close(pixpro(*turned, matches=there[there[:, 0].argsort(stable=True)]), expected)
    back = matched.flip(1)
    torch.testing.assert_close(pixpro(y_b, y_a, x_b, x_a, matches=back[back[:, 0].argsort(stable=True)]), expected)
    torch.testing.assert_close(pixpro(2 * y_a, y_b / 3, 5 * x_a, x_b, matches=matched), expected)


def test_flipping_all_maps_and_their_matches_does_not_matter() -> None:
    given_cells, matched = cells(), matches()
    flipped = matched // CELLS * CELLS + CELLS - 1 - matched % CELLS
    torch.testing.assert_close(
        pixpro(*(each.flip(1) for each in given_cells), matches=flipped[flipped[:, 0].argsort(stable=True)]),
        pixpro(*given_cells, matches=matched),
    )


def test_cells_that_agree_cost_least_and_opposite_ones_most() -> None:
    y = torch.ones(PAIRS, CELLS, DIM)
    assert pixpro(y, y, y, y, matches=matches()).item() == pytest.approx(-2)
    assert pixpro(y, y, -y, -y, matches=matches()).item() == pytest.approx(2)


def test_no_gradient_passes_into_the_targets() -> None:
    given_cells = [each.requires_grad_() for each in cells()]
    torch.autograd.backward(pixpro(*given_cells, matches=matches()))
    assert [each.grad is not None for each in given_cells] == [True, True, False, False]


def test_half_precision_and_autocast_give_a_float32_loss() -> None:
    expected = pixpro(*cells(), matches=matches())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pixpro(*cells(), matches=matches()), expected)
    half = pixpro(*(each.bfloat16() for each in cells()), matches=matches())
    assert half.dtype == torch.float32
    assert math.isclose(half.item(), expected.item(), abs_tol=0.02)


def test_no_matches_are_never_a_silent_zero() -> None:
    with pytest.raises(NothingToMatch, match="nothing to match: in none of the 3 pairs does a cell"):
        pixpro(*cells(), matches=torch.zeros(0, 2, dtype=torch.int64))


def test_what_does_not_fit_is_named() -> None:
    y_a, y_b, x_a, x_b = cells()
    with pytest.raises(ValueError, match=r"one shape \(pairs, cells, D\), found \(3, 6, 4\), \(3, 5, 4\)"):
        pixpro(y_a, y_b[:, :5], x_a, x_b, matches=matches())
    with pytest.raises(ValueError, match=r"matches must be int64 \(matches, 2\), found torch\.int32"):
        pixpro(y_a, y_b, x_a, x_b, matches=matches().int())


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
