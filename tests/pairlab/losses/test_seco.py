import math

import pytest
import torch
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.moco import moco
from pairlab.losses.seco import seco

Given = tuple[list[Tensor], list[list[Tensor]], list[Tensor]]


def given(batch: int = 4, size: int = 6, dim: int = 5, *, seed: int = 0) -> Given:
    generator = torch.Generator().manual_seed(seed)
    queries = list(torch.randn(3, batch, dim, generator=generator).unbind())
    keys = [list(each.unbind()) for each in torch.randn(3, 3, batch, dim, generator=generator)]
    return queries, keys, list(torch.randn(3, size, dim, generator=generator).unbind())


def literal(queries: list[Tensor], keys: list[list[Tensor]], queues: list[Tensor], temperature: float) -> float:
    """The three losses, number by number; negatives as the authors' code takes them."""

    def likeness(u: Tensor, v: Tensor) -> float:
        cosine = (u @ v / math.sqrt((u @ u).item() * (v @ v).item())).item()
        return math.exp(cosine / temperature)

    total = 0.0
    for space in range(3):
        for place in range(len(queries[0])):
            q = queries[space][place].double()
            likenesses = [likeness(q, keys[space][key][place].double()) for key in range(3)]
            queued = sum(likeness(q, each.double()) for each in queues[space])
            others = 0.0 if space == 0 else sum(likenesses) - likenesses[space]
            share = likenesses[space] / (likenesses[space] + queued + others)
            total -= math.log(share) / len(queries[0])
    return total


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_agrees_with_the_equations(temperature: float) -> None:
    for seed in range(3):
        arguments = given(seed=seed)
        expected = literal(*arguments, temperature)
        assert seco(*arguments, temperature=temperature).item() == pytest.approx(expected, abs=1e-5)


def test_one_place_by_hand() -> None:
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    # In each subspace the query is x, its positive x and the other keys y; the queue holds y. τ = 1.
    keys = [[x if key == space else y for key in range(3)] for space in range(3)]
    invariant = -math.log(math.e / (math.e + 1))
    others = -math.log(math.e / (math.e + 3))
    assert seco([x] * 3, keys, [y] * 3, temperature=1.0).item() == pytest.approx(invariant + 2 * others, abs=1e-6)


def test_the_first_subspace_is_moco_and_its_other_keys_do_not_matter() -> None:
    queries, keys, queues = given()
    start = seco(queries, keys, queues, temperature=0.5)
    first = moco(queries[0], keys[0][0], queues[0], temperature=0.5)
    moved = [[keys[0][0], -keys[0][1], -keys[0][2]], *keys[1:]]
    torch.testing.assert_close(seco(queries, moved, queues, temperature=0.5), start)
    rest = seco([torch.zeros_like(queries[0]), *queries[1:]], keys, queues, temperature=0.5)
    uniform = math.log(1 + len(queues[0]))  # a query of length 0 is as like to all
    torch.testing.assert_close(start - first, rest - uniform)


@pytest.mark.parametrize(("space", "key"), [(1, 0), (1, 2), (2, 0), (2, 1)])
def test_a_places_other_keys_repel_in_the_other_subspaces(space: int, key: int) -> None:
    queries, keys, queues = given()
    start = seco(queries, keys, queues, temperature=0.5)
    keys[space][key] = queries[space]
    assert seco(queries, keys, queues, temperature=0.5) > start
    keys[space][key] = -queries[space]
    assert seco(queries, keys, queues, temperature=0.5) < start


def test_other_places_keys_are_no_negatives() -> None:
    queries, keys, queues = given()
    alone = [
        seco([q[i : i + 1] for q in queries], [[k[i : i + 1] for k in own] for own in keys], queues, temperature=0.5)
        for i in range(4)
    ]
    torch.testing.assert_close(seco(queries, keys, queues, temperature=0.5), torch.stack(alone).mean())


def test_gradients_reach_every_query_and_no_key() -> None:
    queries, keys, queues = given()
    queries = [each.requires_grad_() for each in queries]
    still = [each.requires_grad_() for each in [*queues, *(key for own in keys for key in own)]]
    torch.autograd.backward(seco(queries, keys, queues, temperature=0.2))
    assert all(each.grad is None for each in still)
    for each in queries:
        assert each.grad is not None
        assert (each.grad.norm(dim=1) > 0).all()


def test_gradients_are_those_of_the_formula() -> None:
    queries, keys, queues = given(batch=2, size=3, dim=3)
    wide = [[key.double() for key in own] for own in keys]
    long = [each.double() for each in queues]
    start = tuple(each.double().requires_grad_() for each in queries)
    assert torch.autograd.gradcheck(lambda *q: seco(q, wide, long, temperature=0.5), start)


def test_precision_is_kept_under_autocast() -> None:
    arguments = given(batch=32, size=64, dim=16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = seco(*arguments, temperature=0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, seco(*arguments, temperature=0.1))


def test_what_does_not_fit_is_named() -> None:
    queries, keys, queues = given()
    with pytest.raises(ValueError, match=r"three subspaces.*found \(2, \(3, 3, 3\), 3\)"):
        seco(queries[:2], keys, queues, temperature=0.2)
    alone = [[each[:1] for each in own] for own in keys]
    with pytest.raises(NothingToMatch, match="1 queries, and 0 keys in the queue"):
        seco([each[:1] for each in queries], alone, [each[:0] for each in queues], temperature=0.2)
