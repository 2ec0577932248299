"""What holds for every method that compares images as a whole, with a real network and real views."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import BYOL, BarlowTwins, Method, MoCo, SimCLR, SimSiam, VICReg
from pairlab.experiment.network import Network
from pairlab.experiment.training import Pretraining
from pairlab.losses.embeddings import NothingToMatch
from pairlab.networks import DenseNetwork, build_network
from pairlab.objectives.building import build_objective
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch, PairBatches
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SOURCE = CoordinateScenes()
PAIRS = 6
METHODS: list[Method] = [SimCLR(), VICReg(), BarlowTwins(), SimSiam(), BYOL(), MoCo()]


def name_of(method: Method) -> str:
    return method.name


def batch() -> PairBatch:
    pairs = pair_list(SOURCE.scenes, size=32, count=PAIRS)
    return PairBatches(SOURCE, pairs, Pretraining(batch_size=PAIRS), seed=0, grid=8, points=0).batch(0)


def views(pairs: int = PAIRS, *, seed: int = 0) -> Tensor:
    return torch.randn(2 * pairs, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def built(method: Method, *, seed: int = 0) -> tuple[DenseNetwork, Objective]:
    network = build_network(Network(decoder_channels=64), seed=0)
    return network, build_objective(method, network, seed=seed)


def trained(*modules: torch.nn.Module) -> dict[str, Tensor]:
    return {
        f"{place}.{name}": each
        for place, module in enumerate(modules)
        for name, each in module.named_parameters()
        if each.requires_grad
    }


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_gradients_reach_every_weight_that_is_trained_and_no_other(method: Method) -> None:
    network, objective = built(method)
    torch.autograd.backward(objective.loss(WholeBatch(network), views(), batch()))
    parameters = trained(network, objective)
    assert len(parameters) > len(trained(network))
    gradients = {name: each.grad for name, each in parameters.items() if each.grad is not None}
    assert gradients.keys() == parameters.keys()
    assert all(torch.isfinite(each).all() for each in gradients.values())
    first = next(name for name in gradients if name.startswith("0."))
    heads = [name for name, each in gradients.items() if name.startswith("1.") and each.ndim > 1]
    assert len(heads) > 1
    assert all((gradients[name] != 0).any() for name in [first, *heads])
    others = [each for each in objective.parameters() if not each.requires_grad]
    assert all(each.grad is None for each in others)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_heads_depend_on_the_seed_alone_and_building_leaves_the_generator_alone(method: Method) -> None:
    state = torch.random.get_rng_state()
    first, again, other = (built(method, seed=seed)[1].state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_a_loss_and_what_follows_it_draw_nothing(method: Method) -> None:
    network, objective = built(method)
    state = torch.random.get_rng_state()
    objective.loss(WholeBatch(network), views(), batch())
    objective.after_step(network, step=0, total=10)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("method", [*METHODS[:-1], MoCo(key_parts=1)], ids=name_of)
def test_the_order_of_pairs_does_not_matter_where_all_are_normalised_together(method: Method) -> None:
    network, objective = built(method)
    order = np.random.default_rng(1).permutation(PAIRS)
    both = torch.from_numpy(np.concatenate([order, PAIRS + order]))
    network, objective, given = network.double(), objective.double(), views().double()
    expected = objective.loss(WholeBatch(network), given, batch())
    torch.testing.assert_close(
        objective.loss(WholeBatch(network), given[both], batch()), expected, atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_autocast_leaves_loss_and_state_in_float32(method: Method) -> None:
    network, objective = built(method)
    kept = {name: each.dtype for name, each in objective.state_dict().items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = objective.loss(WholeBatch(network), views(), batch())
    assert loss.dtype == torch.float32
    torch.autograd.backward(loss)
    assert all(
        torch.isfinite(each.grad).all() for each in trained(network, objective).values() if each.grad is not None
    )
    objective.after_step(network, step=0, total=2)
    assert {name: each.dtype for name, each in objective.state_dict().items()} == kept
    assert all(torch.isfinite(each).all() for each in objective.state_dict().values())


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_the_loss_of_views_that_match_descends(method: Method) -> None:
    network, objective = built(method)
    anchors = views(8, seed=3)[:8]
    given = torch.cat([anchors, anchors + 0.1 * views(8, seed=4)[:8]])
    optimizer = torch.optim.AdamW(trained(network, objective).values(), lr=1e-3)
    curve = []
    for step in range(12):
        loss = objective.loss(WholeBatch(network), given, batch())
        curve.append(float(loss.detach()))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        objective.after_step(network, step=step, total=12)
    assert min(curve[-3:]) < curve[0]


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_a_batch_of_one_pair_has_nothing_to_match(method: Method) -> None:
    network, objective = built(method)
    with pytest.raises(NothingToMatch, match="at least 2 pairs"):
        objective.loss(WholeBatch(network), views(1), batch())
