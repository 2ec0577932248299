import math
from typing import Any

import pytest
import torch
from lightly.loss import VICRegLLoss
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.vicreg import vicreg
from pairlab.losses.vicregl import LocalMatching, local_vicreg

WEIGHTS = {"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def given(batch: int = 6, cells: int = 9, dim: int = 4, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b = rows(batch, cells, dim, seed=seed), rows(batch, cells, dim, seed=seed + 1)
    return a, b, 10 * rows(batch, cells, 2, seed=seed + 2), 10 * rows(batch, cells, 2, seed=seed + 3)


def loss(
    a: Tensor, b: Tensor, at: Tensor, bt: Tensor, *, place: int = 20, features: int = 4, within: float = math.inf
) -> Tensor:
    limits = torch.full((len(a),), within)
    matching = LocalMatching(by_place=place, by_features=features)
    return local_vicreg(a, b, at, bt, matching=matching, within=limits, **WEIGHTS)


def literal(a: Tensor, b: Tensor, at: Tensor, bt: Tensor, place: int, features: int, within: list[float]) -> float:
    """Section 3.2 as it is written, cell by cell; ℓ by its own equations."""

    def criterion(pairs: list[tuple[Tensor, Tensor]]) -> float:
        z, other = (torch.stack(each).double() for each in zip(*pairs, strict=True))
        n, d = z.shape
        total = 25.0 * sum(float((z[i] - other[i]).square().sum()) for i in range(n)) / (n * d)
        for view in (z, other):
            centred = view - view.mean(0)
            matrix = sum(torch.outer(row, row) for row in centred) / (n - 1)
            assert isinstance(matrix, Tensor)
            total += 12.5 / d * sum(max(0.0, 1 - math.sqrt(float(matrix[j, j]) + 1e-4)) for j in range(d))
            total += sum(float(matrix[i, j]) ** 2 for i in range(d) for j in range(d) if i != j) / d
        return total

    def matched(z: Tensor, other: Tensor, key: Tensor, key_of_other: Tensor, count: int, limit: list[float]) -> float:
        pairs = []
        for image in range(len(z)):
            found = []
            for cell in range(z.shape[1]):
                distances = [math.dist(key[image, cell].tolist(), each.tolist()) for each in key_of_other[image]]
                best = min(range(len(distances)), key=distances.__getitem__)
                found.append((distances[best], cell, best))
            pairs += [(z[image, c], other[image, o]) for d, c, o in sorted(found)[:count] if d <= limit[image]]
        return criterion(pairs)

    far = [math.inf] * len(a)
    by_place = (matched(a, b, at, bt, place, within) + matched(b, a, bt, at, place, within)) / 2
    return by_place + (matched(a, b, a, b, features, far) + matched(b, a, b, a, features, far)) / 2


@pytest.mark.parametrize(("place", "features"), [(20, 4), (3, 2), (1, 9)])
@pytest.mark.parametrize("within", [math.inf, 6.0])
def test_agrees_with_the_equations(place: int, features: int, within: float) -> None:
    for seed in range(3):
        arguments = given(seed=10 * seed)
        expected = literal(*arguments, place, features, [within] * 6)
        found = loss(*arguments, place=place, features=features, within=within)
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_agrees_with_lightly_where_an_image_has_one_match() -> None:
    """With one match of an image there is one rank, and statistics over it are those over all rows."""
    a, b, at, bt = given(batch=16, dim=8)
    a.requires_grad_()
    # Lightly halves its covariance term against VICReg's; alpha 0 leaves the local loss.
    criterion = VICRegLLoss(alpha=0.0, num_matches=(1, 1), nu_param=2.0)
    whole = rows(16, 8)
    square = [each.reshape(16, 3, 3, -1) for each in (a, b, at, bt)]
    expected = criterion([(whole, square[0]), (-whole, square[1])], [square[2], square[3]])[0]
    found = loss(a, b, at, bt, place=1, features=1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-6)
    gradients = (torch.autograd.grad(each, a, retain_graph=True) for each in (found, expected))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_two_images_by_hand() -> None:
    # One cell per view and dimension: ±1 in the first views, ±2 in the second, at the same places.
    a, b = torch.tensor([[[1.0]], [[-1.0]]]), torch.tensor([[[2.0]], [[-2.0]]])
    places = torch.zeros(2, 1, 2)
    # Invariance 25 · 1; both vary by √2 and √8, more than 1; one dimension covaries with none. Both matchings.
    assert loss(a, b, places, places).item() == pytest.approx(50.0, abs=1e-4)
    assert loss(a, b, places, places, features=0).item() == pytest.approx(25.0, abs=1e-4)
    # A tenth as much: variances 0.02 and 0.08.
    lack = 2 - math.sqrt(0.0201) - math.sqrt(0.0801)
    expected = 25 * 0.01 + 12.5 * lack
    assert loss(a / 10, b / 10, places, places, place=0).item() == pytest.approx(expected, abs=1e-4)


def test_cells_that_lie_far_apart_do_not_match() -> None:
    a, b, at, _ = given()
    bt = at + torch.tensor([3.0, 4.0])  # every cell's partner lies at most 5 away
    near = loss(a, b, at, bt, features=0, within=5.001)
    torch.testing.assert_close(near, loss(a, b, at, bt, features=0))
    bt[:3] += 1000.0  # the views of half the pairs no longer overlap
    expected = loss(a[3:], b[3:], at[3:], bt[3:], features=0, within=5.001)
    torch.testing.assert_close(loss(a, b, at, bt, features=0, within=5.001), expected)
    assert loss(a, b, at, bt, features=0) != expected


def test_without_a_match_by_place_features_go_on_alone() -> None:
    a, b, at, bt = given()
    alone = loss(a, b, at, bt, place=0)
    torch.testing.assert_close(loss(a, b, at, bt + 1e4, within=5.0), alone)
    with pytest.raises(NothingToMatch, match=r"no 6 pairs have cells within 5 pixels.*crop_scale"):
        loss(a, b, at, bt + 1e4, features=0, within=5.0)


def test_each_pair_has_its_own_limit() -> None:
    a, b, at, _ = given()
    bt = at + torch.tensor([3.0, 4.0])
    limits = torch.tensor([5.001, 1e-3, 5.001, 1e-3, 5.001, 1e-3])
    matching = LocalMatching(by_place=9, by_features=0)
    some = [0, 2, 4]
    found = local_vicreg(a, b, at, bt, matching=matching, within=limits, **WEIGHTS)
    torch.testing.assert_close(found, loss(a[some], b[some], at[some], bt[some], place=9, features=0))


def test_views_and_orders_do_not_matter_and_places_only_by_their_distances() -> None:
    a, b, at, bt = given()
    expected = loss(a, b, at, bt, within=8.0)
    torch.testing.assert_close(loss(b, a, bt, at, within=8.0), expected)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(loss(a[:, order], b, at[:, order], bt, within=8.0), expected)
    torch.testing.assert_close(loss(a, b.flip(1), at, bt.flip(1), within=8.0), expected)
    torch.testing.assert_close(loss(*(each.flip(0) for each in (a, b, at, bt)), within=8.0), expected)
    torch.testing.assert_close(loss(a, b, at + 7.0, bt + 7.0, within=8.0), expected)


def test_with_all_cells_of_views_that_agree_it_is_vicreg_of_the_cells() -> None:
    a, _, at, _ = given()
    expected = vicreg(a.flatten(0, 1), a.flatten(0, 1), **WEIGHTS)
    torch.testing.assert_close(loss(a, a, at, at, place=9, features=0), expected)
    torch.testing.assert_close(loss(a, a, at, at, place=0, features=9), expected)


def test_gradients_are_those_of_the_formula_and_reach_matched_cells_alone() -> None:
    a, b, at, bt = (each.double() for each in given(batch=3, cells=4, dim=2))
    start = a.requires_grad_(), b.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: loss(x, y, at, bt, place=2, features=0), start)
    torch.autograd.backward(loss(a, b, at, bt, place=1, features=0))
    for each in start:
        assert each.grad is not None
        reached = (each.grad.norm(dim=2) > 0).sum(dim=1)
        assert ((reached >= 1) & (reached <= 2)).all()  # its own match, and another view's


def test_precision_is_kept_under_autocast() -> None:
    arguments = given(batch=16, dim=16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(*arguments)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(*arguments))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b": rows(6, 8, 4)}, r"one shape \(B, S, D\), found \(6, 9, 4\) and \(6, 8, 4\)"),
        ({"bt": rows(6, 9, 3)}, r"places must have shape \(B, S, 2\).*found \(6, 9, 2\) and \(6, 9, 3\)"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], said: str) -> None:
    names = dict(zip(("a", "b", "at", "bt"), given(), strict=True))
    with pytest.raises(ValueError, match=said):
        loss(*(names | change).values())
