from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pairlab.checkpoint import SavedFile
from pairlab.events import Metrics, Saved
from pairlab.experiment.methods import ChangeWeight, PixelInfoNCE
from pairlab.experiment.network import Network
from pairlab.experiment.training import Pretraining
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.pixel_infonce import NothingToMatch, gather_points, pixel_infonce
from pairlab.losses.tolerant_infonce import tolerant_infonce
from pairlab.networks import PixelProjection, build_network
from pairlab.objectives.building import build_objective
from pairlab.objectives.pixel_infonce import PixelInfoNCEObjective
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.neighbours import positives_of_points
from tests.pairlab.training_jobs import pretrain_job, run
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


def batch_of(loss: PixelInfoNCEObjective, *, masked: float = 0.0) -> PairBatch:
    """The batch that the trainer would make for the objective."""
    pairs = pair_list(SOURCE.scenes, size=32, count=4, masked=masked)
    return PairBatches(
        SOURCE,
        pairs,
        Pretraining(batch_size=4),
        seed=0,
        grid=32 // loss.grid_stride,
        points=loss.points,
        change_weight=loss.change_weight,
        tolerance=loss.tolerance,
    ).batch(0)


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
@pytest.mark.parametrize("side", [2, 8])
def test_every_grid_takes_finer_and_coarser_features(stride: int, side: int) -> None:
    loss, grid = objective(grid_stride=stride), 32 // stride
    drawn, given = batch_of(loss), features(side).requires_grad_()
    cells = (
        functional.adaptive_avg_pool2d(given, grid)
        if side > grid
        else functional.interpolate(given, size=(grid, grid), mode="bilinear", align_corners=False)
    )
    anchors, positives = loss.projection(cells, grid=grid).chunk(2)
    assert anchors.shape[2:] == (grid, grid)
    expected = pixel_infonce(
        gather_points(anchors, torch.from_numpy(drawn.cells_a)),
        gather_points(positives, torch.from_numpy(drawn.cells_b)),
        temperature=0.2,
        valid=torch.from_numpy(drawn.valid.ravel()),
    )
    found = loss(given, drawn)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    torch.autograd.backward(found)
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


@pytest.mark.parametrize("weighed", [False, True])
def test_a_tolerance_takes_the_positives_of_the_batch(weighed: bool) -> None:
    changes = {"change_weight": ChangeWeight().model_dump()} if weighed else {}
    loss = objective(match_tolerance_px=5.0, **changes)
    drawn = batch_of(loss)
    assert drawn.positives_b.sum(axis=2)[drawn.valid].mean() > 3
    anchors, positives = loss.projection(features(), grid=GRID).chunk(2)
    expected = tolerant_infonce(
        anchors,
        positives,
        cells_a=torch.from_numpy(drawn.cells_a),
        cells_b=torch.from_numpy(drawn.cells_b),
        positives_a=torch.from_numpy(drawn.positives_a),
        positives_b=torch.from_numpy(drawn.positives_b),
        valid=torch.from_numpy(drawn.valid),
        temperature=0.2,
        weights=torch.from_numpy(drawn.weights) if weighed else None,
    )
    torch.testing.assert_close(loss(features(), drawn), expected, atol=0, rtol=0)
    assert loss(features(), drawn) < objective(**changes)(features(), drawn)


def test_content_that_moved_within_the_tolerance_costs_little() -> None:
    # Each cell has features of its own, and the second views show the first ones' content one cell to the right.
    loss, exact = objective(match_tolerance_px=5.0, temperature=0.05), objective(temperature=0.05)
    loss.projection = exact.projection = PixelProjection(CHANNELS, embedding_dim=64)
    drawn = batch_of(loss)
    upright = np.tile([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], (4, 1, 1))
    cells = np.stack([np.random.default_rng(pair).permutation(GRID * GRID)[:20] for pair in range(4)])
    valid = cells % GRID < GRID - 1
    near = positives_of_points(
        cells, cells, valid, views=upright, others=upright, excluded=np.zeros((4, 64), bool), within=5.0, size=32
    )
    drawn = replace(drawn, cells_a=cells, cells_b=cells, valid=valid, positives_a=near, positives_b=near)
    first = features()[:4]
    moved = torch.cat([first, first.roll(1, dims=3)])
    still = torch.cat([first, first])
    assert loss(moved, drawn) < exact(moved, drawn) - 1
    assert (loss(moved, drawn) - loss(still, drawn)).abs() < 0.5
    assert exact(moved, drawn) > exact(still, drawn) + 1


def test_what_was_compared_are_the_valid_points() -> None:
    for changes in ({}, {"match_tolerance_px": 5.0}):
        loss = objective(**changes)
        drawn = batch_of(loss)
        loss(features(), drawn)
        assert loss.compared is not None
        anchors, positives = loss.compared
        assert anchors.shape == positives.shape == (drawn.valid.sum(), 64)
        assert not anchors.requires_grad
        projected = loss.projection(features(), grid=GRID)[:4]
        rows = gather_points(projected, torch.from_numpy(drawn.cells_a))[torch.from_numpy(drawn.valid.ravel())]
        torch.testing.assert_close(anchors, rows)


def test_a_tolerance_wider_than_a_single_view_has_nothing_to_tell_apart() -> None:
    loss = objective(match_tolerance_px=128.0)
    drawn = batch_of(loss)
    one = {name: getattr(drawn, name)[:1] for name in ("cells_a", "cells_b", "valid", "positives_a", "positives_b")}
    with pytest.raises(NothingToMatch, match="none of them lies beyond the tolerance"):
        loss(features()[[0, 4]], replace(drawn, **one))


@pytest.mark.parametrize("method", [{"grid_stride": 8}, {"match_tolerance_px": 6.0, "change_weight": {"scale": 1.0}}])
def test_a_real_run_learns_and_resumes_bit_for_bit(tmp_path: Path, method: dict[str, object]) -> None:
    noise = {"rate": 0.5, "control": "masked"}
    job = pretrain_job(
        method={"name": "pixel_infonce", **method},
        arms={"only": {"pairing": {"policy": "temporal", "pairs": 20, "noise": noise}}},
        reference="only",
        pretraining={"steps": 8, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 8},
    )
    whole = list(run(job, tmp_path / "whole", loader_workers=3))
    calls = iter([False, False, True])
    stopped = list(run(job, tmp_path / "stopped", should_stop=lambda: next(calls)))
    (last,) = (event for event in stopped if isinstance(event, Saved) and event.kind == "checkpoint")
    resumed = list(run(job, tmp_path / "resumed", start=SavedFile(last.path, last.sha256)))
    (expected,), (found,) = (
        [event.sha256 for event in events if isinstance(event, Saved) and event.kind == "weights"]
        for events in (whole, resumed)
    )
    assert expected == found
    curve = [event.values["loss"] for event in whole if isinstance(event, Metrics) and "loss" in event.values]
    assert min(curve[-3:]) < curve[0]
