"""How far apart two cells may lie that show the same ground."""

import math

import torch
from torch import Tensor


def cell_diagonals(places: Tensor, *, size: int) -> Tensor:
    """Returns the diagonal of the larger cell of each pair of views, in the unit of the places, (pairs,).

    Args:
        places: centres of cells of the first and then of the second views, row by row, (2 · pairs, cells, 2).
        size: of a view that is one cell, which has no neighbour to tell its side.
    """
    if places.shape[1] == 1:
        return places.new_full((len(places) // 2,), math.sqrt(2.0) * size)
    sides = (places[:, 1] - places[:, 0]).norm(dim=1)
    return math.sqrt(2.0) * torch.maximum(*sides.chunk(2)) * (1 + 1e-6)
