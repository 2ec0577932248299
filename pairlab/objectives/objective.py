"""A contrastive method as the trainer sees it: heads, the loss of a batch, and what happens between two steps."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pairlab.experiment.methods import ChangeWeight
from pairlab.views.batches import PairBatch


class Objective(nn.Module, ABC):
    """Heads and loss of a method.

    Everything that the method carries from step to step is a parameter or a buffer, so that a checkpoint of the module
    holds it; parameters that the optimizer must leave alone have `requires_grad` off. Nothing is drawn outside the
    constructor.
    """

    points: int = 0
    """Matched points that the method takes from each pair of views."""
    change_weight: ChangeWeight | None = None
    """Lets points count less that look changed."""

    @abstractmethod
    def loss(self, network: nn.Module, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of one batch, a scalar.

        Args:
            network: images (images, bands, height, width) → features (images, channels, height/s, width/s); trained.
            views: float (2 · pairs, bands, height, width), anchors first; standardised.
            batch: what else the step drew.

        Raises:
            NothingToMatch: the batch has too little to compare.
        """

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:
        """Does what the method does behind an optimizer step; most do nothing.

        Args:
            network: the one that was just trained.
            step: the step that was taken, from 0.
            total: steps of the whole run.
        """
