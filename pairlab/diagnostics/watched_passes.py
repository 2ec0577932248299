"""A look at the network's features on their way to a method."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.networks import pooled


class WatchedPasses:
    """Passes that also keep the pooled features of all images that they saw; they change nothing."""

    def __init__(self, passes: Passes, *, pooled: Callable[[Tensor], Tensor] = pooled) -> None:
        """Takes passes, and how their features are averaged over positions."""
        self._passes, self._pooled = passes, pooled
        self._seen: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the trained network's features."""
        features = self._passes(images)
        self._seen.append(self._pooled(features.detach()))
        return features

    def frozen(self, module: nn.Module, images: Tensor, *, groups: int | None = None) -> Tensor:
        """Returns what another network makes of images."""
        return self._passes.frozen(module, images, groups=groups)

    def backward(self, loss: Tensor) -> None:
        """Adds the loss's gradients to all trained parameters."""
        self._passes.backward(loss)

    @property
    def pooled(self) -> Tensor | None:
        """Features averaged over their positions, (images, channels), without gradients; None before any pass."""
        return torch.cat(self._seen) if self._seen else None
