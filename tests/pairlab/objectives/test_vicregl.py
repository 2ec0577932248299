import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import VICReg, VICRegL
from pairlab.experiment.network import Network
from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.vicreg import vicreg
from pairlab.losses.vicregl import LocalMatching, local_vicreg
from pairlab.networks import MapAndLevels, build_network, on_grid
from pairlab.objectives.building import build_learner, build_objective
from pairlab.objectives.vicregl import VICRegLObjective
from pairlab.views.batches import PairBatch, PairBatches
from tests.pairlab.objectives.test_global_methods import PAIRS, SOURCE, views
from tests.pairlab.views.known_geometry import pair_list

WEIGHTS = {"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}
GRID = 4


def batch(**augmentation: Any) -> PairBatch:  # noqa: ANN401
    pairs = pair_list(SOURCE.scenes, size=32, count=PAIRS, shift_px=2.0)
    training = Pretraining(batch_size=PAIRS, augmentation=Augmentation.model_validate(augmentation))
    return PairBatches(SOURCE, pairs, training, seed=0, grid=GRID, points=0, cells=True).batch(0)


def built(**fields: Any) -> tuple[MapAndLevels, VICRegLObjective]:  # noqa: ANN401
    config = VICRegL.model_validate({"hidden_dim": 16, "embedding_dim": 16, "local_dim": 8, **fields})
    learner = build_learner(config, build_network(Network(decoder_channels=64), seed=0), size=32)
    assert isinstance(learner, MapAndLevels)
    objective = build_objective(config, learner, seed=0)
    assert isinstance(objective, VICRegLObjective)
    return learner, objective


def test_the_loss_is_that_of_whole_images_and_of_cells() -> None:
    network, objective = built(alpha=0.25, location_matches=5, feature_matches=3, match_tolerance_px=6.0)
    given = batch()
    features = network.network(views())
    levels = torch.cat([level.mean(dim=(2, 3)) for level in network.network.encoder(views())[1:]], dim=1)
    assert objective.expander is not None
    assert objective.local_expander is not None
    one, other = objective.expander(levels).chunk(2)
    whole = vicreg(one, other, **WEIGHTS)
    rows = on_grid(features, GRID).permute(0, 2, 3, 1).reshape(2 * PAIRS * GRID * GRID, -1)
    cells_a, cells_b = objective.local_expander(rows).reshape(2 * PAIRS, GRID * GRID, -1).chunk(2)
    places_a, places_b = torch.from_numpy(given.ground).float().chunk(2)
    local = local_vicreg(
        cells_a,
        cells_b,
        places_a,
        places_b,
        matching=LocalMatching(by_place=5, by_features=3),
        within=torch.full((PAIRS,), 6.0),
        **WEIGHTS,
    )
    found = objective.loss(WholeBatch(network), views(), given)
    torch.testing.assert_close(found, 0.25 * whole + 0.75 * local)


def test_without_a_local_share_it_is_vicreg() -> None:
    network, objective = built(alpha=1.0)
    assert objective.local_expander is None
    config = VICReg(hidden_dim=16, embedding_dim=16)
    levels = build_learner(config, network.network, size=32)
    given = batch()
    expected = build_objective(config, levels, seed=0).loss(WholeBatch(levels), views(), given)
    torch.testing.assert_close(objective.loss(WholeBatch(network), views(), given), expected)


def test_the_limit_is_the_diagonal_of_the_larger_cell_or_as_asked() -> None:
    given = batch()
    places = torch.from_numpy(given.ground).float()
    sides = np.sqrt(np.abs(np.linalg.det(given.views[:, :, :2]))) * 32 / GRID
    expected = math.sqrt(2) * np.maximum(sides[:PAIRS], sides[PAIRS:])
    np.testing.assert_allclose(built()[1]._within(places, size=32).numpy(), expected, rtol=1e-4)
    asked = built(match_tolerance_px=7.5)[1]._within(places, size=32)
    assert asked.tolist() == [7.5] * PAIRS


def test_views_that_do_not_overlap_have_nothing_to_match_by_place() -> None:
    network, objective = built(feature_matches=0)
    given = batch(crop_scale=(0.1, 0.1))
    far = given.ground.copy()
    far[PAIRS:] += 500.0
    apart = replace(given, ground=far)
    with pytest.raises(NothingToMatch, match="nothing to match: no 6 pairs have cells within"):
        objective.loss(WholeBatch(network), views(), apart)
    network, objective = built(feature_matches=2)
    assert torch.isfinite(objective.loss(WholeBatch(network), views(), apart))


def test_gradients_reach_both_expanders_and_the_network() -> None:
    network, objective = built()
    torch.autograd.backward(objective.loss(WholeBatch(network), views(), batch()))
    trained = [*network.parameters(), *objective.parameters()]
    assert all(each.grad is not None and bool(torch.isfinite(each.grad).all()) for each in trained)
    for expander in (objective.expander, objective.local_expander):
        assert expander is not None
        first = next(expander.parameters())
        assert first.grad is not None
        assert (first.grad != 0).any()


def test_autocast_leaves_the_loss_in_float32() -> None:
    network, objective = built()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective.loss(WholeBatch(network), views(), batch())
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
