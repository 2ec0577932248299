"""Cells of two views that lie close to each other on the ground: what methods match beside the very same place."""

from dataclasses import dataclass

import numpy as np

from pairlab.views.geometry import BoolArray, Float64Array, Int64Array, cell_centres, to_chip, to_view

SLACK = 1e-6
"""Pixels by which a distance may exceed its limit: whether two points at the very limit match is no matter of rounding,
and no matter of which view is asked."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far apart the centres of two cells may lie that match: the greater of two limits."""

    diagonals: float = 0.0
    """In diagonals of the larger cell, as the ground measures them."""
    pixels: float = 0.0
    """In source pixels."""


def scales(views: Float64Array) -> Float64Array:
    """Returns the source pixels along a pixel of each view, shape (views,)."""
    return np.asarray(np.sqrt(np.abs(np.linalg.det(views[:, :, :2]))))


def limits(reach: Reach, views_a: Float64Array, views_b: Float64Array, *, grid: int, size: int) -> Float64Array:
    """Returns how far apart matching cells of each pair of views may lie, source pixels, shape (pairs,).

    Args:
        reach: the method's.
        views_a: matrices, shape (pairs, 2, 3).
        views_b: likewise.
        grid: cells along a side of the embedding grid.
        size: height and width of a view, pixels.
    """
    diagonal = np.sqrt(2.0) * size / grid * np.maximum(scales(views_a), scales(views_b))
    return np.asarray(np.maximum(reach.diagonals * diagonal, reach.pixels))


def near_cells(
    ground: Float64Array, within: Float64Array, views: Float64Array, *, grid: int, size: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Returns all cells whose centres lie near points on the ground, as rows (pair, point, cell) in that order.

    Args:
        ground: points (x, y) in the chips, shape (pairs, points, 2).
        within: how far a centre may lie from a point of each pair, source pixels, shape (pairs,).
        views: matrices of the views whose cells are meant, shape (pairs, 2, 3), from `draw_views`: they turn, mirror
            and scale, so that a circle on the ground is one in the view.
        grid: cells along a side of the embedding grid.
        size: height and width of a view, pixels.

    Returns:
        Three int64 arrays of one length: pair, point and cell.
    """
    radius = ((within + SLACK) * (grid / size) / scales(views))[:, None, None]  # in cells
    at = to_view(views, ground) * (grid / size) - 0.5  # (pairs, points, 2); a cell's centre lies at whole numbers
    first = np.clip(np.ceil(at - radius), 0, grid)
    last = np.clip(np.floor(at + radius), -1, grid - 1)
    most = int(max((last - first).max(initial=-1.0) + 1, 0))
    along = first[..., None] + np.arange(most)  # (pairs, points, 2, most): columns, then rows that may be near
    squared = np.where(along <= last[..., None], (along - at[..., None]) ** 2, np.inf)
    near = squared[:, :, 1, :, None] + squared[:, :, 0, None, :] <= (radius**2)[..., None]
    pair, point, row, column = np.nonzero(near)
    corner = first.astype(np.int64)[pair, point]  # (rows, 2)
    return pair, point, (corner[:, 1] + row) * grid + corner[:, 0] + column


def positives_of_points(
    cells: Int64Array,
    partners: Int64Array,
    valid: BoolArray,
    *,
    views: Float64Array,
    others: Float64Array,
    excluded: BoolArray,
    within: float,
    size: int,
) -> BoolArray:
    """Returns which cells of the other view are positives of each point, bool of shape (pairs, points, cells).

    They are the cells whose centres lie near the centre of the point's own cell, and always the one it is matched with.

    Args:
        cells: cells of the points, shape (pairs, points).
        partners: cells of the other views that they are matched with.
        valid: whether a point is matched at all; one that is not has no positives.
        views: matrices of the points' views, shape (pairs, 2, 3), as the loss takes them to be.
        others: those of the other views.
        excluded: cells of the other views that are nobody's positives, shape (pairs, cells).
        within: how far a centre may lie from a point, source pixels.
        size: height and width of a view, pixels.
    """
    grid = round(excluded.shape[1] ** 0.5)
    ground = to_chip(views, cell_centres(grid, size)[cells])
    positives = np.zeros((*cells.shape, grid * grid), dtype=bool)
    positives[near_cells(ground, np.full(len(cells), within), others, grid=grid, size=size)] = True
    positives &= ~excluded[:, None]
    np.put_along_axis(positives, partners[:, :, None], True, axis=2)
    return np.asarray(positives & valid[:, :, None])


def matching_cells(
    views_a: Float64Array, views_b: Float64Array, reach: Reach, *, excluded: BoolArray, size: int
) -> Int64Array:
    """Returns all cells of two views that match, as rows of tables that hold the cells of all pairs one after another.

    Memory grows with their number, about π (reach / side of a cell)² for each cell.

    Args:
        views_a: matrices, shape (pairs, 2, 3), as the loss takes them to be.
        views_b: likewise.
        reach: how far apart the centres of two cells may lie.
        excluded: cells that match nothing, of the first and then of the second views, shape (2 · pairs, cells).
        size: height and width of a view, pixels.

    Returns:
        int64 of shape (matches, 2): pair · cells + cell in the first and in the second view, in ascending order.
    """
    count, cells = len(views_a), excluded.shape[1]
    grid = round(cells**0.5)
    within = limits(reach, views_a, views_b, grid=grid, size=size)
    ground = to_chip(views_a, cell_centres(grid, size))
    pair, first, second = near_cells(ground, within, views_b, grid=grid, size=size)
    rows = np.stack([pair * cells + first, pair * cells + second], axis=1)
    if excluded.any():
        rows = rows[~(excluded[:count].ravel()[rows[:, 0]] | excluded[count:].ravel()[rows[:, 1]])]
    return rows
