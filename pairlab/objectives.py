"""A contrastive method as the trainer sees it: a projection head and the loss of a batch."""

import torch
from torch import Tensor, nn

from pairlab.experiment.methods import PixelInfoNCE, SimCLR
from pairlab.losses.pixel_infonce import gather_points, pixel_infonce
from pairlab.losses.simclr import nt_xent
from pairlab.networks import GRID_STRIDE, GlobalProjection, PixelProjection
from pairlab.views.batches import PairBatch


class PixelInfoNCEObjective(nn.Module):
    """Dense InfoNCE on the batch's matched points."""

    def __init__(self, config: PixelInfoNCE, channels: int) -> None:
        super().__init__()
        self.points = config.points_per_pair
        self.temperature = config.temperature
        self.projection = PixelProjection(channels, embedding_dim=config.embedding_dim)

    def forward(self, features: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of features (2 · pairs, channels, height, width), anchors first."""
        embeddings = self.projection(features, grid=batch.chips.shape[1] // GRID_STRIDE)
        anchors, positives = embeddings.chunk(2)
        device = features.device
        return pixel_infonce(
            gather_points(anchors, torch.from_numpy(batch.cells_a).to(device)),
            gather_points(positives, torch.from_numpy(batch.cells_b).to(device)),
            temperature=self.temperature,
            valid=torch.from_numpy(batch.valid.ravel()).to(device),
        )


class SimCLRObjective(nn.Module):
    """NT-Xent on pooled features."""

    points = 0

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
