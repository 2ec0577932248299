"""How the images of a step go through a network."""

from typing import Protocol

import torch
from torch import Tensor, nn


class Passes(Protocol):
    """The passes of one step, as an objective sees them: images in, the features of the whole batch out.

    An objective hands over the images it was given (all, or the anchors or positives alone) and gets the features of
    every pair of the step, whichever process or part computes them: its loss is always that of the whole batch.
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the trained network's features (images, channels, height, width), with gradients."""

    def frozen(self, module: nn.Module, images: Tensor) -> Tensor:
        """Returns what another network (a momentum copy) makes of images, without gradients."""

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of a loss of these passes to all trained parameters."""


class WholeBatch:
    """All images of a step at once, in this process."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the trained network's features."""
        features: Tensor = self._network(images)
        return features

    @torch.no_grad()
    def frozen(self, module: nn.Module, images: Tensor) -> Tensor:
        """Returns what another network makes of images."""
        features: Tensor = module(images)
        return features

    def backward(self, loss: Tensor) -> None:
        """Adds the loss's gradients to all trained parameters."""
        torch.autograd.backward(loss)
