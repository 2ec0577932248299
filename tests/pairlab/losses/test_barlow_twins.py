import doctest
import math

import pytest
import torch
from lightly.loss import BarlowTwinsLoss
from torch import Tensor

from pairlab.losses import barlow_twins as module
from pairlab.losses.barlow_twins import barlow_twins
from pairlab.losses.embeddings import NothingToMatch


def loss_of(z_a: Tensor, z_b: Tensor, redundancy_weight: float = 5e-3) -> Tensor:
    return barlow_twins(z_a, z_b, redundancy_weight=redundancy_weight)


def embeddings(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator), torch.randn(*shape, generator=generator)


def paper(z_a: Tensor, z_b: Tensor, redundancy_weight: float) -> float:
    """Eq. 1 and 2 entry by entry, in plain numbers."""

    def column(z: Tensor, j: int) -> list[float]:
        values = [float(each) for each in z[:, j]]
        return [each - sum(values) / len(values) for each in values]

    def correlation(i: int, j: int) -> float:
        first, second = column(z_a, i), column(z_b, j)
        product = sum(a * b for a, b in zip(first, second, strict=True))
        return product / (math.sqrt(sum(a * a for a in first)) * math.sqrt(sum(b * b for b in second)))

    dims = range(z_a.shape[1])
    redundancy = sum(correlation(i, j) ** 2 for i in dims for j in dims if i != j)
    return sum((1 - correlation(i, i)) ** 2 for i in dims) + redundancy_weight * redundancy


@pytest.mark.parametrize("redundancy_weight", [0.0, 5e-3, 1.0])
@pytest.mark.parametrize("shape", [(2, 3), (8, 16), (33, 128)])
def test_agrees_with_lightly(shape: tuple[int, int], redundancy_weight: float) -> None:
    z_a, z_b = embeddings(*shape)
    reference = BarlowTwinsLoss(lambda_param=redundancy_weight)(z_a, z_b)
    torch.testing.assert_close(loss_of(z_a, z_b, redundancy_weight), reference, atol=1e-5, rtol=1e-5)


def test_gradients_agree_with_lightly() -> None:
    z_a, z_b = (z.requires_grad_() for z in embeddings(8, 16))
    ours = torch.autograd.grad(loss_of(z_a, z_b), [z_a, z_b])
    reference = torch.autograd.grad(BarlowTwinsLoss()(z_a, z_b), [z_a, z_b])
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=0)


def test_is_the_papers_equation() -> None:
    z_a, z_b = (z.double() for z in embeddings(6, 4))
    assert loss_of(z_a, z_b, 0.3).item() == pytest.approx(paper(z_a, z_b, 0.3), abs=1e-4)


def test_three_images_by_hand() -> None:
    # The first dimension agrees; the second is its opposite in the second view, and orthogonal to the first.
    z_a = torch.tensor([[1.0, 1.0], [0.0, -2.0], [-1.0, 1.0]])
    z_b = torch.tensor([[1.0, -1.0], [0.0, 2.0], [-1.0, -1.0]])
    assert loss_of(z_a, z_b).item() == pytest.approx((1 - -1) ** 2, abs=1e-4)
    # Swapped dimensions of the second view: nothing agrees, and both others correlate fully.
    assert loss_of(z_a, z_b[:, [1, 0]], 0.25).item() == pytest.approx(1 + 1 + 0.25 * 2, abs=1e-4)


def test_scale_and_offset_of_a_dimension_and_the_orders_do_not_matter() -> None:
    z_a, z_b = (z.double() for z in embeddings(16, 8))
    loss = loss_of(z_a, z_b)
    scale, offset = torch.linspace(1, 50, 8), torch.linspace(-3, 3, 8)
    torch.testing.assert_close(loss_of(z_a * scale + offset, z_b), loss, atol=1e-4, rtol=0)
    generator = torch.Generator().manual_seed(1)
    rows, columns = torch.randperm(16, generator=generator), torch.randperm(8, generator=generator)
    torch.testing.assert_close(loss_of(z_a[rows], z_b[rows]), loss)
    torch.testing.assert_close(loss_of(z_a[:, columns], z_b[:, columns]), loss)
    torch.testing.assert_close(loss_of(z_b, z_a), loss)


def test_matched_views_score_lower_than_mismatched_ones() -> None:
    z, _ = embeddings(8, 16)
    assert loss_of(z, z) < loss_of(z, z.roll(1, dims=0))


def test_gradients_are_those_of_the_formula_and_reach_both_views() -> None:
    z_a, z_b = (z.double().requires_grad_() for z in embeddings(4, 3))
    assert torch.autograd.gradcheck(loss_of, (z_a, z_b))
    torch.autograd.backward(loss_of(z_a, z_b))
    for z in (z_a, z_b):
        assert z.grad is not None
        assert (z.grad.abs().sum(dim=1) > 0).all()


def test_a_collapsed_dimension_correlates_with_nothing_and_has_finite_gradients() -> None:
    z_a, z_b = (torch.ones(4, 3, requires_grad=True) for _ in range(2))
    loss = loss_of(z_a, z_b)
    assert loss.item() == 3.0
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss, [z_a, z_b]))


def test_autocast_does_not_lower_the_precision() -> None:
    z_a, z_b = embeddings(32, 64)
    expected = loss_of(z_a, z_b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss_of(z_a, z_b)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_half_precision_embeddings_give_a_float32_loss() -> None:
    z_a, z_b = (z.bfloat16() for z in embeddings(8, 16))
    assert loss_of(z_a, z_b).dtype == torch.float32
    torch.testing.assert_close(loss_of(z_a, z_b), loss_of(z_a.float(), z_b.float()))


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_without_correlation_is_refused(count: int) -> None:
    with pytest.raises(NothingToMatch, match=f"Barlow Twins needs at least 2 pairs.*the batch has {count}"):
        loss_of(*embeddings(count, 4))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"one shape \(N, D\), found \(4, 8\) and \(4, 9\)"):
        loss_of(torch.ones(4, 8), torch.ones(4, 9))
    with pytest.raises(ValueError, match=r"must be floating point, found torch\.int64 and torch\.int64"):
        loss_of(torch.ones(4, 8, dtype=torch.int64), torch.ones(4, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"redundancy_weight must be finite and at least 0, found -1\.0"):
        loss_of(*embeddings(4, 2), -1.0)


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
