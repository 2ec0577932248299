"""VICReg: pooled features through an expander."""

from torch import Tensor

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import VICReg
from pairlab.losses.vicreg import vicreg
from pairlab.networks import perceptron, pooled
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class VICRegObjective(Objective):
    """Variance, invariance and covariance of expanded embeddings; both views go through the norms as one batch."""

    def __init__(self, config: VICReg, channels: int) -> None:
        super().__init__()
        self.config = config
        widths = config.hidden_dim, config.hidden_dim, config.embedding_dim
        self.expander = perceptron(channels, *widths, normalise_input=True)

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the views' embeddings."""
        anchors, positives = self.expander(pooled(network(views))).chunk(2)
        self.note(anchors, positives)
        return vicreg(
            anchors,
            positives,
            invariance_weight=self.config.invariance_weight,
            variance_weight=self.config.variance_weight,
            covariance_weight=self.config.covariance_weight,
        )
