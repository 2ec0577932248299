"""Each loss beside lightly's where that has it, else beside its equations written down with full matrices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, VICRegLoss
from torch import Tensor
from torch.nn import functional

from pairlab.losses.barlow_twins import barlow_twins
from pairlab.losses.byol import byol
from pairlab.losses.densecl import densecl
from pairlab.losses.feature_matching import most_alike
from pairlab.losses.moco import moco
from pairlab.losses.pixel_infonce import pixel_infonce
from pairlab.losses.pixpro import pixpro, propagated
from pairlab.losses.seco import seco
from pairlab.losses.simclr import nt_xent
from pairlab.losses.simsiam import simsiam
from pairlab.losses.vicreg import vicreg
from pairlab.losses.vicregl import LocalMatching, local_vicreg

Loss = Callable[[Sequence[Tensor]], Tensor]
TEMPERATURE, QUEUE = 0.2, 4096
NAIVE, LIGHTLY = "its equations with full matrices", "lightly's"
VICREG_WEIGHTS: dict[str, Any] = {"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0}
PLACE_MATCHES, FEATURE_MATCHES, WITHIN = 20, 4, 3.0


@dataclass(frozen=True, slots=True)
class LossCase:
    """One loss, its peer, and the shapes that both are given random numbers of."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    ours: Loss
    peer: Loss
    against: str
    trained: int = 2
    """The first so many inputs ask for gradients."""

    def inputs(self) -> list[Tensor]:
        """Returns the inputs, the same for both."""
        generator = torch.Generator().manual_seed(0)
        drawn = [torch.randn(shape, generator=generator) for shape in self.shapes]
        return [each.requires_grad_(number < self.trained) for number, each in enumerate(drawn)]


def unit(rows: Tensor) -> Tensor:
    """Returns rows at unit length."""
    return functional.normalize(rows, dim=-1)


def naive_infonce(given: Sequence[Tensor]) -> Tensor:
    """Returns both directions by their own products."""
    a, b = given
    matches = torch.arange(len(a))
    ways = [functional.cross_entropy(unit(x) @ unit(y).T / TEMPERATURE, matches) for x, y in ((a, b), (b, a))]
    return (ways[0] + ways[1]) / 2


class LightlyMoCo:
    """Lightly's loss, which keeps a queue of its own, normalised, and puts the keys into it."""

    def __init__(self) -> None:
        self._criterion: NTXentLoss | None = None

    def __call__(self, given: Sequence[Tensor]) -> Tensor:
        """Returns the loss of queries, keys and a queue, which is taken over the first time."""
        queries, keys, queue = given
        if self._criterion is None:
            self._criterion = NTXentLoss(temperature=TEMPERATURE, memory_bank_size=tuple(queue.shape))
            self._criterion.memory_bank.bank = unit(queue)
            self._criterion.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.long)
        loss: Tensor = self._criterion(queries, keys.detach())
        return loss


def lightly_symmetric(given: Sequence[Tensor]) -> Tensor:
    """Returns lightly's negative cosines both ways: SimSiam's loss, and BYOL's but for scale and offset."""
    criterion = NegativeCosineSimilarity()
    p_a, p_b, t_a, t_b = given
    loss: Tensor = (criterion(p_a, t_b.detach()) + criterion(p_b, t_a.detach())) / 2
    return loss


def our_densecl(given: Sequence[Tensor]) -> Tensor:
    """Returns DenseCL's loss of all cells, their keys matched by features."""
    cells, keys, queue = given
    side = round(cells.shape[1] ** 0.5)
    of_cells, of_keys = (
        each.detach().transpose(1, 2).reshape(len(each), -1, side, side) for each in (cells, keys)
    )  # (pairs, dim, side, side)
    chosen = most_alike(of_cells, of_keys, torch.arange(side * side).expand(len(cells), -1))
    matched = keys.gather(1, chosen[:, :, None].expand(-1, -1, keys.shape[2]))
    return densecl(cells.new_zeros(()), cells, matched, queue, dense_weight=0.5, temperature=TEMPERATURE)


def naive_densecl(given: Sequence[Tensor]) -> Tensor:
    """Returns the same by the whole matrix of cosines of each pair."""
    cells, keys, queue = given
    chosen = (unit(cells.detach()) @ unit(keys).transpose(1, 2)).argmax(2)
    matched = keys.gather(1, chosen[:, :, None].expand(-1, -1, keys.shape[2]))
    rows, own = unit(cells).flatten(0, 1), unit(matched).flatten(0, 1)
    logits = torch.cat([(rows * own).sum(1, keepdim=True), rows @ unit(queue).T], 1) / TEMPERATURE
    return 0.5 * functional.cross_entropy(logits, torch.zeros(len(rows), dtype=torch.int64))


def _same_place(pairs: int, cells: int) -> Tensor:
    every = torch.arange(pairs * cells)
    return torch.stack([every, every], dim=1)


def our_pixpro(given: Sequence[Tensor]) -> Tensor:
    """Returns PixPro's loss of cells that match where they lie at one place."""
    x_a, x_b, t_a, t_b = given
    y_a, y_b = (propagated(each, each, sharpness=2.0) for each in (x_a, x_b))
    return pixpro(y_a, y_b, t_a, t_b, matches=_same_place(*x_a.shape[:2]))


def naive_pixpro(given: Sequence[Tensor]) -> Tensor:
    """Returns the same by whole matrices: similarities, cosines and a mask."""
    x_a, x_b, t_a, t_b = given
    y_a, y_b = ((unit(x) @ unit(x).transpose(1, 2)).clamp(min=0).pow(2) @ x for x in (x_a, x_b))
    mask = torch.eye(x_a.shape[1])
    total = x_a.new_zeros(())
    for y, t in ((y_a, t_b), (y_b, t_a)):
        cosines = unit(y) @ unit(t.detach()).transpose(1, 2)
        total = total - ((cosines * mask).sum(dim=(1, 2)) / mask.sum()).mean()
    return total


def _places(cells_a: Tensor) -> tuple[Tensor, Tensor]:
    side = round(cells_a.shape[1] ** 0.5)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    a = torch.stack([x.flatten(), y.flatten()], dim=1).float().expand(len(cells_a), -1, -1)
    return a, a * torch.tensor([0.913, 0.937]) + torch.tensor([0.37, 0.21])  # no two as near as each other


def our_vicregl(given: Sequence[Tensor]) -> Tensor:
    """Returns VICRegL's local loss."""
    a, b = given
    within = torch.full((len(a),), WITHIN)
    matching = LocalMatching(PLACE_MATCHES, FEATURE_MATCHES)
    return local_vicreg(a, b, *_places(a), matching=matching, within=within, **VICREG_WEIGHTS)


def naive_vicregl(given: Sequence[Tensor]) -> Tensor:
    """Returns the same by whole matrices of distances."""
    a, b = given
    p_a, p_b = _places(a)
    total = a.new_zeros(())
    for of_a, of_b, count, limit in (
        (p_a, p_b, PLACE_MATCHES, WITHIN),
        (a.detach(), b.detach(), FEATURE_MATCHES, torch.inf),
    ):
        for x, y, d in ((a, b, torch.cdist(of_a, of_b)), (b, a, torch.cdist(of_b, of_a))):
            least, partner = d.min(dim=2)
            kept, rows = least.topk(count, dim=1, largest=False)
            image, rank = (kept <= limit).nonzero(as_tuple=True)
            row = rows[image, rank]
            total = total + vicreg(x[image, row], y[image, partner[image, row]], **VICREG_WEIGHTS) / 2
    return total


def our_seco(given: Sequence[Tensor]) -> Tensor:
    """Returns SeCo's loss."""
    return seco(given[:3], [given[3:6], given[6:9], given[9:12]], given[12:], temperature=TEMPERATURE)


def naive_seco(given: Sequence[Tensor]) -> Tensor:
    """Returns the same by one product of each query with its keys and the queue."""
    total = given[0].new_zeros(())
    for space in range(3):
        query, queue = unit(given[space]), unit(given[12 + space])
        own = [unit(key) for key in given[3 + 3 * space : 6 + 3 * space]]
        others = [] if space == 0 else [key for number, key in enumerate(own) if number != space]
        columns = [(query * key).sum(1, keepdim=True) for key in (own[space], *others)]
        logits = torch.cat([*columns, query @ queue.T], dim=1) / TEMPERATURE
        total = total + functional.cross_entropy(logits, torch.zeros(len(query), dtype=torch.int64))
    return total


def loss_cases(*, quick: bool) -> list[LossCase]:
    """Returns all of them; in the short form, of small batches and grids."""
    rows, queue = ((32, 64), (256, 64)) if quick else ((256, 512), (QUEUE, 512))
    points = (128, 32) if quick else (2048, 128)
    grids = {8: 64} if quick else {14: 196, 56: 3136}
    cases = [
        LossCase("pixel_infonce", (points,) * 2, lambda g: pixel_infonce(*g, temperature=0.2), naive_infonce, NAIVE),
        LossCase("simclr", (rows,) * 2, lambda g: nt_xent(*g, temperature=0.5), lambda g: NTXentLoss()(*g), LIGHTLY),
        LossCase("moco", (rows, rows, queue), lambda g: moco(*g, temperature=0.2), LightlyMoCo(), LIGHTLY, trained=1),
        LossCase("byol", (rows,) * 4, lambda g: byol(*g), lightly_symmetric, LIGHTLY),
        LossCase("simsiam", (rows,) * 4, lambda g: simsiam(*g), lightly_symmetric, LIGHTLY),
        LossCase("vicreg", (rows,) * 2, lambda g: vicreg(*g, **VICREG_WEIGHTS), lambda g: VICRegLoss()(*g), LIGHTLY),
        LossCase(
            "barlow_twins",
            (rows,) * 2,
            lambda g: barlow_twins(*g, redundancy_weight=5e-3),
            lambda g: BarlowTwinsLoss()(*g),
            LIGHTLY,
        ),
        LossCase("seco", (rows,) * 12 + (queue,) * 3, our_seco, naive_seco, NAIVE, trained=3),
    ]
    for side, cells in grids.items():
        dense, keys = (4, cells, 64), (512, 64)
        cases += [
            LossCase(f"densecl_{side}", (dense, dense, keys), our_densecl, naive_densecl, NAIVE, trained=1),
            LossCase(f"pixpro_{side}", (dense,) * 4, our_pixpro, naive_pixpro, NAIVE),
            LossCase(f"vicregl_{side}", (dense,) * 2, our_vicregl, naive_vicregl, NAIVE),
        ]
    return cases
