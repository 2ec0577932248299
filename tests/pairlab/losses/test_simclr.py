import doctest
import math

import pytest
import torch
from lightly.loss import NTXentLoss

from pairlab.losses import simclr
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.simclr import nt_xent


def embeddings(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator), torch.randn(*shape, generator=generator)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("shape", [(2, 3), (8, 16), (33, 128)])
def test_agrees_with_lightly(shape: tuple[int, int], temperature: float) -> None:
    z_a, z_b = embeddings(*shape)
    reference = NTXentLoss(temperature=temperature)(z_a, z_b)
    torch.testing.assert_close(nt_xent(z_a, z_b, temperature=temperature), reference, atol=1e-5, rtol=0)


def test_gradients_agree_with_lightly() -> None:
    z_a, z_b = (z.requires_grad_() for z in embeddings(8, 16))
    ours = torch.autograd.grad(nt_xent(z_a, z_b, temperature=0.2), [z_a, z_b])
    reference = torch.autograd.grad(NTXentLoss(temperature=0.2)(z_a, z_b), [z_a, z_b])
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=0)


def test_two_pairs_by_hand() -> None:
    z_a = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    z_b = torch.tensor([[0.0, 2.0], [0.0, 1.0]])
    # At unit length: x, y and y, y. Anchor x sees y, y, y: log 3. Its positive y sees x, y, y at τ = 0.5.
    first, first_positive = math.log(3), math.log(1 + 2 * math.exp(2))
    # Anchor y of the second pair sees x, y and its own positive y; so does that positive.
    second = math.log((1 + 2 * math.exp(2)) / math.exp(2))
    expected = (first + first_positive + 2 * second) / 4
    assert nt_xent(z_a, z_b, temperature=0.5).item() == pytest.approx(expected, abs=1e-6)


def test_neither_the_order_of_pairs_nor_of_views_matters() -> None:
    z_a, z_b = embeddings(16, 8)
    loss = nt_xent(z_a, z_b, temperature=0.5)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(nt_xent(z_a[order], z_b[order], temperature=0.5), loss)
    torch.testing.assert_close(nt_xent(z_b, z_a, temperature=0.5), loss)


def test_lengths_and_rotations_do_not_matter() -> None:
    z_a, z_b = embeddings(8, 4)
    loss = nt_xent(z_a, z_b, temperature=0.5)
    rotation = torch.linalg.qr(embeddings(4, 4, seed=2)[0]).Q
    lengths = torch.linspace(0.5, 50, 8).unsqueeze(1)
    torch.testing.assert_close(nt_xent(z_a * lengths, z_b / lengths, temperature=0.5), loss)
    torch.testing.assert_close(nt_xent(z_a @ rotation, z_b @ rotation, temperature=0.5), loss)


def test_matched_views_score_lower_than_mismatched_ones() -> None:
    z, _ = embeddings(8, 16)
    assert nt_xent(z, z, temperature=0.1) < nt_xent(z, z.roll(1, dims=0), temperature=0.1)


def test_gradients_are_those_of_the_formula_and_reach_both_views() -> None:
    z_a, z_b = (z.double().requires_grad_() for z in embeddings(4, 3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, temperature=0.5), (z_a, z_b))
    torch.autograd.backward(nt_xent(z_a, z_b, temperature=0.5))
    for z in (z_a, z_b):
        assert z.grad is not None
        assert (z.grad.abs().sum(dim=1) > 0).all()


def test_autocast_does_not_lower_the_precision() -> None:
    z_a, z_b = embeddings(32, 64)
    expected = nt_xent(z_a, z_b, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nt_xent(z_a, z_b, temperature=0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_half_precision_embeddings_give_a_float32_loss() -> None:
    z_a, z_b = (z.bfloat16() for z in embeddings(8, 16))
    loss = nt_xent(z_a, z_b, temperature=0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, nt_xent(z_a.float(), z_b.float(), temperature=0.1))


def test_a_single_pair_has_no_negative() -> None:
    with pytest.raises(NothingToMatch, match="needs at least 2 pairs, so that each has a negative; the batch has 1"):
        nt_xent(*embeddings(1, 4), temperature=0.5)


@pytest.mark.parametrize(
    ("shape_a", "shape_b"), [((4, 8), (4, 9)), ((4, 8), (5, 8)), ((4, 8, 1), (4, 8, 1)), ((4, 0), (4, 0))]
)
def test_shapes_that_do_not_fit_are_named(shape_a: tuple[int, ...], shape_b: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="one shape") as error:
        nt_xent(torch.ones(shape_a), torch.ones(shape_b), temperature=0.5)
    assert f"found {shape_a} and {shape_b}" in str(error.value)


def test_integer_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be floating point, found torch\.int64 and torch\.int64"):
        nt_xent(torch.ones(4, 2, dtype=torch.int64), torch.ones(4, 2, dtype=torch.int64), temperature=0.5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_bad_temperatures_are_named(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"temperature must be positive and finite, found {temperature}"):
        nt_xent(*embeddings(4, 2), temperature=temperature)


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(simclr)
    assert tried
    assert not failed
