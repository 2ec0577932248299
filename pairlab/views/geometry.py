"""Two crops of a chip and their exact pixel correspondence; shared by trainer and preview.

Coordinates are continuous: a pixel's centre is at (column + 0.5, row + 0.5). A view's matrix, float64 of shape (2, 3),
maps (x, y, 1) in the view to (x, y) in the chip.
"""

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
UNMATCHED = -1
GRID_STRIDE = 4
"""Pixels of a view per cell of the embedding grid, where a method does not say otherwise."""


def draw_views(
    count: int, *, size: int, crop_scale: tuple[float, float], flips: bool, rng: np.random.Generator
) -> Float64Array:
    """Returns the matrices of `count` random views of chips, shape (count, 2, 3).

    Args:
        count: number of views.
        size: height and width of chip and view, pixels.
        crop_scale: least and greatest area of the square crop, as a share of the chip.
        flips: also draw a flip and a number of quarter turns.
        rng: source of all choices.
    """
    side = size * np.sqrt(rng.uniform(*crop_scale, size=count))
    corner = rng.uniform(0.0, 1.0, size=(count, 2)) * (size - side)[:, None]
    turns = rng.integers(4, size=count) if flips else np.zeros(count, dtype=np.int64)
    mirror = rng.integers(2, size=count) if flips else np.zeros(count, dtype=np.int64)
    cos, sin = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2).astype(np.float64)
    linear[:, :, 0] *= np.where(mirror, -1.0, 1.0)[:, None]
    linear *= (side / size)[:, None, None]
    centre = corner + side[:, None] / 2
    offset = centre - linear @ np.full(2, size / 2)
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def displaced(matrices: Float64Array, shift: Float64Array) -> Float64Array:
    """Returns the matrices of the same views of chips whose content is displaced.

    Args:
        matrices: shape (views, 2, 3).
        shift: down and right, pixels of the chip, shape (views, 2): what lies at chip (y, x) is shown where
            (y + down, x + right) would be.
    """
    moved = matrices.copy()
    moved[:, :, 2] -= shift[:, ::-1]
    return moved


def to_chip(matrices: Float64Array, points: Float64Array) -> Float64Array:
    """Returns view points in chip coordinates.

    Args:
        matrices: shape (views, 2, 3).
        points: (x, y) in the views, shape (views, points, 2) or (points, 2) for all views alike.
    """
    return np.asarray(points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2])


def to_view(matrices: Float64Array, points: Float64Array) -> Float64Array:
    """Returns chip points (views, points, 2) in view coordinates: the inverse of `to_chip`."""
    inverse = np.linalg.inv(matrices[:, :, :2])
    return np.asarray((points - matrices[:, None, :, 2]) @ inverse.transpose(0, 2, 1))


def cell_centres(grid: int, size: int) -> Float64Array:
    """Returns the centres (x, y) of a grid × grid division of a view, row by row, shape (grid², 2)."""
    along = (np.arange(grid) + 0.5) * (size / grid)
    y, x = np.meshgrid(along, along, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def match_cells(view_a: Float64Array, view_b: Float64Array, *, grid: int, size: int) -> Int64Array:
    """Returns for each cell of view A the cell of view B that holds its centre's ground point, UNMATCHED outside B.

    Args:
        view_a: matrices, shape (pairs, 2, 3).
        view_b: likewise.
        grid: cells along a side of the embedding grid.
        size: height and width of a view, pixels.

    Returns:
        int64 of shape (pairs, grid²).
    """
    ground = to_chip(view_a, cell_centres(grid, size))
    cells = np.floor(to_view(view_b, ground) * (grid / size)).astype(np.int64)
    inside = ((cells >= 0) & (cells < grid)).all(axis=2)
    return np.where(inside, cells[:, :, 1] * grid + cells[:, :, 0], UNMATCHED)


def covered_cells(where: BoolArray, views: Float64Array, *, grid: int) -> BoolArray:
    """Returns which cells of each view see at least one true pixel of its chip; shape (views, grid²).

    Args:
        where: per chip, bool of shape (views, size, size).
        views: matrices, shape (views, 2, 3).
        grid: cells along a side; divides size.
    """
    count, size = where.shape[:2]
    pixels = np.floor(to_chip(views, cell_centres(size, size))).astype(np.int64)
    x, y = np.clip(pixels, 0, size - 1).transpose(2, 0, 1)
    seen = where[np.arange(count)[:, None], y, x]
    block = size // grid
    return np.asarray(seen.reshape(count, grid, block, grid, block).any(axis=(2, 4)).reshape(count, grid * grid))


def mean_in_cells(values: NDArray[np.float32], views: Float64Array, cells: Int64Array, *, grid: int) -> Float64Array:
    """Returns the mean of what chosen cells of each view see of its chip; shape (views, points).

    Args:
        values: per chip, shape (views, size, size).
        views: matrices, shape (views, 2, 3).
        cells: cells of each view, row by row, shape (views, points).
        grid: cells along a side; divides size.
    """
    count, size = values.shape[:2]
    block = size // grid
    corners = np.stack([cells % grid, cells // grid], axis=-1) * float(block)
    points = corners[:, :, None] + cell_centres(block, block)
    pixels = np.floor(to_chip(views, points.reshape(count, cells.shape[1] * block * block, 2))).astype(np.int64)
    x, y = np.clip(pixels, 0, size - 1).transpose(2, 0, 1)
    seen = values[np.arange(count)[:, None], y, x]
    return np.asarray(seen.reshape(*cells.shape, block * block).mean(axis=2, dtype=np.float64))


def without_change(matches: Int64Array, changed: BoolArray, views_a: Float64Array, views_b: Float64Array) -> Int64Array:
    """Returns the matches less those where a cell of either view sees a changed pixel.

    Args:
        matches: from `match_cells`, shape (pairs, grid²).
        changed: of the place that both views show, bool of shape (pairs, size, size).
        views_a: matrices, shape (pairs, 2, 3).
        views_b: likewise, as cropped: with the displacement of the content, where there is one.
    """
    grid = round(matches.shape[1] ** 0.5)
    in_a, in_b = (covered_cells(changed, views, grid=grid) for views in (views_a, views_b))
    return without_cells(matches, in_a, in_b)


def without_cells(matches: Int64Array, excluded_a: BoolArray, excluded_b: BoolArray) -> Int64Array:
    """Returns the matches less those with an excluded cell.

    Args:
        matches: from `match_cells`, shape (pairs, cells).
        excluded_a: cells of the first views that must not be matched, shape (pairs, cells).
        excluded_b: likewise of the second views.
    """
    out = excluded_a | np.take_along_axis(excluded_b, np.maximum(matches, 0), axis=1)
    return np.where(out, UNMATCHED, matches)


def draw_points(matches: Int64Array, *, count: int, keys: Float64Array) -> tuple[Int64Array, Int64Array, BoolArray]:
    """Returns `count` matched points per pair: cells in A, cells in B, and whether the point is matched at all.

    Args:
        matches: from `match_cells`, shape (pairs, grid²).
        count: points per pair; pairs that overlap less have invalid points at the end.
        keys: random numbers in [0, 1), shape (pairs, grid²): the matched cells with the least are taken, in their
            order.

    Returns:
        int64, int64 and bool, each of shape (pairs, count); cell 0 stands for invalid points.
    """
    cells = np.argsort(keys + 2.0 * (matches == UNMATCHED), axis=1, kind="stable")[:, :count]
    partners = np.take_along_axis(matches, cells, axis=1)
    valid = partners != UNMATCHED
    if valid.shape[1] < count:
        missing = ((0, 0), (0, count - valid.shape[1]))
        cells, partners, valid = np.pad(cells, missing), np.pad(partners, missing), np.pad(valid, missing)
    return np.where(valid, cells, 0), np.where(valid, partners, 0), valid
