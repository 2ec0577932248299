"""The views and matched points of pairs, before anything is trained; needs no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.methods import Method, PixelInfoNCE, PixPro
from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.pairing.pair import Pair, PairList
from pairlab.views.geometry import (
    UNMATCHED,
    Float64Array,
    Int64Array,
    cell_centres,
    covered_cells,
    draw_points,
    match_cells,
    to_chip,
    to_view,
    without_cells,
)
from pairlab.views.neighbours import Reach, limits, matching_cells, scales
from pairlab.views.steps import Steps

BATCH_SIZE = Pretraining().batch_size


@dataclass(frozen=True, slots=True)
class ViewPair:
    """Two views of a pair, each as large as a chip.

    Matrices map (x, y, 1) in the view to (x, y) in its chip, pixels.
    """

    anchor: Float64Array
    """Shape (2, 3)."""
    positive: Float64Array
    """Shape (2, 3), as it is cropped: an added displacement (Pair.shift) is in it."""
    points_a: Float64Array
    """Points (x, y) in the anchor's view, shape (points, 2): the centres of cells."""
    points_b: Float64Array
    """Where the loss takes the same ground to be in the positive's view, shape (points, 2); an added displacement
    makes the view show other ground there."""
    excluded: NDArray[np.bool_]
    """Points that were passed over for a relevant change (control: masked); the others are those that are matched."""
    reach: float | None
    """How far from `points_b` the centres of cells may lie that are positives too, pixels of the positive's view; None
    where the cell that holds the point is the only one."""


def preview_views(
    pairs: PairList,
    positions: Sequence[int],
    *,
    augmentation: Augmentation,
    method: Method,
    seed: int,
    changed: Callable[[Pair], NDArray[np.bool_]] | None,
    batch_size: int = BATCH_SIZE,
) -> list[ViewPair]:
    """Returns the views and points of pairs as the trainer draws them in the step that shows the pair first.

    That step is in the first round over all pairs, and follows from `pairs`, `seed` and `batch_size`; later rounds draw
    other views. A method that matches by features takes the same points of the anchor, and chooses their counterparts
    as it learns: `points_b` is then the same ground, not the counterpart. A method that draws no points and matches all
    cells near each other (PixPro) has for points all cells of the anchor that match, row by row. Other methods have no
    points.

    Args:
        pairs: all pairs of the run.
        positions: which of them, positions in `pairs`.
        augmentation: of the pretraining.
        method: of the pretraining.
        seed: the run's seed.
        changed: returns where a pair's chip has a relevant change or is unknown, bool of shape (size, size); asked for
            pairs under the control `masked` alone. None excludes no point.
        batch_size: pairs per step of the pretraining.
    """
    steps = Steps(pairs, augmentation, batch_size=batch_size, seed=seed)
    chosen = np.asarray(positions, dtype=np.int64)
    shown, places = steps.first_shown(chosen)
    return [
        _view_pair(steps, int(position), step, place, method, changed)
        for position, step, place in zip(chosen, shown.tolist(), places.tolist(), strict=True)
    ]


def _view_pair(
    steps: Steps,
    position: int,
    step: int,
    place: int,
    method: Method,
    changed: Callable[[Pair], NDArray[np.bool_]] | None,
) -> ViewPair:
    anchors, positives, _ = steps.views(step)
    anchor, nominal = anchors[place : place + 1], positives[place : place + 1]
    positive = steps.as_cropped(nominal, np.array([position]))
    if not isinstance(method, PixelInfoNCE | PixPro):
        none = np.zeros((0, 2))
        return ViewPair(anchor[0], positive[0], none, none, excluded=np.zeros(0, dtype=bool), reach=None)
    size, grid = steps.pairs.size, steps.pairs.size // method.grid_stride
    out = np.zeros((2, grid * grid), dtype=bool)
    pair = steps.pairs[position]
    if changed is not None and pair.control == "masked":
        out = covered_cells(changed(pair)[None].repeat(2, axis=0), np.concatenate([anchor, positive]), grid=grid)
    reach: float | None = None
    if isinstance(method, PixPro):
        limit = Reach(diagonals=method.threshold, pixels=method.match_tolerance_px)
        cells, excluded = _near(anchor, nominal, limit, out, size=size)
        reach = float(limits(limit, anchor, nominal, grid=grid, size=size)[0])
    else:
        matches = match_cells(anchor, nominal, grid=grid, size=size)
        left = without_cells(matches, out[:1], out[1:])
        keys = steps.point_keys_of(step, place, cells=grid * grid)
        cells, excluded = _in_order(matches, left, method.points_per_pair, keys)
        reach = method.match_tolerance_px or None
    points_a = cell_centres(grid, size)[cells]
    return ViewPair(
        anchor[0],
        positive[0],
        points_a=points_a,
        points_b=to_view(nominal, to_chip(anchor, points_a))[0],
        excluded=excluded,
        reach=None if reach is None else reach / float(scales(nominal)[0]),
    )


def _near(
    anchor: Float64Array, nominal: Float64Array, reach: Reach, out: NDArray[np.bool_], *, size: int
) -> tuple[Int64Array, NDArray[np.bool_]]:
    """Returns the cells of one pair's anchor that are near any of the other view, and which of these match none."""
    near, left = (
        np.unique(matching_cells(anchor, nominal, reach, excluded=excluded, size=size)[:, 0])
        for excluded in (np.zeros_like(out), out)
    )
    return near, ~np.isin(near, left)


def _in_order(
    matches: Int64Array, left: Int64Array, points: int, keys: Float64Array
) -> tuple[Int64Array, NDArray[np.bool_]]:
    """Returns the cells of one pair in the order they are drawn, up to the last of `points` that are left.

    Those passed over on the way are the excluded ones, true in the second array.
    """
    cells, _, valid = draw_points(matches, count=matches.shape[1], keys=keys)
    cells = cells[0, valid[0]]
    excluded = left[0, cells] == UNMATCHED
    needed = np.cumsum(~excluded) - ~excluded < points
    return cells[needed], excluded[needed]
