"""How the images of a step go through a network."""

from typing import Protocol

import torch
from torch import Tensor, nn


class Passes(Protocol):
    """The passes of one step, as an objective sees them: images in, the features of the whole batch out.

    An objective hands over the views it was given: all of them, or some of their blocks (the anchors, the positives, …)
    one behind the other, each block whole. It gets the features of every pair of the step in the same order, whichever
    process or part computes them: its loss is always that of the whole batch.
    """

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the trained network's features (images, channels, height, width), with gradients."""

    def frozen(self, module: nn.Module, images: Tensor, *, groups: int | None = None) -> Tensor:
        """Returns what another network (a momentum copy) makes of images, without gradients.

        Args:
            module: images → features, of any shape behind the images.
            images: blocks of views.
            groups: None normalises them as the trained network's images are. A number asks for at least so many groups,
                each normalised by itself and, where the trained network's images go in parts, none made of the images
                of one part: a query and its key then have few neighbours in common, as MoCo wants it.
        """

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of a loss of these passes to all trained parameters; outside autocast, once."""


class WholeBatch:
    """All images of a step at once, in this process."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, images: Tensor) -> Tensor:
        """Returns the trained network's features."""
        features: Tensor = self._network(images)
        return features

    @torch.no_grad()
    def frozen(self, module: nn.Module, images: Tensor, *, groups: int | None = None) -> Tensor:
        """Returns what another network makes of images, in groups of images that follow each other."""
        count = max(1, min(groups or 1, len(images) // 2))
        if count == 1:
            features: Tensor = module(images)
            return features
        return torch.cat([module(group) for group in images.tensor_split(count)])

    def backward(self, loss: Tensor) -> None:
        """Adds the loss's gradients to all trained parameters."""
        torch.autograd.backward(loss)
