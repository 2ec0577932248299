"""SeCo: MoCo v2 in three subspaces, on pairs of two dates of which each image is seen under both augmentations."""

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import SeCo
from pairlab.losses.embeddings import NothingToMatch, unit_rows
from pairlab.losses.seco import seco
from pairlab.networks import FeatureNetwork, perceptron, pooled
from pairlab.objectives.momentum import MomentumCopy, enqueued
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class SeCoObjective(Objective):
    """Anchors are queries; the other three views of their pair are the keys, by the momentum copy.

    Each subspace has its own head and queue. The queues begin with random directions; without them, the
    batch's other keys of the subspace are the negatives.
    """

    crossed = True
    queues: Tensor

    def __init__(self, config: SeCo, network: FeatureNetwork) -> None:
        super().__init__()
        self.config = config
        self.heads = nn.ModuleList(
            perceptron(
                network.channels, config.hidden_dim, config.embedding_dim, normalise_input=True, normalise_hidden=False
            )
            for _ in range(3)
        )
        self.copy = MomentumCopy(network, self.heads)
        queues = [unit_rows(torch.randn(config.queue_size, config.embedding_dim)) for _ in range(3)]
        self.register_buffer("queues", torch.stack(queues))  # (3, K, D)
        self._arriving: list[Tensor] | None = None

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the anchors against the keys of their pair and the queues."""
        anchors, *others = views.chunk(4)
        if len(anchors) < 2:
            raise NothingToMatch(
                "SeCo needs at least 2 pairs, whose pooled features are normalised together; "
                f"the batch has {len(anchors)}"
            )
        keys = self._keys(network, others)
        features = pooled(network(anchors))
        queries = [head(features) for head in self.heads]
        self.note(queries[0], keys[0][0])
        return seco(queries, keys, self.queues.unbind(), temperature=self.config.temperature)

    @torch.no_grad()
    def _keys(self, network: Passes, views: list[Tensor]) -> list[list[Tensor]]:
        """Returns the keys in each subspace of the positives, the crossed positives and the crossed anchors."""
        groups = self.config.key_parts
        features = [pooled(network.frozen(self.copy.network, each, groups=groups)) for each in views]
        heads = self.copy.head
        assert isinstance(heads, nn.ModuleList)
        keys = [[head(each) for each in features] for head in heads]
        self._arriving = [unit_rows(own[space]) for space, own in enumerate(keys)]
        return keys

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:  # noqa: ARG002
        """Lets the copy follow, and puts each subspace's keys into its queue in place of the oldest."""
        self.copy.follow(network, self.heads, momentum=self.config.momentum)
        if self._arriving is not None:
            pairs = zip(self.queues, self._arriving, strict=True)
            self.queues = torch.stack([enqueued(queue, keys) for queue, keys in pairs])
            self._arriving = None
