"""Pixel InfoNCE: a dense projection, and the batch's matched points."""

import torch
from torch import Tensor

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import PixelInfoNCE
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.pixel_infonce import gather_points, pixel_infonce
from pairlab.losses.tolerant_infonce import tolerant_infonce
from pairlab.networks import PixelProjection, on_grid
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch


class PixelInfoNCEObjective(Objective):
    """Dense InfoNCE on the batch's matched points."""

    def __init__(self, config: PixelInfoNCE, channels: int) -> None:
        super().__init__()
        self.points = config.points_per_pair
        self.grid_stride = config.grid_stride
        self.change_weight = config.change_weight
        self.temperature = config.temperature
        self.matching = config.matching
        self.tolerance = config.match_tolerance_px
        self.projection = PixelProjection(channels, embedding_dim=config.embedding_dim)

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of the views' matched points."""
        loss: Tensor = self(network(views), batch)
        return loss

    def forward(self, features: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of features (2 · pairs, channels, height, width), anchors first.

        Both ways of matching take the batch's points and weights, so that they differ in the positives alone, and so
        does a match tolerance.
        """
        grid = batch.chips.shape[1] // self.grid_stride
        features = on_grid(features, grid)
        anchors, positives = self.projection(features, grid=grid).chunk(2)
        cells_a, cells_b = (torch.from_numpy(cells) for cells in (batch.cells_a, batch.cells_b))
        valid = torch.from_numpy(batch.valid)
        weights = None if self.change_weight is None else torch.from_numpy(batch.weights)
        if self.matching == "feature":
            first, second = features.chunk(2)
            cells_b = most_alike(first, second, cells_a)
        points_a, points_b = (gather_points(*each) for each in ((anchors, cells_a), (positives, cells_b)))
        self._note(points_a, points_b, valid)
        if self.tolerance:
            return tolerant_infonce(
                anchors,
                positives,
                cells_a=cells_a,
                cells_b=cells_b,
                positives_a=torch.from_numpy(batch.positives_a),
                positives_b=torch.from_numpy(batch.positives_b),
                valid=valid,
                temperature=self.temperature,
                weights=weights,
            )
        return pixel_infonce(
            points_a,
            points_b,
            temperature=self.temperature,
            valid=valid.ravel(),
            weights=None if weights is None else weights.ravel(),
        )

    def _note(self, points_a: Tensor, points_b: Tensor, valid: Tensor) -> None:
        rows = valid.ravel().nonzero().squeeze(1).to(points_a.device)
        self.note(points_a.detach().index_select(0, rows), points_b.detach().index_select(0, rows))
