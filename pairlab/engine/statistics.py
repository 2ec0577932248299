"""Passes of several batches through one network that leave its running statistics as one pass would."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pairlab.engine.team import Team


def passed(module: nn.Module, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns what a module makes of images, and its buffers behind the pass; the module's own stay as they are.

    The pass's graph holds these buffers, not the module's, so that the module's may change before its gradient is asked
    for.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    features: Tensor = functional_call(module, buffers, (images,))
    return features, buffers


class RunningStatistics:
    """The mean of what passes that all begin with a module's present buffers make of them."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._sum: Tensor | None = None
        self._passes = 0

    def passed(self, images: Tensor) -> Tensor:
        """Returns what the module makes of images."""
        features, buffers = passed(self._module, images)
        if buffers:
            # float64 keeps counts and constant buffers exact.
            after = torch.cat([buffer.detach().reshape(-1).double() for buffer in buffers.values()])
            self._sum = after if self._sum is None else self._sum + after
        self._passes += 1
        return features

    @torch.no_grad()
    def write(self, team: Team) -> None:
        """Puts the mean over the passes of all processes, equally many in each, into the module."""
        if self._sum is None:
            return
        team.add_up([self._sum])
        mean = self._sum / (self._passes * team.size)
        buffers = list(self._module.buffers())
        for buffer, value in zip(buffers, mean.split_with_sizes([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(value.view(buffer.shape))
