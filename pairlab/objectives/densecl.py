"""DenseCL: MoCo v2 on whole images, and on cells that find their keys by their features."""

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import DenseCL
from pairlab.losses.densecl import densecl
from pairlab.losses.embeddings import unit_rows
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.moco import moco
from pairlab.losses.pixel_infonce import gather_points
from pairlab.networks import Learner, on_grid, pooled
from pairlab.objectives.momentum import MomentumCopy, enqueued
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class DenseCLObjective(Objective):
    """Anchors are queries, positives are keys, each with a head for whole images and one for cells.

    Which cell is whose key is told by the features before the heads, of the trained network and of its copy. The dense
    queue holds one key of an image, pooled over its cells. Both queues begin with random directions.
    """

    queue: Tensor
    dense_queue: Tensor

    def __init__(self, config: DenseCL, network: Learner) -> None:
        super().__init__()
        self.config, self.grid_stride = config, config.grid_stride
        widths = network.channels, config.hidden_dim, config.embedding_dim
        self.heads = nn.ModuleDict(
            {
                "pooled": nn.Sequential(nn.Linear(*widths[:2]), nn.ReLU(), nn.Linear(*widths[1:])),
                "dense": nn.Sequential(nn.Conv2d(*widths[:2], 1), nn.ReLU(), nn.Conv2d(*widths[1:], 1)),
            }
        )
        self.copy = MomentumCopy(network, self.heads)
        for name in ("queue", "dense_queue"):
            self.register_buffer(name, unit_rows(torch.randn(config.queue_size, config.embedding_dim)))
        self._arriving: tuple[Tensor, Tensor] | None = None

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of the anchors and their cells against the positives' keys and both queues."""
        anchors, positives = views.chunk(2)
        grid = batch.chips.shape[1] // self.grid_stride
        keys, dense_keys, key_features = self._keys(network, positives, grid=grid)
        features = network(anchors)
        queries = self.heads["pooled"](pooled(features))
        self.note(queries, keys)
        temperature = self.config.temperature
        global_loss = moco(queries, keys, self.queue, temperature=temperature)
        if batch.step < self.config.dense_warmup_steps or self.config.dense_weight == 0:
            return global_loss
        features = on_grid(features, grid)
        every = torch.arange(grid * grid, device=features.device).expand(len(features), -1)
        cells = gather_points(self.heads["dense"](features), every)
        matched = gather_points(dense_keys, most_alike(features, key_features, every))
        self.note(cells, matched)
        return densecl(
            global_loss,
            cells.reshape(*every.shape, -1),
            matched.reshape(*every.shape, -1),
            self.dense_queue,
            dense_weight=self.config.dense_weight,
            temperature=temperature,
        )

    @torch.no_grad()
    def _keys(self, network: Passes, positives: Tensor, *, grid: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the keys of images (pairs, dim) and of their cells (pairs, dim, grid, grid), and their features."""
        features = network.frozen(self.copy.network, positives, groups=self.config.key_parts)
        heads = self.copy.head
        assert isinstance(heads, nn.ModuleDict)
        keys = heads["pooled"](pooled(features))
        features = on_grid(features, grid)
        dense_keys = heads["dense"](features)
        self._arriving = unit_rows(keys), unit_rows(pooled(dense_keys))
        return keys, dense_keys, features

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:  # noqa: ARG002
        """Lets the copy follow, and puts the step's keys into the queues in place of the oldest."""
        self.copy.follow(network, self.heads, momentum=self.config.momentum)
        if self._arriving is not None:
            keys, dense_keys = self._arriving
            self.queue, self.dense_queue = enqueued(self.queue, keys), enqueued(self.dense_queue, dense_keys)
            self._arriving = None
