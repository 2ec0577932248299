from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import MoCo
from pairlab.experiment.network import Network
from pairlab.losses.moco import moco
from pairlab.networks import DenseNetwork, build_network, pooled
from pairlab.objectives.building import build_objective
from pairlab.objectives.moco import MoCoObjective
from tests.pairlab.objectives.test_global_methods import PAIRS, batch, views


def built(**fields: Any) -> tuple[DenseNetwork, MoCoObjective]:  # noqa: ANN401
    network = build_network(Network(decoder_channels=64), seed=0)
    objective = build_objective(MoCo.model_validate({"queue_size": 8, "embedding_dim": 4, **fields}), network, seed=0)
    assert isinstance(objective, MoCoObjective)
    return network, objective


def weights(module: nn.Module) -> list[Tensor]:
    return [each.detach().clone() for each in module.parameters()]


def test_anchors_are_queries_and_positives_are_keys_of_the_copy() -> None:
    network, objective = built(key_parts=1, temperature=0.3)
    anchors, positives = views().chunk(2)
    expected = moco(
        objective.projection(pooled(network(anchors))),
        objective.copy(WholeBatch(network), positives),
        objective.queue,
        temperature=0.3,
    )
    torch.testing.assert_close(objective.loss(WholeBatch(network), views(), batch()), expected, atol=0, rtol=0)


def test_the_queue_begins_with_random_directions_of_the_seed() -> None:
    queue = built()[1].queue
    assert queue.shape == (8, 4)
    torch.testing.assert_close(queue.norm(dim=1), torch.ones(8))
    assert torch.equal(queue, built()[1].queue)
    assert not queue.requires_grad


def test_keys_enter_the_queue_behind_their_step_and_the_oldest_leave() -> None:
    network, objective = built(key_parts=1)
    before = objective.queue.clone()
    keys = functional.normalize(objective.copy(WholeBatch(network), views().chunk(2)[1]), dim=1)
    objective.loss(WholeBatch(network), views(), batch())
    assert torch.equal(objective.queue, before)
    objective.after_step(network, step=0, total=2)
    torch.testing.assert_close(objective.queue, torch.cat([before[PAIRS:], keys]))
    objective.after_step(network, step=1, total=2)
    torch.testing.assert_close(objective.queue, torch.cat([before[PAIRS:], keys]))


def test_a_queue_shorter_than_a_batch_keeps_the_latest_keys() -> None:
    network, objective = built(queue_size=4, key_parts=1)
    keys = functional.normalize(objective.copy(WholeBatch(network), views().chunk(2)[1]), dim=1)
    objective.loss(WholeBatch(network), views(), batch())
    objective.after_step(network, step=0, total=2)
    torch.testing.assert_close(objective.queue, keys[-4:])


def test_the_copy_follows_with_one_momentum() -> None:
    network, objective = built(momentum=0.75)
    start = weights(objective.copy)
    with torch.no_grad():
        for each in [*network.parameters(), *objective.projection.parameters()]:
            each.add_(1.0)
    for step in (0, 9):
        objective.after_step(network, step=step, total=10)
    # The distance of 1 shrinks by 0.75 at each step, the last one too.
    torch.testing.assert_close(weights(objective.copy), [each + 1 - 0.75**2 for each in start])


def test_keys_are_normalised_in_parts_and_queries_as_a_whole() -> None:
    network, objective = built(key_parts=2)
    positives = views().chunk(2)[1]
    with torch.no_grad():
        halves = objective.copy.head(torch.cat([pooled(objective.copy.network(half)) for half in positives.chunk(2)]))
    objective.loss(WholeBatch(network), views(), batch())
    objective.after_step(network, step=0, total=1)
    torch.testing.assert_close(objective.queue[-PAIRS:], functional.normalize(halves, dim=1))
    assert not torch.allclose(halves, objective.copy(WholeBatch(network), positives), atol=1e-3)


def test_no_part_has_a_single_image() -> None:
    network, objective = built(key_parts=64)
    positives = views().chunk(2)[1]
    with torch.no_grad():
        parts = [pooled(objective.copy.network(each)) for each in torch.split(positives, 2)]
        twos = objective.copy.head(torch.cat(parts))
    objective.loss(WholeBatch(network), views(), batch())
    objective.after_step(network, step=0, total=1)
    torch.testing.assert_close(objective.queue[-PAIRS:], functional.normalize(twos, dim=1))


def test_no_gradient_reaches_copy_or_queue() -> None:
    network, objective = built()
    torch.autograd.backward(objective.loss(WholeBatch(network), views(), batch()))
    assert all(each.grad is None for each in objective.copy.parameters())
    assert all(each.grad is not None for each in [*network.parameters(), *objective.projection.parameters()])
    assert {"queue", "copy.head.1.weight"} < objective.state_dict().keys()


def test_the_loss_of_views_that_match_descends_against_keys_of_other_images() -> None:
    network, objective = built(key_parts=1)
    objective.queue = functional.normalize(objective.copy(WholeBatch(network), views(8, seed=5)[:8]), dim=1)
    anchors = views(seed=3)[:PAIRS]
    given = torch.cat([anchors, anchors + 0.1 * views(seed=4)[:PAIRS]])
    trained = [*network.parameters(), *objective.projection.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)
    curve = []
    for _ in range(12):
        loss = objective.loss(WholeBatch(network), given, batch())
        curve.append(float(loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert max(curve[-3:]) < curve[0] - 0.03  # keys of an untrained copy are nearly one direction: little to gain


def test_without_a_queue_the_other_keys_of_the_batch_are_the_negatives() -> None:
    network, objective = built(queue_size=0, key_parts=1, temperature=0.3)
    anchors, positives = views().chunk(2)
    queries = functional.normalize(objective.projection(pooled(network(anchors))), dim=1)
    keys = functional.normalize(objective.copy(WholeBatch(network), positives), dim=1)
    expected = functional.cross_entropy(queries @ keys.T / 0.3, torch.arange(PAIRS))
    torch.testing.assert_close(objective.loss(WholeBatch(network), views(), batch()), expected)
    objective.after_step(network, step=0, total=2)
    assert objective.queue.shape == (0, 4)
