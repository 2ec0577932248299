"""A network translated by torch.compile, where that pays."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from statistics import median
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

PAYS_FROM_STEPS = 1000
"""Steps ahead from which a run looks whether translation pays: it takes one to several minutes itself."""
_QUICKER = 0.95
_PASSES = 5


class Translation(NamedTuple):
    """What images go through, with the weights of the network it came from, and why it is not translated."""

    network: nn.Module
    failure: str | None = None


def worth_trying(device: torch.device, *, steps_left: int) -> bool:
    """Returns whether `compile: auto` looks if translation pays here: on a GPU, for a run that is long enough.

    On a CPU it does not: with bfloat16 and channels-last nearly all of a step is oneDNN's convolutions either way
    (docs/pretraining.md has the figures), and the weights of two equal runs should be equal to the bit, whatever a
    stopwatch says.
    """
    return device.type == "cuda" and steps_left >= PAYS_FROM_STEPS


def translated(
    network: nn.Module,
    images: Tensor,
    *,
    context: Callable[[], AbstractContextManager[object]],
    if_quicker: bool = False,
) -> Translation:
    """Returns the network translated by torch.compile after a forward and backward pass, or as it is where that fails.

    Weights, running statistics and gradients are left as they were. The keys of the network's state are too, whatever
    becomes of the translation.

    Args:
        network: in training.
        images: as it will be given, on its device.
        context: of a forward pass.
        if_quicker: returns the network as it is unless translation saves a twentieth of the time of these passes.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    try:
        compiled = cast(nn.Module, torch.compile(network, dynamic=False))
        _pass(compiled, images, context)
        if not if_quicker or _seconds(compiled, images, context) < _QUICKER * _seconds(network, images, context):
            return Translation(compiled)
        return Translation(network)
    except Exception as error:  # a translator's failures have many types, and none of them is worth a run
        torch.compiler.reset()
        return Translation(network, f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
    finally:
        with torch.no_grad():
            for name, buffer in network.named_buffers():
                buffer.copy_(buffers[name])
        network.zero_grad(set_to_none=True)


def _pass(network: nn.Module, images: Tensor, context: Callable[[], AbstractContextManager[object]]) -> None:
    network.zero_grad(set_to_none=True)
    with context():
        features: Tensor = network(images)
    torch.autograd.backward(features.float().square().mean())
    if images.device.type == "cuda":
        torch.cuda.synchronize(images.device)


def _seconds(network: nn.Module, images: Tensor, context: Callable[[], AbstractContextManager[object]]) -> float:
    _pass(network, images, context)
    took = []
    for _ in range(_PASSES):
        began = time.perf_counter()
        _pass(network, images, context)
        took.append(time.perf_counter() - began)
    return median(took)
