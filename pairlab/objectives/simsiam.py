"""SimSiam: pooled features through a projector, and a predictor behind it."""

from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import SimSiam
from pairlab.losses.embeddings import NothingToMatch
from pairlab.losses.simsiam import simsiam
from pairlab.networks import perceptron, pooled
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class SimSiamObjective(Objective):
    """Predictions of each view's projection from the other's; both views go through the norms as one batch."""

    def __init__(self, config: SimSiam, channels: int) -> None:
        super().__init__()
        width = config.embedding_dim
        self.projector = perceptron(channels, width, width, width, normalise_input=True, normalise_output=True)
        self.predictor = perceptron(width, config.predictor_dim, width)

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the views' predictions."""
        if len(views) < 4:
            raise NothingToMatch(
                "SimSiam needs at least 2 pairs: batch norm would make the two views of a single one opposites; "
                f"the batch has {len(views) // 2}"
            )
        projections = self.projector(pooled(network(views)))
        self.note(*projections.chunk(2))
        return simsiam(*self.predictor(projections).chunk(2), *projections.chunk(2))

    def constant_rate(self) -> list[nn.Parameter]:
        """Returns the predictor's parameters."""
        return list(self.predictor.parameters())
