"""BYOL: projector and predictor on the trained network, and a momentum copy that gives the targets."""

from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import BYOL
from pairlab.losses.byol import byol
from pairlab.losses.embeddings import NothingToMatch
from pairlab.networks import FeatureNetwork, perceptron, pooled
from pairlab.objectives.momentum import MomentumCopy, rising_momentum
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class BYOLObjective(Objective):
    """Predictions of the copy's projection of the other view; both views go through the norms as one batch."""

    def __init__(self, config: BYOL, network: FeatureNetwork) -> None:
        super().__init__()
        self.base_momentum = config.momentum
        self.projector = perceptron(network.channels, config.hidden_dim, config.embedding_dim, normalise_input=True)
        self.predictor = perceptron(config.embedding_dim, config.hidden_dim, config.embedding_dim)
        self.target = MomentumCopy(network, self.projector)

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the views' predictions."""
        if len(views) < 4:
            raise NothingToMatch(
                "BYOL needs at least 2 pairs: batch norm over a single one leaves its two views nothing in common; "
                f"the batch has {len(views) // 2}"
            )
        predictions = self.predictor(self.projector(pooled(network(views))))
        targets = self.target(network, views)
        self.note(predictions, targets.roll(len(targets) // 2, 0))
        return byol(*predictions.chunk(2), *targets.chunk(2))

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:
        """Lets the copy follow."""
        momentum = rising_momentum(step, total, base=self.base_momentum)
        self.target.follow(network, self.projector, momentum=momentum)
