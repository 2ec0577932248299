"""SimCLR: pooled features, each image against all others of the batch."""

from torch import Tensor

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import SimCLR
from pairlab.losses.simclr import nt_xent
from pairlab.networks import perceptron, pooled
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class SimCLRObjective(Objective):
    """NT-Xent on pooled features."""

    def __init__(self, config: SimCLR, channels: int) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.projection = perceptron(
            channels, config.hidden_dim, config.embedding_dim, normalise_input=True, normalise_hidden=False
        )

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the views' projections."""
        anchors, positives = self.projection(pooled(network(views))).chunk(2)
        self.note(anchors, positives)
        return nt_xent(anchors, positives, temperature=self.temperature)
