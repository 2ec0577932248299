"""DenseCL: MoCo v2 on whole images, and on cells that find their keys by their features."""

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import DenseCL
from pairlab.losses.densecl import densecl
from pairlab.losses.embeddings import unit_rows
from pairlab.losses.feature_matching import most_alike, nearest
from pairlab.losses.moco import moco, others_of
from pairlab.losses.pixel_infonce import gather_points
from pairlab.networks import MapAndLevels, on_grid, perceptron, pooled
from pairlab.objectives.momentum import MomentumCopy, enqueued
from pairlab.objectives.objective import Objective
from pairlab.objectives.places import cell_diagonals
from pairlab.views.batches import PairBatch

NEGATIVE_CELLS = 8
"""Cells of each image of the batch that are negatives of all its cells, where there is no queue."""


class DenseCLObjective(Objective):
    """Anchors are queries, positives are keys, each with a head for whole images and one for cells.

    Whole images are compared by the encoder's pooled levels, cells by the decoder's features. Which cell is whose key
    is told by where they lie for the first steps, and then by the features before the heads, of the trained network and
    of its copy. Negatives are the other images of the batch and some of their cells; or, where there are queues,
    earlier images and the means of their cells. Both queues begin with random directions.
    """

    queue: Tensor
    dense_queue: Tensor

    def __init__(self, config: DenseCL, network: MapAndLevels) -> None:
        super().__init__()
        self.config, self.grid_stride = config, config.grid_stride
        self.layout, self.cells = network.layout, config.place_steps > 0
        widths = config.hidden_dim, config.embedding_dim
        self.heads = nn.ModuleDict(
            {
                "pooled": perceptron(
                    network.layout.level_channels, *widths, normalise_input=True, normalise_hidden=False
                ),
                "dense": nn.Sequential(
                    nn.Conv2d(network.layout.channels, widths[0], 1), nn.ReLU(), nn.Conv2d(*widths, 1)
                ),
            }
        )
        self.copy = MomentumCopy(network, self.heads)
        for name in ("queue", "dense_queue"):
            self.register_buffer(name, unit_rows(torch.randn(config.queue_size, config.embedding_dim)))
        self._arriving: tuple[Tensor, ...] = ()

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of the anchors and their cells against the positives' keys and both queues."""
        anchors, positives = views.chunk(2)
        grid = batch.chips.shape[1] // self.grid_stride
        keys, dense_keys, key_features = self._keys(network, positives, grid=grid)
        features, levels = self.layout.split(network(anchors))
        queries = self.heads["pooled"](levels)
        self.note(queries, keys)
        temperature = self.config.temperature
        others = None if self.config.queue_size else others_of(keys)
        global_loss = moco(queries, keys, self.queue, temperature=temperature, own_negatives=others)
        if batch.step < self.config.dense_warmup_steps or self.config.dense_weight == 0:
            return global_loss
        features = on_grid(features, grid)
        every = torch.arange(grid * grid, device=features.device).expand(len(features), -1)
        valid: Tensor | None = None
        if batch.step < self.config.place_steps:
            chosen, valid = (each.to(features.device) for each in _same_places(batch))
        else:
            chosen = most_alike(features, key_features, every)
        cells = gather_points(self.heads["dense"](features), every)
        matched = gather_points(dense_keys, chosen)
        self.note(cells, matched)
        return densecl(
            global_loss,
            cells.reshape(*every.shape, -1),
            matched.reshape(*every.shape, -1),
            self.dense_queue if self.config.queue_size else _some_cells(dense_keys, batch.step),
            dense_weight=self.config.dense_weight,
            temperature=temperature,
            valid=valid,
        )

    @torch.no_grad()
    def _keys(self, network: Passes, positives: Tensor, *, grid: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the keys of images (pairs, dim) and of their cells (pairs, dim, grid, grid), and their features."""
        features, levels = self.layout.split(network.frozen(self.copy.network, positives, groups=self.config.key_parts))
        heads = self.copy.head
        assert isinstance(heads, nn.ModuleDict)
        keys = heads["pooled"](levels)
        features = on_grid(features, grid)
        dense_keys = heads["dense"](features)
        self._arriving = unit_rows(keys), unit_rows(pooled(dense_keys))
        return keys, dense_keys, features

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:  # noqa: ARG002
        """Lets the copy follow, and puts the step's keys into the queues in place of the oldest."""
        self.copy.follow(network, self.heads, momentum=self.config.momentum)
        if self._arriving:
            keys, dense_keys = self._arriving
            self.queue, self.dense_queue = enqueued(self.queue, keys), enqueued(self.dense_queue, dense_keys)
            self._arriving = ()


def _same_places(batch: PairBatch) -> tuple[Tensor, Tensor]:
    """Returns the cells of positives that lie nearest to each cell of the anchors, and whether near enough to match."""
    places = torch.from_numpy(batch.ground)
    chosen, squared = nearest(*places.chunk(2))
    return chosen, squared <= cell_diagonals(places, size=batch.chips.shape[1])[:, None] ** 2


def _some_cells(dense_keys: Tensor, step: int) -> Tensor:
    """Returns some cells of every image, as a queue (keys, dim); which of them, the step tells.

    A cell may meet its own key among them, one in a batch of many.
    """
    cells = dense_keys.flatten(2).transpose(1, 2)  # (pairs, cells, dim)
    drawn = torch.randperm(cells.shape[1], generator=torch.Generator().manual_seed(step))[:NEGATIVE_CELLS]
    return cells[:, drawn.to(cells.device)].flatten(0, 1)
