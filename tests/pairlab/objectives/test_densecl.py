from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import DenseCL
from pairlab.experiment.network import Network
from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.losses.moco import moco
from pairlab.networks import MapAndLevels, build_network, on_grid
from pairlab.objectives.building import build_learner, build_objective
from pairlab.objectives.densecl import DenseCLObjective
from pairlab.views.batches import PairBatch, PairBatches
from tests.pairlab.objectives.test_global_methods import PAIRS, SOURCE, batch, views
from tests.pairlab.views.known_geometry import pair_list

GRID = 4
"""Of chips of 32 pixels at stride 8."""


def built(**fields: Any) -> tuple[MapAndLevels, DenseCLObjective]:  # noqa: ANN401
    config = DenseCL.model_validate({"queue_size": 8, "embedding_dim": 4, "key_parts": 1, "place_steps": 0, **fields})
    learner = build_learner(config, build_network(Network(decoder_channels=64), seed=0), size=32)
    assert isinstance(learner, MapAndLevels)
    objective = build_objective(config, learner, seed=0)
    assert isinstance(objective, DenseCLObjective)
    return learner, objective


def looked_at(learner: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the decoder's features, and the means of the encoder's levels."""
    assert isinstance(learner, MapAndLevels)
    levels = learner.network.encoder(images)[1:]
    return learner.network(images), torch.cat([level.mean(dim=(2, 3)) for level in levels], dim=1)


def at_step(step: int) -> PairBatch:
    given = batch()
    return PairBatch(**{**given.__dict__, "step": step})


def dense_rows(head: nn.Module, features: Tensor) -> Tensor:
    embeddings: Tensor = head(on_grid(features, GRID))
    return embeddings.flatten(2).transpose(1, 2)


def test_cells_are_matched_by_the_features_of_network_and_copy() -> None:
    """The loss, image by image and cell by cell, with the copy moved away from the network."""
    network, objective = built(dense_weight=0.25, temperature=0.3)
    with torch.no_grad():
        for each in objective.copy.parameters():
            each.mul_(1.1)
    anchors, positives = views().chunk(2)
    features, levels = looked_at(network, anchors)
    key_features, key_levels = looked_at(objective.copy.network, positives)
    heads, copies = objective.heads, objective.copy.head
    assert isinstance(copies, nn.ModuleDict)
    whole = moco(heads["pooled"](levels), copies["pooled"](key_levels), objective.queue, temperature=0.3)
    flat, flat_keys = (functional.normalize(on_grid(each, GRID).flatten(2), dim=1) for each in (features, key_features))
    cells, keys = dense_rows(heads["dense"], features), dense_rows(copies["dense"], key_features)
    losses = []
    for image in range(PAIRS):
        for cell in range(GRID * GRID):
            best = int((flat[image, :, cell] @ flat_keys[image]).argmax())
            one, other = cells[image, cell : cell + 1], keys[image, best : best + 1]
            losses.append(moco(one, other, objective.dense_queue, temperature=0.3))
    expected = 0.75 * whole + 0.25 * torch.stack(losses).mean()
    torch.testing.assert_close(objective.loss(WholeBatch(network), views(), at_step(0)), expected)


def test_without_a_queue_the_batch_gives_negatives_and_at_first_cells_are_matched_by_place() -> None:
    """The loss, image by image and cell by cell, of crops that share a part of the ground."""
    network, objective = built(queue_size=0, place_steps=3, dense_weight=0.25, temperature=0.3)
    pairs = pair_list(SOURCE.scenes, size=32, count=PAIRS, shift_px=2.0)
    training = Pretraining(batch_size=PAIRS, augmentation=Augmentation(crop_scale=(0.2, 0.4)))
    given = PairBatches(SOURCE, pairs, training, seed=0, grid=GRID, points=0, cells=objective.cells).batch(0)
    anchors, positives = views().chunk(2)
    features, levels = looked_at(network, anchors)
    key_features, key_levels = looked_at(objective.copy.network, positives)
    heads, copies = objective.heads, objective.copy.head
    assert isinstance(copies, nn.ModuleDict)
    queries, keys = heads["pooled"](levels), copies["pooled"](key_levels)
    cells, dense_keys = dense_rows(heads["dense"], features), dense_rows(copies["dense"], key_features)
    drawn = torch.randperm(GRID * GRID, generator=torch.Generator().manual_seed(0))[:8]  # of step 0
    negatives = dense_keys[:, drawn].flatten(0, 1)
    whole, dense = [], []
    for image in range(PAIRS):
        others = torch.arange(PAIRS) != image
        whole.append(moco(queries[image : image + 1], keys[image : image + 1], keys[others], temperature=0.3))
        side = np.sqrt(np.abs(np.linalg.det(given.views[[image, PAIRS + image], :, :2]))).max() * 32 / GRID
        for cell in range(GRID * GRID):
            apart = np.linalg.norm(given.ground[PAIRS + image] - given.ground[image, cell], axis=1)
            if apart.min() < np.sqrt(2) * side:
                own, key = cells[image, cell : cell + 1], dense_keys[image, apart.argmin()][None]
                dense.append(moco(own, key, negatives, temperature=0.3))
    assert PAIRS < len(dense) < PAIRS * GRID * GRID
    expected = 0.75 * torch.stack(whole).mean() + 0.25 * torch.stack(dense).mean()
    torch.testing.assert_close(objective.loss(WholeBatch(network), views(), given), expected)
    objective.after_step(network, step=0, total=9)
    assert objective.queue.shape == objective.dense_queue.shape == (0, 4)


def test_both_queues_take_the_keys_of_their_step_the_dense_one_pooled() -> None:
    network, objective = built()
    before = objective.queue.clone(), objective.dense_queue.clone()
    features, levels = looked_at(objective.copy.network, views().chunk(2)[1])
    copies = objective.copy.head
    assert isinstance(copies, nn.ModuleDict)
    keys = functional.normalize(copies["pooled"](levels), dim=1)
    dense = functional.normalize(dense_rows(copies["dense"], features).mean(dim=1), dim=1)
    objective.loss(WholeBatch(network), views(), batch())
    assert torch.equal(objective.queue, before[0])
    objective.after_step(network, step=0, total=2)
    torch.testing.assert_close(objective.queue, torch.cat([before[0][PAIRS:], keys]))
    torch.testing.assert_close(objective.dense_queue, torch.cat([before[1][PAIRS:], dense]))
    assert not torch.equal(*before)


def test_the_dense_loss_waits_for_its_warm_up_and_its_queue_does_not() -> None:
    network, objective = built(dense_warmup_steps=3)
    anchors, positives = views().chunk(2)
    copies = objective.copy.head
    assert isinstance(copies, nn.ModuleDict)
    keys = copies["pooled"](looked_at(objective.copy.network, positives)[1])
    queries = objective.heads["pooled"](looked_at(network, anchors)[1])
    whole = moco(queries, keys, objective.queue, temperature=0.2)
    torch.testing.assert_close(objective.loss(WholeBatch(network), views(), at_step(2)), whole)
    assert (objective.loss(WholeBatch(network), views(), at_step(3)) - whole).abs() > 1e-3
    start = objective.dense_queue.clone()
    objective.loss(WholeBatch(network), views(), at_step(0))
    objective.after_step(network, step=0, total=9)
    assert not torch.equal(objective.dense_queue, start)


@pytest.mark.parametrize(("weight", "without"), [(0.0, "dense"), (1.0, "pooled")])
def test_a_head_without_a_share_has_no_gradient(weight: float, without: str) -> None:
    network, objective = built(dense_weight=weight)
    torch.autograd.backward(objective.loss(WholeBatch(network), views(), batch()))
    for name, head in objective.heads.items():
        reached = any(each.grad is not None and bool((each.grad != 0).any()) for each in head.parameters())
        assert reached == (name != without)


def test_it_compares_matched_cells() -> None:
    network, objective = built()
    objective.loss(WholeBatch(network), views(), batch())
    assert objective.compared is not None
    assert [tuple(each.shape) for each in objective.compared] == [(PAIRS * GRID * GRID, 4)] * 2
    assert np.isfinite(objective.compared[0].numpy()).all()


def test_the_copy_follows_network_and_both_heads() -> None:
    network, objective = built(momentum=0.75)
    start = [each.clone() for each in objective.copy.parameters()]
    with torch.no_grad():
        for each in [*network.parameters(), *objective.heads.parameters()]:
            each.add_(1.0)
    objective.after_step(network, step=0, total=10)
    for own, before in zip(objective.copy.parameters(), start, strict=True):
        torch.testing.assert_close(own, before + 0.25)
