"""Barlow Twins: pooled features through a projector."""

from torch import Tensor

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import BarlowTwins
from pairlab.losses.barlow_twins import barlow_twins
from pairlab.networks import perceptron, pooled
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class BarlowTwinsObjective(Objective):
    """Correlations of projections; both views go through the projector's norms as one batch."""

    def __init__(self, config: BarlowTwins, channels: int) -> None:
        super().__init__()
        self.redundancy_weight = config.redundancy_weight
        widths = config.hidden_dim, config.hidden_dim, config.embedding_dim
        self.projector = perceptron(channels, *widths, normalise_input=True)

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the views' projections."""
        anchors, positives = self.projector(pooled(network(views))).chunk(2)
        self.note(anchors, positives)
        return barlow_twins(anchors, positives, redundancy_weight=self.redundancy_weight)
