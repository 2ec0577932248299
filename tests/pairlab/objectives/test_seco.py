import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import SeCo
from pairlab.experiment.network import Network
from pairlab.losses.seco import seco
from pairlab.networks import DenseNetwork, build_network, pooled
from pairlab.objectives.building import build_objective
from pairlab.objectives.seco import SeCoObjective
from tests.pairlab.objectives.test_global_methods import PAIRS, batch, views

FOUR = views(2 * PAIRS)
"""Four views of each pair: any images will do."""


def built(**fields: float) -> tuple[DenseNetwork, SeCoObjective]:
    network = build_network(Network(decoder_channels=64), seed=0)
    config = SeCo.model_validate({"queue_size": 8, "embedding_dim": 4, "key_parts": 1, **fields})
    objective = build_objective(config, network, seed=0)
    assert isinstance(objective, SeCoObjective)
    return network, objective


def keys_of(objective: SeCoObjective) -> list[list[Tensor]]:
    heads = objective.copy.head
    assert isinstance(heads, nn.ModuleList)
    features = [pooled(objective.copy.network(each)).detach() for each in FOUR.chunk(4)[1:]]
    return [[head(each) for each in features] for head in heads]


def test_anchors_are_queries_and_the_other_three_views_are_keys() -> None:
    network, objective = built(temperature=0.3)
    with torch.no_grad():
        for each in objective.copy.parameters():
            each.mul_(1.1)
    features = pooled(network(FOUR.chunk(4)[0]))
    queries = [head(features) for head in objective.heads]
    expected = seco(queries, keys_of(objective), list(objective.queues), temperature=0.3)
    torch.testing.assert_close(objective.loss(WholeBatch(network), FOUR, batch()), expected)
    assert objective.compared is not None
    torch.testing.assert_close(objective.compared[0], queries[0].detach())


def test_each_queue_takes_the_positives_of_its_subspace() -> None:
    network, objective = built()
    before, keys = objective.queues.clone(), keys_of(objective)
    objective.loss(WholeBatch(network), FOUR, batch())
    assert torch.equal(objective.queues, before)
    objective.after_step(network, step=0, total=2)
    for space in range(3):
        own = functional.normalize(keys[space][space], dim=1)
        torch.testing.assert_close(objective.queues[space], torch.cat([before[space][PAIRS:], own]))


def test_gradients_reach_network_and_heads_and_no_copy() -> None:
    network, objective = built()
    torch.autograd.backward(objective.loss(WholeBatch(network), FOUR, batch()))
    trained = [*network.parameters(), *objective.heads.parameters()]
    assert all(each.grad is not None for each in trained)
    assert all((each.grad != 0).any() for each in objective.heads.parameters() if each.grad is not None)
    assert all(each.grad is None for each in objective.copy.parameters())


def test_queues_and_copy_belong_to_the_state() -> None:
    objective = built()[1]
    keys = objective.state_dict().keys()
    assert {"queues", "heads.2.1.weight", "copy.head.2.1.weight"} < keys
    torch.testing.assert_close(objective.queues.norm(dim=2), torch.ones(3, 8))
    assert objective.crossed


def test_without_queues_the_keys_of_other_places_are_the_negatives_in_each_subspace() -> None:
    network, objective = built(queue_size=0, temperature=0.3)
    features = pooled(network(FOUR.chunk(4)[0]))
    expected = torch.zeros(())
    for space, (head, keys) in enumerate(zip(objective.heads, keys_of(objective), strict=True)):
        query = functional.normalize(head(features), dim=1)
        units = [functional.normalize(each, dim=1) for each in keys]
        own = [(query * each).sum(1, keepdim=True) for key, each in enumerate(units) if key != space]
        logits = torch.cat([query @ units[space].T, *(own if space else [])], dim=1) / 0.3
        expected = expected + functional.cross_entropy(logits, torch.arange(PAIRS))
    torch.testing.assert_close(objective.loss(WholeBatch(network), FOUR, batch()), expected)
    objective.after_step(network, step=0, total=2)
    assert objective.queues.shape == (3, 0, 4)
