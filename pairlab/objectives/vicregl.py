"""VICRegL: pooled features through an expander, and each cell's through another."""

import torch
from torch import Tensor, nn

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import VICRegL
from pairlab.losses.vicreg import vicreg
from pairlab.losses.vicregl import LocalMatching, local_vicreg
from pairlab.networks import MapAndLevels, on_grid, perceptron
from pairlab.objectives.objective import Objective
from pairlab.objectives.places import cell_diagonals
from pairlab.views.batches import PairBatch


class VICRegLObjective(Objective):
    """VICReg on whole images and on matched cells; both views go through the norms as one batch."""

    cells = True

    def __init__(self, config: VICRegL, network: MapAndLevels) -> None:
        super().__init__()
        self.config, self.grid_stride = config, config.grid_stride
        self.layout = network.layout
        self.matching = LocalMatching(by_place=config.location_matches, by_features=config.feature_matches)
        self.expander: nn.Module | None = None
        self.local_expander: nn.Module | None = None
        if config.alpha > 0:
            self.expander = perceptron(
                network.layout.level_channels,
                config.hidden_dim,
                config.hidden_dim,
                config.embedding_dim,
                normalise_input=True,
            )
        if config.alpha < 1:
            self.local_expander = perceptron(
                network.layout.channels, config.local_dim, config.local_dim, config.local_dim
            )

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns α times the loss of whole images and 1 − α times that of cells."""
        features, levels = self.layout.split(network(views))
        weights = {
            "invariance_weight": self.config.invariance_weight,
            "variance_weight": self.config.variance_weight,
            "covariance_weight": self.config.covariance_weight,
        }
        loss = torch.zeros((), device=features.device)
        if self.local_expander is not None:
            grid = batch.chips.shape[1] // self.grid_stride
            maps = on_grid(features, grid).flatten(2).transpose(1, 2)  # (2 · pairs, cells, channels)
            rows = self.local_expander(maps.flatten(0, 1))
            cells_a, cells_b = rows.reshape(*maps.shape[:2], -1).chunk(2)
            places = torch.from_numpy(batch.ground).to(features.device, torch.float32)
            places_a, places_b = places.chunk(2)
            self.note(cells_a.flatten(0, 1), cells_b.flatten(0, 1))
            loss = loss + (1.0 - self.config.alpha) * local_vicreg(
                cells_a,
                cells_b,
                places_a,
                places_b,
                matching=self.matching,
                within=self._within(places, size=batch.chips.shape[1]),
                **weights,
            )
        if self.expander is not None:
            anchors, positives = self.expander(levels).chunk(2)
            self.note(anchors, positives)
            loss = loss + self.config.alpha * vicreg(anchors, positives, **weights)
        return loss

    def _within(self, places: Tensor, *, size: int) -> Tensor:
        """Returns how far apart the cells of each pair may lie that match by place, pixels of the chip, (pairs,)."""
        if self.config.match_tolerance_px is not None:
            return places.new_full((len(places) // 2,), self.config.match_tolerance_px)
        return cell_diagonals(places, size=size)
