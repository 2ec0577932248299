"""Translation by torch.compile: a compiler takes a while, so all but its absence is slow."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from pairlab.engine.compiling import PAYS_FROM_STEPS, translated, worth_trying


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, kernel_size=3), nn.BatchNorm2d(4), nn.ReLU())


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No translation of an earlier run is found."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.slow
@pytest.mark.usefixtures("fresh_cache")
def test_a_translation_computes_the_same_with_the_networks_own_weights() -> None:
    original, images = network(), torch.randn(2, 3, 8, 8)
    before = state(original)
    translation = translated(original, images, context=nullcontext)
    assert translation.failure is None
    assert translation.network is not original
    assert {name: id(value) for name, value in original.named_parameters()} == {
        name.removeprefix("_orig_mod."): id(value) for name, value in translation.network.named_parameters()
    }
    assert all(torch.equal(before[name], value) for name, value in original.state_dict().items())
    assert all(parameter.grad is None for parameter in original.parameters())
    torch.testing.assert_close(translation.network(images), network()(images))


@pytest.mark.usefixtures("fresh_cache")
def test_without_a_compiler_the_network_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("/nowhere/compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    original = network()
    before = state(original)
    translation = translated(original, torch.randn(2, 3, 8, 8), context=nullcontext)
    assert translation.network is original
    assert translation.failure
    assert all(torch.equal(before[name], value) for name, value in original.state_dict().items())
    assert all(parameter.grad is None for parameter in original.parameters())


def test_only_long_runs_on_a_gpu_look_whether_it_pays() -> None:
    assert worth_trying(torch.device("cuda"), steps_left=PAYS_FROM_STEPS)
    assert not worth_trying(torch.device("cuda"), steps_left=PAYS_FROM_STEPS - 1)
    assert not worth_trying(torch.device("cpu"), steps_left=10**6)
