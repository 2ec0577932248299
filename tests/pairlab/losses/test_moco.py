import doctest
import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch import Tensor

from pairlab.losses import moco as module
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.moco import moco


def embeddings(batch: int, size: int, dim: int, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries, keys, queue = (torch.randn(rows, dim, generator=generator) for rows in (batch, batch, size))
    return queries, keys, queue


def lightly(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    criterion = NTXentLoss(temperature=temperature, memory_bank_size=(len(queue), queue.shape[1]))
    criterion.memory_bank.bank = torch.nn.functional.normalize(queue, dim=1)
    loss: Tensor = criterion(queries, keys)
    return loss


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 2), (4, 3, 8), (33, 512, 128)])
def test_agrees_with_lightly(shape: tuple[int, int, int], temperature: float) -> None:
    given = embeddings(*shape)
    expected = lightly(*given, temperature)
    torch.testing.assert_close(moco(*given, temperature=temperature), expected, atol=1e-5, rtol=0)


def test_gradients_agree_with_lightly() -> None:
    queries, keys, queue = embeddings(8, 32, 16)
    queries.requires_grad_()
    ours = torch.autograd.grad(moco(queries, keys, queue, temperature=0.2), queries)
    torch.testing.assert_close(
        ours, torch.autograd.grad(lightly(queries, keys, queue, 0.2), queries), atol=1e-5, rtol=0
    )


def test_two_queries_by_hand() -> None:
    queries, keys = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [5.0, 0.0]])
    queue = torch.tensor([[0.0, 7.0], [-1.0, 0.0]])
    # At τ = 0.5: x with its own x against y and −x; y with its own x against y and −x.
    first = -math.log(math.exp(2) / (math.exp(2) + 1 + math.exp(-2)))
    second = -math.log(1 / (1 + math.exp(2) + 1))
    assert moco(queries, keys, queue, temperature=0.5).item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_no_gradient_passes_into_keys_or_queue() -> None:
    queries, keys, queue = (each.requires_grad_() for each in embeddings(8, 16, 4))
    torch.autograd.backward(moco(queries, keys, queue, temperature=0.2))
    assert keys.grad is None
    assert queue.grad is None
    assert queries.grad is not None
    assert (queries.grad.abs().sum(dim=1) > 0).all()


def test_gradients_are_those_of_the_formula() -> None:
    queries, keys, queue = (each.double() for each in embeddings(4, 6, 3))
    assert torch.autograd.gradcheck(lambda q: moco(q, keys, queue, temperature=0.5), (queries.requires_grad_(),))


def test_neither_orders_nor_lengths_nor_rotations_matter() -> None:
    queries, keys, queue = embeddings(8, 16, 4)
    loss = moco(queries, keys, queue, temperature=0.5)
    generator = torch.Generator().manual_seed(1)
    pairs, place = torch.randperm(8, generator=generator), torch.randperm(16, generator=generator)
    torch.testing.assert_close(moco(queries[pairs], keys[pairs], queue[place], temperature=0.5), loss)
    lengths = torch.linspace(0.5, 50, 8).unsqueeze(1)
    torch.testing.assert_close(moco(queries * lengths, keys / lengths, 3 * queue, temperature=0.5), loss)
    turn = torch.linalg.qr(embeddings(4, 4, 4, seed=2)[0]).Q
    torch.testing.assert_close(moco(queries @ turn, keys @ turn, queue @ turn, temperature=0.5), loss)


def test_keys_of_one_batch_are_no_negatives_of_each_other() -> None:
    queries, keys, queue = embeddings(8, 16, 4)
    alone = [moco(queries[i : i + 1], keys[i : i + 1], queue, temperature=0.5) for i in range(8)]
    torch.testing.assert_close(moco(queries, keys, queue, temperature=0.5), torch.stack(alone).mean())


def test_its_own_key_scores_lower_than_anothers() -> None:
    queries, _, queue = embeddings(8, 16, 4)
    matched, other = (moco(queries, keys, queue, temperature=0.2) for keys in (queries, queries.roll(1, dims=0)))
    assert matched < other


def test_precision_is_kept_under_autocast_and_from_half_precision() -> None:
    given = embeddings(32, 64, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = moco(*given, temperature=0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, moco(*given, temperature=0.1))
    queries, keys, queue = (each.bfloat16() for each in given)
    expected = moco(queries.float(), keys.float(), queue.float(), temperature=0.1)
    torch.testing.assert_close(moco(queries, keys, queue, temperature=0.1), expected)


@pytest.mark.parametrize(("batch", "size"), [(0, 4), (4, 0)])
def test_too_little_to_compare_is_refused(batch: int, size: int) -> None:
    with pytest.raises(NothingToMatch, match=f"{batch} queries, and {size} keys in the queue"):
        moco(*embeddings(batch, size, 3), temperature=0.2)


def test_what_does_not_fit_is_named() -> None:
    queries, keys, queue = embeddings(4, 6, 3)
    with pytest.raises(ValueError, match=r"one shape \(N, D\), found \(4, 3\) and \(3, 3\)"):
        moco(queries, keys[:3], queue, temperature=0.2)
    with pytest.raises(ValueError, match=r"float of shape \(K, 3\), found torch\.float32 of \(6, 2\)"):
        moco(queries, keys, queue[:, :2], temperature=0.2)
    with pytest.raises(ValueError, match=r"float of shape \(K, 3\), found torch\.int64 of \(6, 3\)"):
        moco(queries, keys, queue.long(), temperature=0.2)
    with pytest.raises(ValueError, match="temperature must be positive and finite, found -1"):
        moco(queries, keys, queue, temperature=-1.0)


def test_the_examples_of_the_docstrings_run() -> None:
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_own_negatives_repel_their_query_alone() -> None:
    queries, keys, queue = embeddings(4, 6, 3)
    own = embeddings(8, 1, 3, seed=1)[0].reshape(4, 2, 3)
    found = moco(queries, keys, queue, temperature=0.5, own_negatives=3 * own)
    alone = [moco(queries[i : i + 1], keys[i : i + 1], torch.cat([queue, own[i]]), temperature=0.5) for i in range(4)]
    torch.testing.assert_close(found, torch.stack(alone).mean())
    own.requires_grad_()
    torch.autograd.backward(moco(queries.requires_grad_(), keys, queue, temperature=0.5, own_negatives=own))
    assert own.grad is None
    with pytest.raises(ValueError, match=r"own negatives .* of \(4, 3\) queries, found \(3, 2, 3\)"):
        moco(queries, keys, queue, temperature=0.5, own_negatives=own[:3])
