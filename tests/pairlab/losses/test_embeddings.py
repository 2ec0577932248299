import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pairlab.losses.embeddings import cosines


def rows(*, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    drawn = [torch.randn(6, 9, generator=generator, dtype=torch.float64) for _ in range(2)]
    lengths = torch.tensor([1.0, 1e-6, 1e4, 1.0, 3.0, 1e-12])[:, None]
    a, b = drawn[0] * lengths, drawn[1] * lengths.flip(0)
    a[3], b[4] = 0.0, 0.0
    return a.to(dtype).requires_grad_(), b.to(dtype).requires_grad_()


def test_cosines_and_their_gradient_are_those_of_torch_also_of_short_rows() -> None:
    a, b = rows()
    found, expected = cosines(a, b), functional.cosine_similarity(a, b.detach(), dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    of_found, of_expected = (torch.autograd.grad(each.sum(), a)[0] for each in (found, expected))
    torch.testing.assert_close(of_found[:-1], of_expected[:-1], rtol=1e-8, atol=1e-10)  # the last is below SHORTEST
    assert of_found[-1].isfinite().all()


def test_no_gradient_passes_into_a_target() -> None:
    a, b = rows()
    torch.autograd.backward(cosines(a, b).sum())
    assert a.grad is not None
    assert b.grad is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_cosines_are_float32_at_least(dtype: torch.dtype) -> None:
    assert cosines(*rows(dtype=dtype)).dtype == torch.float32
