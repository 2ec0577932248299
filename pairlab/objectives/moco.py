"""MoCo v2: queries of the trained network, keys of a momentum copy, and a queue of earlier keys."""

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import MoCo
from pairlab.losses.embeddings import NothingToMatch, unit_rows
from pairlab.losses.moco import moco, others_of
from pairlab.networks import FeatureNetwork, perceptron, pooled
from pairlab.objectives.momentum import MomentumCopy, enqueued
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class MoCoObjective(Objective):
    """Anchors are queries, positives are keys: which image of a pair is the anchor is drawn by chance.

    The queue begins with random directions; without one, the batch's other keys are negatives. In place of shuffling
    batch norm over devices, the copy sees the keys in parts (MoCo.key_parts); which pairs share a part is as random as
    the order of the pairs in their batch.
    """

    queue: Tensor

    def __init__(self, config: MoCo, network: FeatureNetwork) -> None:
        super().__init__()
        self.temperature, self.momentum, self.key_parts = config.temperature, config.momentum, config.key_parts
        self.projection = perceptron(
            network.channels, config.hidden_dim, config.embedding_dim, normalise_input=True, normalise_hidden=False
        )
        self.copy = MomentumCopy(network, self.projection)
        self.register_buffer("queue", unit_rows(torch.randn(config.queue_size, config.embedding_dim)))
        self._arriving: Tensor | None = None

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002
        """Returns the loss of the anchors against the positives' keys and the negatives."""
        anchors, positives = views.chunk(2)
        if len(anchors) < 2:
            raise NothingToMatch(
                "MoCo needs at least 2 pairs, whose pooled features are normalised together; "
                f"the batch has {len(anchors)}"
            )
        keys = self.copy(network, positives, groups=self.key_parts)
        self._arriving = unit_rows(keys)
        queries = self.projection(pooled(network(anchors)))
        self.note(queries, keys)
        others = None if len(self.queue) else others_of(keys)
        return moco(queries, keys, self.queue, temperature=self.temperature, own_negatives=others)

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:  # noqa: ARG002
        """Lets the copy follow, and puts the step's keys into the queue in place of the oldest."""
        self.copy.follow(network, self.projection, momentum=self.momentum)
        if self._arriving is not None:
            self.queue = enqueued(self.queue, self._arriving)
            self._arriving = None
