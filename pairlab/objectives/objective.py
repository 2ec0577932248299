"""A contrastive method as the trainer sees it: heads, the loss of a batch, and what happens between two steps."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import ChangeWeight
from pairlab.views.batches import PairBatch
from pairlab.views.geometry import GRID_STRIDE
from pairlab.views.neighbours import Reach


class Objective(nn.Module, ABC):
    """Heads and loss of a method.

    Everything that the method carries from step to step is a parameter or a buffer, so that a checkpoint of the module
    holds it; parameters that the optimizer must leave alone have `requires_grad` off. Nothing is drawn outside the
    constructor. Images go through networks by way of `Passes` alone.
    """

    grid_stride: int = GRID_STRIDE
    """Pixels of a view along a side of a cell of the embedding grid."""
    points: int = 0
    """Matched points that the method takes from each pair of views (PairBatch.cells_a, cells_b, valid)."""
    tolerance: float = 0.0
    """How far from a point the centres of its positives may lie, source pixels (PairBatch.positives_a, positives_b)."""
    change_weight: ChangeWeight | None = None
    """Lets points count less that look changed (PairBatch.weights)."""
    cells: bool = False
    """Whether the method matches cells by itself (PairBatch.ground, excluded)."""
    reach: Reach | None = None
    """How far apart cells may lie that match, where the method matches all that are near (PairBatch.matches)."""
    crossed: bool = False
    """Whether the method wants four views of a pair: behind anchors and positives come the positive's image as the
    anchor's view is cropped and lit, then the anchor's image as the positive's view is."""
    compared: tuple[Tensor, Tensor] | None = None
    """Embeddings that the last loss pulled together, row by row, each (rows, dim), detached, of any length."""

    @abstractmethod
    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of one batch, a scalar, and leaves what it compared in `compared`.

        Args:
            network: images (images, bands, height, width) → features (images, channels, height/s, width/s); trained.
            views: float (2 · pairs, bands, height, width), anchors first; standardised. With `crossed`, 4 · pairs.
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

    def constant_rate(self) -> list[nn.Parameter]:
        """Returns the parameters whose learning rate stays as it is after the warm-up, whatever the schedule."""
        return []

    def note(self, anchors: Tensor, positives: Tensor) -> None:
        """Keeps what a loss compares, for the diagnostics."""
        self.compared = (anchors.detach(), positives.detach())
