"""How much a pixel pair counts in the loss: the less, the more its two images differ there."""

import numpy as np
from numpy.typing import NDArray

from pairlab.pairing.change_scores import cva
from pairlab.scenes.scene import BoolArray, Pixels
from pairlab.views.geometry import Float64Array, Int64Array, mean_in_cells

Weights = NDArray[np.float32]


def change_weights(anchor: Pixels, positive: Pixels, *, valid: BoolArray, scale: float) -> Weights:
    """Returns exp(−r / scale) per pixel, float32 in [0, 1] of shape (size, size), with r as `cva` measures it.

    Means and deviations are those of the two chips, which is all that a step of the training reads.
    Chips that are equal up to a linear change of their bands have weight 1 everywhere. A pixel without data in either
    chip has weight 0: there is nothing to match.

    Args:
        anchor: chip, shape (size, size, bands).
        positive: chip of the same shape.
        valid: pixels with data in both, shape (size, size).
        scale: the r at which a pixel pair counts 1/e.
    """
    lengths = cva(anchor, positive, valid=valid)
    return np.where(np.isnan(lengths), np.float32(0.0), np.exp(-lengths / np.float32(scale)))


def point_weights(
    weights: Weights,
    views_a: Float64Array,
    views_b: Float64Array,
    cells_a: Int64Array,
    cells_b: Int64Array,
    *,
    grid: int,
) -> Weights:
    """Returns the weight of matched points, shape (pairs, points): the mean of the pixels that a point's cells see.

    The cells of both views count alike, so that it does not matter which image of a pair is the anchor.

    Args:
        weights: per pair, where the loss takes the ground to be, shape (pairs, size, size).
        views_a: matrices of the anchors, shape (pairs, 2, 3).
        views_b: matrices of the positives as the loss takes them to be, without an added displacement.
        cells_a: cells of the anchors' grid, shape (pairs, points).
        cells_b: cells of the positives' grid.
        grid: cells along a side.
    """
    in_a = mean_in_cells(weights, views_a, cells_a, grid=grid)
    in_b = mean_in_cells(weights, views_b, cells_b, grid=grid)
    return ((in_a + in_b) / 2).astype(np.float32)


def displaced_chip(chip: Pixels | NDArray[np.bool_], shift: tuple[float, float]) -> NDArray[np.float32]:
    """Returns a chip with its content displaced, float32, by bilinear interpolation; the border is repeated.

    Args:
        chip: shape (size, size, bands), finite.
        shift: down and right, pixels.
    """
    moved = chip.astype(np.float32)
    for axis, by in enumerate(shift):
        last = moved.shape[axis] - 1
        at = np.clip(np.arange(last + 1) - by, 0, last)
        low = at.astype(np.int64)
        share = (at - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        moved = moved.take(low, axis) * (1 - share) + moved.take(np.minimum(low + 1, last), axis) * share
    return moved
