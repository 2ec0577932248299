"""A network and its head that follow the trained ones slowly, as exponential moving averages of their weights."""

import copy
import math

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.networks import pooled


class MomentumCopy(nn.Module):
    """A copy of a network and its head, whose weights neither a gradient nor an optimizer moves.

    It is a module, so that a checkpoint of the objective that owns it holds its weights. In training its batch norms
    take the statistics of the batch they see; their running statistics are their own.
    """

    def __init__(self, network: nn.Module, head: nn.Module) -> None:
        """Copies the weights as they are.

        Args:
            network: images → features (images, channels, height, width).
            head: pooled features (images, channels) → embeddings (images, dim); or several heads, which whoever owns
                the copy applies to what `Passes.frozen` makes of images with its `network`.
        """
        super().__init__()
        self.network, self.head = copy.deepcopy(network), copy.deepcopy(head)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, passes: Passes, images: Tensor, *, groups: int | None = None) -> Tensor:
        """Returns the embeddings (images, dim) of images (images, bands, height, width), without gradients.

        Args:
            passes: how images go through networks in this step.
            images: as an objective is given them.
            groups: in how many groups they are normalised, as `Passes.frozen` has it.
        """
        embeddings: Tensor = self.head(pooled(passes.frozen(self.network, images, groups=groups)))
        return embeddings

    @torch.no_grad()
    def follow(self, network: nn.Module, head: nn.Module, *, momentum: float) -> None:
        """Moves each weight towards the trained one: ξ ← m ξ + (1 − m) θ, with m the momentum in [0, 1]."""
        trained = [*network.parameters(), *head.parameters()]
        for own, theirs in zip([*self.network.parameters(), *self.head.parameters()], trained, strict=True):
            own.lerp_(theirs, 1.0 - momentum)


def enqueued(queue: Tensor, keys: Tensor) -> Tensor:
    """Returns a queue of keys (K, dim), the oldest first, with new ones (keys, dim) in place of the oldest."""
    return torch.cat([queue, keys])[-len(queue) :] if len(queue) else queue


def rising_momentum(step: int, total: int, *, base: float) -> float:
    """Returns the momentum of a step (from 0), which rises from `base` to 1 at the end of the run.

        m = 1 − (1 − base) ½ (cos(π k / K) + 1)

    Source: Grill et al., 2020, arXiv 2006.07733, section 3.3.
    """
    return 1.0 - (1.0 - base) * 0.5 * (math.cos(math.pi * step / total) + 1.0)
