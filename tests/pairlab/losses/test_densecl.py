import doctest
import math
from functools import partial

import pytest
import torch
from lightly.loss import NTXentLoss
from lightly.models.utils import select_most_similar
from torch import Tensor
from torch.nn import functional

from pairlab.losses import densecl as module
from pairlab.losses.densecl import densecl
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.moco import moco
from pairlab.losses.pixel_infonce import gather_points


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def literal(global_loss: float, cells: Tensor, keys: Tensor, queue: Tensor, weight: float, temperature: float) -> float:
    """Eq. 2 and 4 as they are written, number by number."""

    def cosine(u: Tensor, v: Tensor) -> float:
        dot, one, other = (
            sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) for a, b in ((u, v), (u, u), (v, v))
        )
        return float(dot / math.sqrt(one * other))

    each = []
    for image in range(len(cells)):
        for r, positive in zip(cells[image].double(), keys[image].double(), strict=True):
            own = math.exp(cosine(r, positive) / temperature)
            others = sum(math.exp(cosine(r, t) / temperature) for t in queue.double())
            each.append(-math.log(own / (own + others)))
    return (1 - weight) * global_loss + weight * math.fsum(each) / len(each)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_agrees_with_the_equations(weight: float, temperature: float) -> None:
    cells, keys, queue = rows(3, 4, 5), rows(3, 4, 5, seed=1), rows(7, 5, seed=2)
    found = densecl(torch.tensor(1.25), cells, keys, queue, dense_weight=weight, temperature=temperature)
    assert found.item() == pytest.approx(literal(1.25, cells, keys, queue, weight, temperature), abs=1e-5)


def test_agrees_with_lightlys_matching_and_loss_value_and_gradients() -> None:
    """The whole dense branch: which cell is matched, by lightly, and the loss of the matched cells, by lightly."""
    features, key_features = rows(4, 32, 6, 6), rows(4, 32, 6, 6, seed=1)
    cells, keys, queue = rows(4, 16, 6, 6, seed=2).requires_grad_(), rows(4, 16, 6, 6, seed=3), rows(64, 16, seed=4)
    flat = [each.flatten(2).transpose(1, 2) for each in (features, key_features, keys, cells)]
    matched = select_most_similar(flat[0], flat[1], flat[2])
    criterion = NTXentLoss(temperature=0.2, memory_bank_size=(64, 16))
    criterion.memory_bank.bank = functional.normalize(queue, dim=1)
    expected = 0.5 * criterion(flat[3].flatten(0, 1), matched.flatten(0, 1)) + 0.5 * 2.0

    every = torch.arange(36).expand(4, -1)
    ours = gather_points(keys, most_alike(features, key_features, every)).reshape(4, 36, 16)
    found = densecl(torch.tensor(2.0), flat[3], ours, queue, dense_weight=0.5, temperature=0.2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    gradients = (torch.autograd.grad(each, cells, retain_graph=True) for each in (found, expected))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=0)


def test_two_cells_by_hand() -> None:
    cells = torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])
    keys, queue = torch.tensor([[[3.0, 0.0], [5.0, 0.0]]]), torch.tensor([[0.0, 7.0]])
    # At τ = 0.5: x with its own x against y; y with its own x against y.
    first, second = -math.log(math.exp(2) / (math.exp(2) + 1)), -math.log(1 / (1 + math.exp(2)))
    found = densecl(torch.tensor(3.0), cells, keys, queue, dense_weight=0.25, temperature=0.5)
    assert found.item() == pytest.approx(0.75 * 3.0 + 0.25 * (first + second) / 2, abs=1e-6)


def test_each_branch_has_the_gradient_of_its_share_and_keys_have_none() -> None:
    whole = torch.tensor(2.0, requires_grad=True)
    cells, keys, queue = (rows(*shape).requires_grad_() for shape in ((2, 3, 4), (2, 3, 4), (5, 4)))
    torch.autograd.backward(densecl(whole, cells, keys, queue, dense_weight=0.75, temperature=0.2))
    assert whole.grad is not None
    assert whole.grad.item() == 0.25
    assert keys.grad is None
    assert queue.grad is None
    assert cells.grad is not None
    assert (cells.grad.norm(dim=2) > 0).all()


def test_gradients_are_those_of_the_formula() -> None:
    cells, keys, queue = rows(2, 3, 4).double(), rows(2, 3, 4, seed=1).double(), rows(5, 4, seed=2).double()
    given = (cells.requires_grad_(),)
    whole = torch.tensor(1.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda r: densecl(whole, r, keys, queue, dense_weight=0.5, temperature=0.5), given)


def test_the_order_of_cells_and_their_lengths_do_not_matter() -> None:
    cells, keys, queue = rows(2, 6, 4), rows(2, 6, 4, seed=1), rows(5, 4, seed=2)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(3))
    whole, dense = torch.tensor(1.0), partial(densecl, dense_weight=0.5, temperature=0.2)
    loss = dense(whole, cells, keys, queue)
    torch.testing.assert_close(dense(whole, cells[:, order], keys[:, order], queue), loss)
    torch.testing.assert_close(dense(whole, 9 * cells, keys / 7, 3 * queue), loss)
    torch.testing.assert_close(dense(whole, cells.flip(0), keys.flip(0), queue), loss)


def test_is_moco_where_an_image_is_one_cell() -> None:
    queries, keys, queue = rows(6, 4), rows(6, 4, seed=1), rows(5, 4, seed=2)
    whole = moco(queries, keys, queue, temperature=0.2)
    found = densecl(whole, queries[:, None], keys[:, None], queue, dense_weight=0.3, temperature=0.2)
    torch.testing.assert_close(found, whole)


def test_cells_without_a_key_count_nothing() -> None:
    cells, keys, queue = rows(2, 3, 4), rows(2, 3, 4, seed=1), rows(5, 4, seed=2)
    valid = torch.tensor([[True, False, True], [True, False, True]])
    whole, dense = torch.tensor(1.0), partial(densecl, dense_weight=0.5, temperature=0.2)
    found = dense(whole, cells, keys, queue, valid=valid)
    torch.testing.assert_close(found, dense(whole, cells[:, ::2], keys[:, ::2], queue))
    with pytest.raises(NothingToMatch, match="0 cells have a key"):
        dense(whole, cells, keys, queue, valid=torch.zeros(2, 3, dtype=torch.bool))


def test_what_does_not_fit_is_named() -> None:
    cells, queue, whole = rows(2, 3, 4), rows(5, 4), torch.tensor(1.0)
    with pytest.raises(ValueError, match=r"one shape \(B, S, D\), found \(2, 3, 4\) and \(2, 2, 4\)"):
        densecl(whole, cells, cells[:, :2], queue, dense_weight=0.5, temperature=0.2)
    with pytest.raises(ValueError, match=r"dense_weight must lie in \[0, 1\], found 1\.5"):
        densecl(whole, cells, cells, queue, dense_weight=1.5, temperature=0.2)
    with pytest.raises(NothingToMatch, match="6 cells have a key, and the queue has 0 keys"):
        densecl(whole, cells, cells, queue[:0], dense_weight=0.5, temperature=0.2)


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
