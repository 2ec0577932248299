from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import DenseCL
from pairlab.experiment.network import Network
from pairlab.losses.moco import moco
from pairlab.networks import DenseNetwork, build_network, on_grid, pooled
from pairlab.objectives.building import build_objective
from pairlab.objectives.densecl import DenseCLObjective
from pairlab.views.batches import PairBatch
from tests.pairlab.objectives.test_global_methods import PAIRS, batch, views

GRID = 4
"""Of chips of 32 pixels at stride 8."""


def built(**fields: Any) -> tuple[DenseNetwork, DenseCLObjective]:  # noqa: ANN401
    network = build_network(Network(decoder_channels=64), seed=0)
    fields = {"queue_size": 8, "embedding_dim": 4, "key_parts": 1, **fields}
    objective = build_objective(DenseCL.model_validate(fields), network, seed=0)
    assert isinstance(objective, DenseCLObjective)
    return network, objective


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
    features, key_features = network(anchors), objective.copy.network(positives)
    heads, copies = objective.heads, objective.copy.head
    assert isinstance(copies, nn.ModuleDict)
    whole = moco(
        heads["pooled"](pooled(features)), copies["pooled"](pooled(key_features)), objective.queue, temperature=0.3
    )
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


def test_both_queues_take_the_keys_of_their_step_the_dense_one_pooled() -> None:
    network, objective = built()
    before = objective.queue.clone(), objective.dense_queue.clone()
    features = objective.copy.network(views().chunk(2)[1])
    copies = objective.copy.head
    assert isinstance(copies, nn.ModuleDict)
    keys = functional.normalize(copies["pooled"](pooled(features)), dim=1)
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
    keys = copies["pooled"](pooled(objective.copy.network(positives)))
    whole = moco(objective.heads["pooled"](pooled(network(anchors))), keys, objective.queue, temperature=0.2)
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
