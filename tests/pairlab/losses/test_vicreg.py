import doctest
import math

import pytest
import torch
from lightly.loss import VICRegLoss
from torch import Tensor

from pairlab.losses import vicreg as module
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.vicreg import vicreg

WEIGHTS = (25.0, 25.0, 1.0)
NAMES = ("invariance_weight", "variance_weight", "covariance_weight")


def loss_of(z_a: Tensor, z_b: Tensor, weights: tuple[float, ...] = WEIGHTS) -> Tensor:
    invariance, variance, covariance = weights
    return vicreg(z_a, z_b, invariance_weight=invariance, variance_weight=variance, covariance_weight=covariance)


def embeddings(*shape: int, seed: int = 0, spread: float = 0.7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(*shape, generator=generator), spread * torch.randn(*shape, generator=generator)


def paper(z_a: Tensor, z_b: Tensor, *, invariance: float, variance: float, covariance: float) -> float:
    """Eq. 1–6 entry by entry, in plain numbers."""
    batch, dim = z_a.shape

    def centred(z: Tensor, row: int, column: int) -> float:
        return float(z[row, column]) - sum(float(z[each, column]) for each in range(batch)) / batch

    def covariance_of(z: Tensor, i: int, j: int) -> float:
        return sum(centred(z, row, i) * centred(z, row, j) for row in range(batch)) / (batch - 1)

    s = sum(float(((z_a[row] - z_b[row]) ** 2).sum()) for row in range(batch)) / batch
    v = sum(max(0.0, 1 - math.sqrt(covariance_of(z, j, j) + 1e-4)) for z in (z_a, z_b) for j in range(dim)) / dim
    c = sum(covariance_of(z, i, j) ** 2 for z in (z_a, z_b) for i in range(dim) for j in range(dim) if i != j) / dim
    return invariance * s + variance * v + covariance * c


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize("shape", [(2, 3), (8, 16), (33, 128)])
def test_agrees_with_lightly(shape: tuple[int, int], weights: tuple[float, float, float]) -> None:
    z_a, z_b = embeddings(*shape)
    found = loss_of(z_a, z_b, weights)
    reference = VICRegLoss(lambda_param=weights[0], mu_param=weights[1], nu_param=weights[2])(z_a, z_b)
    torch.testing.assert_close(found, reference, atol=1e-5, rtol=1e-6)


def test_gradients_agree_with_lightly() -> None:
    z_a, z_b = (z.requires_grad_() for z in embeddings(8, 16))
    ours = torch.autograd.grad(loss_of(z_a, z_b), [z_a, z_b])
    reference = torch.autograd.grad(VICRegLoss()(z_a, z_b), [z_a, z_b])
    torch.testing.assert_close(ours, reference, atol=1e-5, rtol=0)


def test_is_the_papers_equation_with_its_sums_as_means() -> None:
    z_a, z_b = (z.double() for z in embeddings(6, 4))
    expected = paper(z_a, z_b, invariance=25 / 4, variance=25 / 2, covariance=1)
    assert loss_of(z_a, z_b).item() == pytest.approx(expected, abs=1e-9)


def test_two_images_by_hand() -> None:
    z_a = torch.tensor([[0.3, 2.0], [-0.3, 0.0]])  # variances 0.18 and 2, covariance 0.3 · 1 · 2 = 0.6
    z_b = torch.tensor([[0.3, 1.0], [-0.3, 1.0]])  # variances 0.18 and 0, covariance 0
    invariance = (0 + 1 + 0 + 1) / 4
    short = 1 - math.sqrt(0.18 + 1e-4)
    variance = (short / 2 + (short + 1 - math.sqrt(1e-4)) / 2) / 2
    expected = 25 * invariance + 25 * variance + (0.6**2 + 0.6**2) / 2
    assert loss_of(z_a, z_b).item() == pytest.approx(expected, abs=1e-5)


def test_neither_the_order_of_pairs_nor_of_views_nor_of_dimensions_nor_an_offset_matters() -> None:
    z_a, z_b = embeddings(16, 8)
    loss = loss_of(z_a, z_b)
    generator = torch.Generator().manual_seed(1)
    rows, columns = torch.randperm(16, generator=generator), torch.randperm(8, generator=generator)
    torch.testing.assert_close(loss_of(z_a[rows], z_b[rows]), loss)
    torch.testing.assert_close(loss_of(z_b, z_a), loss)
    torch.testing.assert_close(loss_of(z_a[:, columns], z_b[:, columns]), loss)
    torch.testing.assert_close(loss_of(z_a + 3, z_b + 3), loss)


def test_mismatched_views_and_collapsed_ones_score_higher() -> None:
    z, _ = embeddings(8, 16)
    assert loss_of(z, z) < loss_of(z, z.roll(1, dims=0))
    assert loss_of(z, z) < loss_of(0 * z, 0 * z) == pytest.approx(25 * 0.99)


def test_gradients_are_those_of_the_formula_and_reach_both_views() -> None:
    z_a, z_b = (z.double().requires_grad_() for z in embeddings(4, 3))
    assert torch.autograd.gradcheck(loss_of, (z_a, z_b))
    torch.autograd.backward(loss_of(z_a, z_b))
    for z in (z_a, z_b):
        assert z.grad is not None
        assert (z.grad.abs().sum(dim=1) > 0).all()


def test_collapsed_embeddings_have_finite_gradients() -> None:
    z_a, z_b = (torch.ones(4, 3, requires_grad=True) for _ in range(2))
    assert all(torch.isfinite(each).all() for each in torch.autograd.grad(loss_of(z_a, z_b), [z_a, z_b]))


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
def test_a_batch_without_variance_is_refused(count: int) -> None:
    with pytest.raises(NothingToMatch, match=f"VICReg needs at least 2 pairs.*the batch has {count}"):
        loss_of(*embeddings(count, 4))


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"one shape \(N, D\), found \(4, 8\) and \(4, 9\)"):
        loss_of(torch.ones(4, 8), torch.ones(4, 9))
    with pytest.raises(ValueError, match=r"must be floating point, found torch\.int64 and torch\.int64"):
        loss_of(torch.ones(4, 8, dtype=torch.int64), torch.ones(4, 8, dtype=torch.int64))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_bad_weights_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be finite and at least 0, found {value}"):
        loss_of(*embeddings(4, 2), tuple(value if each == name else 1.0 for each in NAMES))


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
