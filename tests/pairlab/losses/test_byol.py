import doctest

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity
from torch import Tensor

from pairlab.losses import byol as module
from pairlab.losses.byol import byol
from pairlab.losses.embeddings import NothingToMatch

Four = tuple[Tensor, Tensor, Tensor, Tensor]


def embeddings(*shape: int, seed: int = 0) -> Four:
    generator = torch.Generator().manual_seed(seed)
    p_a, p_b, t_a, t_b = (torch.randn(*shape, generator=generator) for _ in range(4))
    return p_a, p_b, t_a, t_b


def lightly(p_a: Tensor, p_b: Tensor, t_a: Tensor, t_b: Tensor) -> Tensor:
    cosine = NegativeCosineSimilarity()
    loss: Tensor = 2 + 2 * cosine(p_a, t_b.detach()) + 2 + 2 * cosine(p_b, t_a.detach())  # |x̄ − ȳ|² = 2 − 2 x̄·ȳ
    return loss


@pytest.mark.parametrize("shape", [(1, 2), (2, 3), (8, 16), (33, 128)])
def test_agrees_with_lightly(shape: tuple[int, int]) -> None:
    given = embeddings(*shape)
    torch.testing.assert_close(byol(*given), lightly(*given), atol=1e-5, rtol=0)


def test_gradients_agree_with_lightly() -> None:
    given = embeddings(8, 16)
    predictions = [each.requires_grad_() for each in given[:2]]
    ours = torch.autograd.grad(byol(*given), predictions)
    torch.testing.assert_close(ours, torch.autograd.grad(lightly(*given), predictions), atol=1e-5, rtol=0)


def test_two_images_by_hand() -> None:
    p_a, t_b = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[5.0, 0.0], [0.0, -3.0]])  # distances 0 and 2
    p_b, t_a = torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[4.0, 3.0], [0.0, 1.0]])
    second = ((3 - 4) / 5) ** 2 + ((4 - 3) / 5) ** 2, 1.0 + 1.0
    assert byol(p_a, p_b, t_a, t_b).item() == pytest.approx((0 + 4) / 2 + sum(second) / 2, abs=1e-6)


def test_no_gradient_passes_into_a_target() -> None:
    p_a, p_b, t_a, t_b = (each.requires_grad_() for each in embeddings(8, 4))
    torch.autograd.backward(byol(p_a, p_b, t_a, t_b))
    assert t_a.grad is None
    assert t_b.grad is None
    for predicted in (p_a, p_b):
        assert predicted.grad is not None
        assert (predicted.grad.abs().sum(dim=1) > 0).all()


def test_a_shared_source_is_moved_through_its_prediction_alone() -> None:
    source, others = embeddings(4, 3)[0].requires_grad_(), embeddings(4, 3, seed=1)
    through_both = torch.autograd.grad(byol(2 * source, others[1], 3 * source, others[3]), source)
    through_prediction = torch.autograd.grad(byol(2 * source, others[1], 3 * source.detach(), others[3]), source)
    torch.testing.assert_close(through_both, through_prediction, atol=0, rtol=0)


def test_gradients_are_those_of_the_formula() -> None:
    p_a, p_b, t_a, t_b = (each.double() for each in embeddings(4, 3))
    assert torch.autograd.gradcheck(lambda a, b: byol(a, b, t_a, t_b), (p_a.requires_grad_(), p_b.requires_grad_()))


def test_neither_orders_nor_lengths_nor_rotations_matter() -> None:
    p_a, p_b, t_a, t_b = embeddings(8, 4)
    loss = byol(p_a, p_b, t_a, t_b)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(byol(p_b, p_a, t_b, t_a), loss)
    torch.testing.assert_close(byol(p_a[order], p_b[order], t_a[order], t_b[order]), loss)
    lengths = torch.linspace(0.5, 50, 8).unsqueeze(1)
    torch.testing.assert_close(byol(p_a * lengths, p_b / lengths, t_a / lengths, t_b * lengths), loss)
    rotation = torch.linalg.qr(embeddings(4, 4, seed=2)[0]).Q
    torch.testing.assert_close(byol(p_a @ rotation, p_b @ rotation, t_a @ rotation, t_b @ rotation), loss)


def test_agreement_costs_nothing_and_opposites_cost_most() -> None:
    t_a, t_b = embeddings(8, 4)[:2]
    assert byol(t_b, t_a, t_a, t_b).item() == pytest.approx(0, abs=1e-6)
    assert byol(-t_b, -t_a, t_a, t_b).item() == pytest.approx(8, abs=1e-6)


def test_precision_is_kept_under_autocast_and_from_half_precision() -> None:
    given = embeddings(32, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = byol(*given)
    assert found.dtype == torch.float32
    assert torch.equal(found, byol(*given))
    p_a, p_b, t_a, t_b = (each.bfloat16() for each in given)
    expected = byol(p_a.float(), p_b.float(), t_a.float(), t_b.float())
    torch.testing.assert_close(byol(p_a, p_b, t_a, t_b), expected)


def test_no_pairs_are_nothing_to_match() -> None:
    with pytest.raises(NothingToMatch, match="the batch has no pairs"):
        byol(*embeddings(0, 4))


@pytest.mark.parametrize("place", range(4))
def test_what_does_not_fit_is_named(place: int) -> None:
    p_a, p_b, t_a, t_b = (torch.ones(4, 9 if each == place else 8) for each in range(4))
    with pytest.raises(ValueError, match=r"one shape \(N, D\), found \(4, [89]\) and \(4, [89]\)"):
        byol(p_a, p_b, t_a, t_b)


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
