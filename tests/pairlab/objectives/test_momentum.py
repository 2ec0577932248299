import copy

import pytest
import torch
from torch import Tensor, nn

from pairlab.engine.passes import WholeBatch
from pairlab.experiment.methods import BYOL
from pairlab.experiment.network import Network
from pairlab.networks import build_network, perceptron, pooled
from pairlab.objectives.building import build_objective
from pairlab.objectives.byol import BYOLObjective
from pairlab.objectives.momentum import MomentumCopy, rising_momentum
from tests.pairlab.objectives.test_global_methods import batch, views


def small() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), perceptron(4, 5, 2)


def weights(*modules: nn.Module) -> list[Tensor]:
    return [each.detach().clone() for module in modules for each in module.parameters()]


def test_a_copy_sees_what_the_original_sees_and_shares_no_weight() -> None:
    network, head = small()
    copied = MomentumCopy(network, head)
    torch.testing.assert_close(copied(WholeBatch(network), views()), head(pooled(network(views()))), atol=0, rtol=0)
    before = weights(copied)
    with torch.no_grad():
        for each in [*network.parameters(), *head.parameters()]:
            each.add_(1.0)
    assert all(torch.equal(own, old) for own, old in zip(weights(copied), before, strict=True))


def test_a_copy_gives_no_gradient_and_wants_none() -> None:
    network, head = small()
    copied = MomentumCopy(network, head)
    assert not copied(WholeBatch(network), views().requires_grad_()).requires_grad
    assert not any(each.requires_grad for each in copied.parameters())
    assert all(each.requires_grad for each in [*network.parameters(), *head.parameters()])


@pytest.mark.parametrize("momentum", [0.0, 0.25, 1.0])
def test_every_weight_follows_as_the_formula_says(momentum: float) -> None:
    network, head = small()
    copied = MomentumCopy(network, head)
    start = weights(copied)
    with torch.no_grad():
        for each in [*network.parameters(), *head.parameters()]:
            each.copy_(torch.randn_like(each))
    trained = weights(network, head)
    copied.follow(network, head, momentum=momentum)
    expected = [momentum * old + (1 - momentum) * new for old, new in zip(start, trained, strict=True)]
    torch.testing.assert_close(weights(copied), expected)
    assert all(torch.equal(old, new) for old, new in zip(weights(network, head), trained, strict=True))


def test_one_weight_by_hand_over_two_steps() -> None:
    trained, head = nn.Linear(1, 1, bias=False), nn.Identity()
    nn.init.constant_(trained.weight, 8.0)
    copied = MomentumCopy(trained, head)
    nn.init.constant_(trained.weight, 0.0)
    copied.follow(trained, head, momentum=0.5)
    copied.follow(trained, head, momentum=0.75)
    assert [each.item() for each in copied.parameters()] == [3.0]


def test_the_momentum_rises_from_its_base_to_one() -> None:
    assert rising_momentum(0, 100, base=0.9) == pytest.approx(0.9)
    assert rising_momentum(50, 100, base=0.9) == pytest.approx(0.95)
    assert rising_momentum(25, 100, base=0.9) == pytest.approx(1 - 0.1 * (1 + 2**-0.5) / 2)
    assert rising_momentum(100, 100, base=0.9) == pytest.approx(1.0)
    curve = [rising_momentum(step, 100, base=0.9) for step in range(101)]
    assert curve == sorted(curve)
    assert {rising_momentum(step, 7, base=1.0) for step in range(7)} == {1.0}


def test_byol_follows_behind_each_step_with_the_momentum_of_that_step() -> None:
    network = build_network(Network(decoder_channels=64), seed=0)
    objective = build_objective(BYOL(momentum=0.5), network, seed=0)
    assert isinstance(objective, BYOLObjective)
    start = weights(objective.target)
    torch.autograd.backward(objective.loss(WholeBatch(network), views(), batch()))
    with torch.no_grad():
        for each in [*network.parameters(), *objective.projector.parameters()]:
            each.add_(torch.ones_like(each))
    objective.after_step(network, step=1, total=2)
    torch.testing.assert_close(weights(objective.target), [each + 0.25 for each in start])


def test_byol_takes_its_targets_from_the_copy() -> None:
    network = build_network(Network(decoder_channels=64), seed=0)
    objective = build_objective(BYOL(), network, seed=0)
    assert isinstance(objective, BYOLObjective)
    expected = objective.loss(WholeBatch(network), views(), batch())
    other = copy.deepcopy(objective)
    with torch.no_grad():
        for each in other.target.parameters():
            each.add_(0.05 * torch.randn(each.shape, generator=torch.Generator().manual_seed(3)))
    moved = other.loss(WholeBatch(network), views(), batch())
    assert abs(float(moved.detach()) - float(expected.detach())) > 1e-3
