from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from pairlab.experiment.methods import ChangeWeight, PixelInfoNCE
from pairlab.experiment.network import Network
from pairlab.experiment.training import Pretraining
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.pixel_infonce import NothingToMatch, gather_points, pixel_infonce
from pairlab.networks import build_network
from pairlab.objectives.building import build_objective
from pairlab.objectives.pixel_infonce import PixelInfoNCEObjective
from pairlab.views.batches import PairBatch, PairBatches
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SOURCE = CoordinateScenes()
NETWORK = build_network(Network(), seed=0)
CHANNELS, GRID = NETWORK.channels, 8


def batch() -> PairBatch:
    pairs = pair_list(SOURCE.scenes, size=32, count=4)
    return PairBatches(SOURCE, pairs, Pretraining(batch_size=4), seed=0, grid=GRID, points=20).batch(0)


def objective(**config: object) -> PixelInfoNCEObjective:
    built = build_objective(PixelInfoNCE.model_validate(config), NETWORK, seed=0)
    assert isinstance(built, PixelInfoNCEObjective)
    return built


def features(side: int = GRID, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(8, CHANNELS, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [GRID, 16])
def test_geometric_matching_compares_the_cells_of_the_same_ground(side: int) -> None:
    loss, drawn = objective(), batch()
    anchors, positives = loss.projection(features(side), grid=GRID).chunk(2)
    expected = pixel_infonce(
        gather_points(anchors, torch.from_numpy(drawn.cells_a)),
        gather_points(positives, torch.from_numpy(drawn.cells_b)),
        temperature=0.2,
        valid=torch.from_numpy(drawn.valid.ravel()),
    )
    torch.testing.assert_close(loss(features(side), drawn), expected, atol=0, rtol=0)


@pytest.mark.parametrize("side", [GRID, 16])
def test_feature_matching_keeps_the_anchors_and_chooses_their_positives_by_the_decoders_features(side: int) -> None:
    loss, drawn = objective(matching="feature"), batch()
    pooled = functional.adaptive_avg_pool2d(features(side), GRID)
    first, second = pooled.chunk(2)
    chosen = most_alike(first, second, torch.from_numpy(drawn.cells_a))
    assert (chosen.numpy() != drawn.cells_b).any()
    expected = objective()(features(side), replace(drawn, cells_b=chosen.numpy()))
    torch.testing.assert_close(loss(features(side), drawn), expected, atol=0, rtol=0)


def test_feature_matching_finds_turned_content_where_it_went() -> None:
    # The second views are the first ones turned by half: every cell's counterpart lies opposite.
    loss, drawn = objective(matching="feature"), batch()
    first = features()[:4]
    both = torch.cat([first, first.flip(2, 3)])
    opposite = GRID * GRID - 1 - drawn.cells_a
    expected = objective()(both, replace(drawn, cells_b=opposite))
    torch.testing.assert_close(loss(both, drawn), expected, atol=0, rtol=0)
    assert loss(both, drawn) < objective()(both, drawn)


def test_gradients_reach_features_and_head_under_both_ways_of_matching() -> None:
    for matching in ("geometric", "feature"):
        loss, given = objective(matching=matching), features().requires_grad_()
        torch.autograd.backward(loss(given, batch()))
        assert given.grad is not None
        assert given.grad.abs().sum() > 0
        assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in loss.projection.parameters())


def test_points_count_as_the_batch_says_where_the_method_weighs() -> None:
    drawn = batch()
    weights = torch.rand(drawn.weights.shape, generator=torch.Generator().manual_seed(1))
    weighed = replace(drawn, weights=weights.numpy())
    plain, weighing = objective(), objective(change_weight=ChangeWeight().model_dump())
    torch.testing.assert_close(weighing(features(), drawn), plain(features(), drawn))
    torch.testing.assert_close(plain(features(), weighed), plain(features(), drawn), atol=0, rtol=0)
    anchors, positives = plain.projection(features(), grid=GRID).chunk(2)
    expected = pixel_infonce(
        gather_points(anchors, torch.from_numpy(drawn.cells_a)),
        gather_points(positives, torch.from_numpy(drawn.cells_b)),
        temperature=0.2,
        valid=torch.from_numpy(drawn.valid.ravel()),
        weights=weights.ravel(),
    )
    torch.testing.assert_close(weighing(features(), weighed), expected, atol=0, rtol=0)
    assert not torch.allclose(expected, plain(features(), drawn), atol=1e-4)


def test_a_batch_that_differs_everywhere_is_never_a_silent_zero() -> None:
    drawn = batch()
    nothing = replace(drawn, weights=drawn.weights * 0)
    with pytest.raises(NothingToMatch, match="have weight 0"):
        objective(change_weight=ChangeWeight().model_dump())(features(), nothing)
