"""Passes in parts against the whole graph: the same loss, gradients and state, whatever the method."""

import copy
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.engine.parts import Parts
from pairlab.engine.passes import WholeBatch
from pairlab.engine.shares import Shares
from pairlab.engine.team import ALONE
from pairlab.objectives.objective import Objective
from tests.pairlab.engine.small_steps import METHODS, PAIRS, SmallNetwork, built, outcome, step_of

GROUPED = {"moco", "densecl", "seco"}
"""Methods whose keys go in groups: of images that alternate here, of such that follow each other in a whole batch."""


class Literal:
    """Every part's images by their numbers, through one graph that is kept whole."""

    def __init__(self, network: nn.Module, parts: int) -> None:
        self.network = network
        self.blocks = [torch.arange(PAIRS)[Shares(PAIRS, parts).pairs_of_part(part)] for part in range(parts)]

    def __call__(self, images: Tensor) -> Tensor:
        return self._apart(self.network, images, self._rows(images))

    def frozen(self, module: nn.Module, images: Tensor, *, groups: int | None = None) -> Tensor:
        rows = self._rows(images)
        if groups is not None:
            count = Shares(PAIRS, len(self.blocks)).groups(groups, images=len(images))
            rows = [torch.arange(len(images))[torch.arange(len(images)) % count == group] for group in range(count)]
        with torch.no_grad():
            return self._apart(module, images, rows)

    def backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss)

    def _rows(self, images: Tensor) -> list[Tensor]:
        starts = range(0, len(images), PAIRS)
        return [torch.cat([start + block for start in starts]) for block in self.blocks]

    def _apart(self, module: nn.Module, images: Tensor, rows: list[Tensor]) -> Tensor:
        features, after = [], []
        start = copy.deepcopy(module)
        for each in rows:
            own = copy.deepcopy(start)
            own(images[each])
            after.append(dict(own.named_buffers()))
            features.append(module(images[each]))
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                mean = torch.stack([state[name].double() for state in after]).mean(0)
                buffer.data = mean.to(buffer.dtype)  # the graph may have saved the old tensor
        return torch.cat(features)[torch.argsort(torch.cat(rows))]


def parts_of(
    network: nn.Module,
    heads: nn.Module,
    parts: int,
    context: AbstractContextManager[object] | None = None,
    *,
    key: tuple[int, ...] = (0, 0),
) -> Parts:
    return Parts(network, Shares(PAIRS, parts), ALONE, heads=heads, context=lambda: context or nullcontext(), key=key)


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], *, tolerance: float) -> None:
    assert found.keys() == expected.keys()
    assert any(name.startswith("gradient of network.") for name in found)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_gradients_and_state_are_those_of_the_whole_graph(name: str, parts: int) -> None:
    outcomes = []
    for literal in (False, True):
        network, objective = built(name)
        views, batch = step_of(objective)
        passes = Literal(network, parts) if literal else parts_of(network, objective, parts)
        loss = objective.loss(passes, views, batch)
        passes.backward(loss)
        outcomes.append(outcome(network, objective, loss))
    assert_equal(*outcomes, tolerance=1e-10)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in GROUPED])
def test_one_part_is_the_whole_batch_bit_for_bit(name: str) -> None:
    outcomes = []
    for whole in (False, True):
        network, objective = built(name)
        views, batch = step_of(objective)
        passes = WholeBatch(network) if whole else parts_of(network, objective, 1)
        loss = objective.loss(passes, views, batch)
        passes.backward(loss)
        outcomes.append(outcome(network, objective, loss))
    assert_equal(*outcomes, tolerance=0.0)


@pytest.mark.parametrize("name", ["pixel_infonce", "byol"])
def test_the_second_pass_runs_under_the_same_autocast(name: str) -> None:
    outcomes = []
    for literal in (False, True):
        network, objective = (module.float() for module in built(name))
        assert isinstance(objective, Objective)
        views, batch = step_of(objective)
        autocast = torch.autocast("cpu", dtype=torch.bfloat16)
        passes = Literal(network, 3) if literal else parts_of(network, objective, 3, autocast)
        # Cast once for all parts, a weight would gather its parts' gradients in bfloat16 in the whole graph.
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=not literal):
            loss = objective.loss(passes, views.float(), batch)
        passes.backward(loss)
        outcomes.append(outcome(network, objective, loss))
    assert outcomes[0]["gradient of network.layers.0.weight"].dtype == torch.float32
    assert_equal(*outcomes, tolerance=1e-6)


class Dropped(nn.Module):
    """A weight per channel, of which dropout leaves half: its gradient is what was left."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        return functional.dropout(images * self.weight[:, None, None], training=self.training)


def test_dropout_leaves_the_same_in_both_passes_and_depends_on_step_and_part_alone() -> None:
    network = Dropped()
    images = torch.ones(2 * PAIRS, 3, 8, 8)
    drawn = []
    for key in ((0, 0), (0, 0), (0, 1)):
        network.weight.grad = None
        state = torch.random.get_rng_state()
        passes = parts_of(network, nn.Identity(), 3, key=key)
        features = passes(images)
        passes.backward(features.sum())
        torch.testing.assert_close(network.weight.grad, features.detach().sum(dim=(0, 2, 3)))
        assert torch.equal(torch.random.get_rng_state(), state)
        drawn.append(features.detach())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][:3], drawn[0][3:6])


class Told(nn.Module):
    """What went through together, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[int]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images[:, 0, 0, 0].int().tolist())
        return images


def test_each_part_has_its_pairs_and_keys_meet_images_of_other_parts() -> None:
    images = torch.arange(2.0 * PAIRS)[:, None, None, None]
    trained, copied = Told(), Told()
    passes = parts_of(trained, nn.Identity(), 4)
    assert torch.equal(passes(images), images)
    assert trained.seen == [[0, 1, 2, 9, 10, 11], [3, 4, 12, 13], [5, 6, 14, 15], [7, 8, 16, 17]]
    assert torch.equal(passes.frozen(copied, images[:PAIRS], groups=2), images[:PAIRS])
    assert copied.seen == [[0, 4, 8], [1, 5], [2, 6], [3, 7]]


def test_features_under_no_grad_take_no_gradient() -> None:
    network = SmallNetwork()
    passes = parts_of(network, nn.Identity(), 2)
    with torch.no_grad():
        assert not passes(torch.randn(2 * PAIRS, 3, 8, 8)).requires_grad
    features = passes(torch.randn(PAIRS, 3, 8, 8))
    passes.backward(features.square().mean())
    assert all(each.grad is not None for each in network.parameters())


def test_images_that_are_no_whole_blocks_are_refused() -> None:
    passes = parts_of(SmallNetwork(), nn.Identity(), 2)
    with pytest.raises(ValueError, match="whole blocks of this process's 9 pairs, found 11"):
        passes(torch.zeros(11, 3, 8, 8))
