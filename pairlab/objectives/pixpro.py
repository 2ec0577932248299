"""PixPro: projector and propagation on the trained network, and a momentum copy that gives the targets."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.engine.passes import Passes
from pairlab.experiment.methods import PixPro
from pairlab.losses.embeddings import widened
from pairlab.losses.pixpro import pixpro, propagated
from pairlab.networks import FeatureNetwork, on_grid
from pairlab.objectives.momentum import MomentumCopy, rising_momentum
from pairlab.objectives.objective import Objective
from pairlab.views.batches import PairBatch
from pairlab.views.neighbours import Reach

NOTED = 2048
"""Matches that the diagnostics see of a batch, at most about twice as many."""


class PixProObjective(Objective):
    """Smoothed cells of each view, and the copy's projections of the other; both views pass the norms as one batch."""

    def __init__(self, config: PixPro, network: FeatureNetwork) -> None:
        super().__init__()
        self.base_momentum, self.sharpness = config.momentum, config.sharpness
        self.grid_stride = config.grid_stride
        self.reach = Reach(diagonals=config.threshold, pixels=config.match_tolerance_px)
        self.projector = nn.Sequential(
            nn.Conv2d(network.channels, config.hidden_dim, kernel_size=1, bias=False),  # the norm has its own
            nn.BatchNorm2d(config.hidden_dim),
            nn.ReLU(),
            nn.Conv2d(config.hidden_dim, config.embedding_dim, kernel_size=1),
        )
        self.transform = nn.Conv2d(config.embedding_dim, config.embedding_dim, kernel_size=1)
        # The paper begins at random. What a random transform makes of cells agrees with none of them, and the quickest
        # way out is one direction for all: short runs lost most of their spread to it.
        nn.init.dirac_(self.transform.weight)
        assert self.transform.bias is not None
        nn.init.zeros_(self.transform.bias)
        self.target = MomentumCopy(network, self.projector)

    def loss(self, network: Passes, views: Tensor, batch: PairBatch) -> Tensor:
        """Returns the loss of the cells of both views."""
        grid = batch.chips.shape[1] // self.grid_stride
        embeddings = self.projector(on_grid(network(views), grid))
        values = functional.normalize(widened(self.transform(embeddings)), dim=1)  # as in the authors' code
        smoothed = propagated(_rows(embeddings), _rows(values), sharpness=self.sharpness)
        targets = self._targets(network, views, grid)
        matches = torch.from_numpy(batch.matches)
        y_a, y_b = smoothed.chunk(2)
        x_a, x_b = targets.chunk(2)
        some = matches[:: max(1, len(matches) // NOTED)].to(views.device)
        self.note(y_a.detach().flatten(0, 1)[some[:, 0]], x_b.flatten(0, 1)[some[:, 1]])
        return pixpro(y_a, y_b, x_a, x_b, matches=matches)

    def after_step(self, network: nn.Module, *, step: int, total: int) -> None:
        """Lets the copy follow."""
        momentum = rising_momentum(step, total, base=self.base_momentum)
        self.target.follow(network, self.projector, momentum=momentum)

    @torch.no_grad()
    def _targets(self, network: Passes, views: Tensor, grid: int) -> Tensor:
        """Returns the copy's projections of all cells, (views, cells, D)."""
        return _rows(self.target.head(on_grid(network.frozen(self.target.network, views), grid)))


def _rows(cells: Tensor) -> Tensor:
    """Returns maps (views, D, height, width) as rows (views, cells, D)."""
    return cells.flatten(2).transpose(1, 2)
