"""PixPro with a real network and real views."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.checkpoint import SavedFile
from pairlab.engine.passes import WholeBatch
from pairlab.events import Finished, Metrics, Saved
from pairlab.experiment.methods import PixPro
from pairlab.experiment.network import Network
from pairlab.experiment.training import Pretraining
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.pixpro import pixpro
from pairlab.networks import DenseNetwork, build_network, on_grid
from pairlab.objectives.building import build_objective
from pairlab.objectives.pixpro import PixProObjective
from pairlab.views.batches import PairBatch, PairBatches
from tests.pairlab.losses.test_pixpro import propagation
from tests.pairlab.training_jobs import pretrain_job, run
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SOURCE = CoordinateScenes()
PAIRS, SIZE, GRID = 4, 32, 4


def built(**fields: Any) -> tuple[DenseNetwork, PixProObjective]:  # noqa: ANN401
    network = build_network(Network(decoder_channels=64), seed=0)
    config = PixPro.model_validate({"hidden_dim": 16, "embedding_dim": 8, **fields})
    objective = build_objective(config, network, seed=0)
    assert isinstance(objective, PixProObjective)
    return network, objective


def batch(objective: PixProObjective, *, masked: float = 0.0) -> PairBatch:
    pairs = pair_list(SOURCE.scenes, size=SIZE, count=PAIRS, masked=masked)
    training, grid = Pretraining(batch_size=PAIRS), SIZE // objective.grid_stride
    return PairBatches(SOURCE, pairs, training, seed=0, grid=grid, points=0, reach=objective.reach).batch(0)


def views(*, seed: int = 0) -> Tensor:
    return torch.randn(2 * PAIRS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def rows(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)


def unit_values(objective: PixProObjective, projected: Tensor) -> Tensor:
    return functional.normalize(rows(objective.transform(projected)), dim=2)


def weights(module: nn.Module) -> list[Tensor]:
    return [each.detach().clone() for each in module.parameters()]


def test_smoothed_cells_are_held_against_the_copys_cells_of_the_other_view() -> None:
    network, objective = built(sharpness=1.5)
    drawn = batch(objective)
    assert len(drawn.matches) > 20
    with torch.no_grad():
        for each in [*objective.target.parameters(), *objective.transform.parameters()]:  # a copy that lags behind
            each.add_(0.05 * torch.randn(each.shape, generator=torch.Generator().manual_seed(1)))
    projected = objective.projector(on_grid(network(views()), GRID))
    y = propagation(rows(projected), unit_values(objective, projected), 1.5)
    x = rows(objective.target.head(on_grid(objective.target.network(views()), GRID)))
    expected = pixpro(*y.chunk(2), *x.chunk(2), matches=torch.from_numpy(drawn.matches))
    found = objective.loss(WholeBatch(network), views(), drawn)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_transform_begins_as_the_identity() -> None:
    _, objective = built()
    given = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(objective.transform(given), given)


def test_gradients_reach_network_projector_and_transform_and_never_the_copy() -> None:
    network, objective = built()
    torch.autograd.backward(objective.loss(WholeBatch(network), views(), batch(objective)))
    for module in (network, objective.projector, objective.transform):
        assert all(each.grad is not None for each in module.parameters())
        assert any((each.grad != 0).any() for each in module.parameters() if each.grad is not None)
    assert all(each.grad is None for each in objective.target.parameters())
    assert not any(each.requires_grad for each in objective.target.parameters())


def test_the_gradient_is_that_of_targets_that_stand_still() -> None:
    network, objective = built()
    network, objective, given = network.double(), objective.double(), views().double()
    drawn = batch(objective)
    found = objective.loss(WholeBatch(network), given, drawn)
    with torch.no_grad():
        constant = rows(objective.target.head(on_grid(objective.target.network(given), GRID))).clone()
    projected = objective.projector(on_grid(network(given), GRID))
    y = propagation(rows(projected), unit_values(objective, projected), 2.0)
    expected = pixpro(*y.chunk(2), *constant.chunk(2), matches=torch.from_numpy(drawn.matches))
    trained = [*network.parameters(), *objective.projector.parameters(), *objective.transform.parameters()]
    for one, other in zip(torch.autograd.grad(found, trained), torch.autograd.grad(expected, trained), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_copy_follows_network_and_projector_with_a_momentum_that_rises() -> None:
    network, objective = built(momentum=0.5)
    start = weights(objective.target)
    with torch.no_grad():
        for each in [*network.parameters(), *objective.projector.parameters()]:
            each.add_(1.0)
    objective.after_step(network, step=0, total=2)  # momentum 0.5
    objective.after_step(network, step=1, total=2)  # half-way to 1: 0.75
    torch.testing.assert_close(weights(objective.target), [each + 1 - 0.5 * 0.75 for each in start])


def test_the_head_is_a_projector_of_two_layers_and_a_linear_transform() -> None:
    _, objective = built(hidden_dim=24, embedding_dim=6)
    assert [type(each).__name__ for each in objective.projector] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d"]
    kernels = [each.weight.shape for each in objective.modules() if isinstance(each, nn.Conv2d)]
    assert (24, 32, 1, 1) in kernels
    assert (6, 24, 1, 1) in kernels
    assert objective.transform.weight.shape == (6, 6, 1, 1)


@pytest.mark.parametrize(("stride", "cells"), [(4, 64), (8, 16), (16, 4), (32, 1)])
def test_every_grid_trains(stride: int, cells: int) -> None:
    network, objective = built(grid_stride=stride)
    drawn = batch(objective)
    assert drawn.matches.max() < PAIRS * cells
    loss = objective.loss(WholeBatch(network), views(), drawn)
    torch.autograd.backward(loss)
    assert -2 <= float(loss.detach()) <= 2


def test_a_tolerance_lets_cells_further_apart_match_and_excluded_ones_never() -> None:
    (_, exact), (_, wide) = built(), built(match_tolerance_px=12.0)
    some, more = batch(exact), batch(wide)
    assert set(map(tuple, some.matches)) < set(map(tuple, more.matches))
    assert np.array_equal(some.views, more.views)
    free, masked = batch(wide), batch(wide, masked=1.0)
    assert set(map(tuple, masked.matches)) < set(map(tuple, free.matches))


def test_views_without_matches_have_nothing_to_match() -> None:
    network, objective = built()
    apart = replace(batch(objective), matches=np.zeros((0, 2), dtype=np.int64))
    with pytest.raises(NothingToMatch, match="nothing to match"):
        objective.loss(WholeBatch(network), views(), apart)


def test_the_order_of_pairs_does_not_matter() -> None:
    network, objective = built()
    network, objective, given = network.double(), objective.double(), views().double()
    drawn = batch(objective)
    pair, cell = np.divmod(drawn.matches, GRID**2)
    turned = (PAIRS - 1 - pair) * GRID**2 + cell
    turned = turned[np.argsort(turned[:, 0], kind="stable")]
    order = [*range(PAIRS - 1, -1, -1), *range(2 * PAIRS - 1, PAIRS - 1, -1)]
    torch.testing.assert_close(
        objective.loss(WholeBatch(network), given[order], replace(drawn, matches=turned)),
        objective.loss(WholeBatch(network), given, drawn),
    )


def test_what_was_compared_are_matching_cells() -> None:
    network, objective = built()
    objective.loss(WholeBatch(network), views(), batch(objective))
    assert objective.compared is not None
    anchors, positives = objective.compared
    assert anchors.shape == positives.shape == (len(batch(objective).matches), 8)
    assert not anchors.requires_grad
    assert not positives.requires_grad
    agreement = functional.cosine_similarity(anchors, positives)
    assert agreement.abs().max() <= 1 + 1e-6


def test_autocast_leaves_loss_and_state_in_float32() -> None:
    network, objective = built()
    kept = {name: each.dtype for name, each in objective.state_dict().items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective.loss(WholeBatch(network), views(), batch(objective))
    assert loss.dtype == torch.float32
    torch.autograd.backward(loss)
    objective.after_step(network, step=0, total=2)
    assert {name: each.dtype for name, each in objective.state_dict().items()} == kept
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)


METHOD = {"name": "pixpro", "hidden_dim": 32, "embedding_dim": 16, "match_tolerance_px": 6.0}


def test_a_resumed_run_ends_with_the_same_bits_and_the_loss_falls(tmp_path: Path) -> None:
    training = {"steps": 8, "batch_size": 6, "warmup_steps": 1, "checkpoint_every": 8, "learning_rate": 5e-3}
    job = pretrain_job(method=METHOD, pretraining=training)
    whole = list(run(job, tmp_path / "whole"))
    calls = iter([False, False, True])
    stopped = list(run(job, tmp_path / "stopped", should_stop=lambda: next(calls)))
    (last,) = (event for event in stopped if isinstance(event, Saved) and event.kind == "checkpoint")
    assert last.step == 3
    resumed = list(run(job, tmp_path / "resumed", start=SavedFile(last.path, last.sha256)))
    for kind in ("checkpoint", "weights"):
        (expected,), (found,) = (
            [event for event in events if isinstance(event, Saved) and event.kind == kind]
            for events in (whole, resumed)
        )
        assert (found.step, found.sha256) == (8, expected.sha256)
    curve = [event.values["loss"] for event in whole if isinstance(event, Metrics) and "loss" in event.values]
    assert min(curve[-2:]) < curve[0] - 0.05
    assert isinstance(resumed[-1], Finished)
