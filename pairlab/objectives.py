"""A contrastive method as the trainer sees it: a projection head and the loss of a batch."""

import torch
from torch import Tensor, nn

from pairlab.experiment.methods import PixelInfoNCE, SimCLR
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.pixel_infonce import gather_points, pixel_infonce
from pairlab.losses.simclr import nt_xent
from pairlab.networks import GlobalProjection, PixelProjection, on_grid
from pairlab.views.batches import PairBatch
from pairlab.views.geometry import GRID_STRIDE


class PixelInfoNCEObjective(nn.Module):
    """Dense InfoNCE on the batch's matched points."""

    def __init__(self, config: PixelInfoNCE, channels: int) -> None:
        super().__init__()
        self.points = config.points_per_pair
        self.change_weight = config.change_weight
        self.temperature = config.temperature
        self.matching = config.matching
        self.projection = PixelProjection(channels, embedding_dim=config.embedding_dim)

    def forward(self, features: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of features (2 · pairs, channels, height, width), anchors first.

        Both ways of matching take the batch's points and weights, so that they differ in the positives alone.
        """
        grid = batch.chips.shape[1] // GRID_STRIDE
        features = on_grid(features, grid)
        anchors, positives = self.projection(features, grid=grid).chunk(2)
        cells_a, cells_b = (torch.from_numpy(cells).to(features.device) for cells in (batch.cells_a, batch.cells_b))
        if self.matching == "feature":
            first, second = features.chunk(2)
            cells_b = most_alike(first, second, cells_a)
        return pixel_infonce(
            gather_points(anchors, cells_a),
            gather_points(positives, cells_b),
            temperature=self.temperature,
            valid=torch.from_numpy(batch.valid.ravel()),
            weights=None if self.change_weight is None else torch.from_numpy(batch.weights.ravel()),
        )


class SimCLRObjective(nn.Module):
    """NT-Xent on pooled features."""

    points = 0
    change_weight = None

    def __init__(self, config: SimCLR, channels: int) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.projection = GlobalProjection(channels, hidden_dim=config.hidden_dim, embedding_dim=config.embedding_dim)

    def forward(self, features: Tensor, batch: PairBatch) -> Tensor:  # noqa: ARG002  (one signature for all methods)
        """Returns the loss of features (2 · pairs, channels, height, width), anchors first."""
        anchors, positives = self.projection(features).chunk(2)
        return nt_xent(anchors, positives, temperature=self.temperature)


Objective = PixelInfoNCEObjective | SimCLRObjective


def build_objective(config: PixelInfoNCE | SimCLR, channels: int, *, seed: int) -> Objective:
    """Returns the method's head and loss, the head with the random weights of a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, PixelInfoNCE):
            return PixelInfoNCEObjective(config, channels)
        return SimCLRObjective(config, channels)
