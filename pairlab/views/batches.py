"""Batches of a pretraining run: which pairs, which views and which matched points a step uses, keyed by the step."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.methods import ChangeWeight
from pairlab.experiment.training import Pretraining
from pairlab.pairing.pair import PairList
from pairlab.scenes.scene import Pixels, SceneSource
from pairlab.views.change_weights import change_weights, displaced_chip, point_weights
from pairlab.views.chips import ChipReader
from pairlab.views.geometry import (
    Float64Array,
    Int64Array,
    cell_centres,
    covered_cells,
    draw_points,
    match_cells,
    to_chip,
    without_cells,
)
from pairlab.views.neighbours import Reach, matching_cells, positives_of_points
from pairlab.views.pixels import PhotometricFactors, draw_factors
from pairlab.views.reading_ahead import made_ahead
from pairlab.views.steps import MASKED, Steps


@dataclass(frozen=True)
class PairBatch:
    """What one optimizer step needs; views of anchors come first, then those of positives.

    Chips, views, factors and shift are of the pairs that this process shows its network (PairBatches: share), all of
    them where it works alone; everything else is of the whole step.
    """

    step: int
    chips: Pixels
    """As the dataset has them, shape (2 · pairs, size, size, bands)."""
    views: Float64Array
    """As they are cropped, shape (2 · pairs, 2, 3): an added displacement (Pair.shift) is in those of positives."""
    factors: PhotometricFactors
    shift: Float64Array
    """Displacement of the positives' images, down and right, source pixels, shape (pairs, 2)."""
    cells_a: Int64Array
    """Matched points, shape (pairs, points): cells of the anchor's embedding grid, row by row."""
    cells_b: Int64Array
    """The cells of the positive's grid that show the same ground, an added displacement aside."""
    valid: NDArray[np.bool_]
    weights: NDArray[np.float32]
    """How much each point counts, in [0, 1], shape (pairs, points); 1 where the method has no change_weight."""
    ground: Float64Array
    """Where the centres (x, y) of a view's cells lie in its chip as the loss takes it, an added displacement aside:
    shape (2 · pairs, cells, 2), row by row; no cells where the method asks for none."""
    excluded: NDArray[np.bool_]
    """Cells that must not be matched, since they see a changed pixel (control: masked); shape (2 · pairs, cells)."""
    positives_a: NDArray[np.bool_]
    """Cells of the anchor's grid that are positives of each point of the positive, cells_a among them: shape
    (pairs, points, cells); no cells where the method tolerates no distance."""
    positives_b: NDArray[np.bool_]
    """Cells of the positive's grid that are positives of each point of the anchor."""
    matches: Int64Array
    """All cells of both views that lie near each other, shape (matches, 2), as `matching_cells` has them; none where
    the method does not ask for them."""


class PairBatches:
    """Makes the batches of a run; a batch depends on (seed, step) alone. Threads may share it."""

    def __init__(
        self,
        source: SceneSource,
        pairs: PairList,
        training: Pretraining,
        *,
        seed: int,
        grid: int,
        points: int,
        change_weight: ChangeWeight | None = None,
        cells: bool = False,
        tolerance: float = 0.0,
        reach: Reach | None = None,
        share: slice = slice(None),
    ) -> None:
        """Prepares the batches of one run.

        Args:
            source: the dataset.
            pairs: the pairs drawn for this run.
            training: batch size and augmentation.
            seed: the run's seed.
            grid: cells along a side of the embedding grid.
            points: matched points per pair; 0 for methods that match nothing.
            change_weight: lets points count less where the two chips differ as the pair shows them, with another place
                or an added displacement; None weighs all alike.
            cells: whether the method matches the cells by itself: batches then tell where each of them lies.
            tolerance: how far from a point the centres of its positives may lie, source pixels; above 0, batches tell
                which cells these are.
            reach: how far apart any two matching cells may lie; batches then tell all of them. It moves no draw, and
                neither does a tolerance.
            share: which pairs of a step this process shows its network: the others' chips are read only to be weighed.
        """
        self._pairs, self._augmentation = pairs, training.augmentation
        self._steps = Steps(pairs, training.augmentation, batch_size=training.batch_size, seed=seed)
        self._reader = ChipReader(source, pairs)
        self._grid, self._points, self._change_weight = grid, points, change_weight
        self._cells, self._tolerance, self._reach = cells, tolerance, reach
        self._share = share

    def batch(self, step: int) -> PairBatch:
        """Returns the batch of one step (from 0).

        Raises:
            SceneError: a file of the dataset cannot be used.
        """
        positions = self._steps.positions(step)
        anchors, nominal, rng = self._steps.views(step)
        views = np.concatenate([anchors, self._steps.as_cropped(nominal, positions)])
        factors = draw_factors(len(views), self._augmentation, rng=rng)
        excluded = self._excluded(positions, views)
        cells_a, cells_b, valid = self._drawn_points(step, anchors, nominal, excluded)
        weights = np.ones(valid.shape, dtype=np.float32)
        if self._change_weight is None or not self._points:
            chips = self._reader.chips(positions[self._share])
        else:
            chips = self._reader.chips(positions)
            differ, maps = self._weight_maps(positions, chips, scale=self._change_weight.scale)
            weights[differ] = point_weights(
                maps, anchors[differ], nominal[differ], cells_a[differ], cells_b[differ], grid=self._grid
            )
        positives_a, positives_b = self._positives(anchors, nominal, cells_a, cells_b, valid, excluded)
        shown = np.arange(len(positions))[self._share]
        shown = np.concatenate([shown, len(positions) + shown])
        if len(chips) > len(shown):
            chips = chips[shown]
        return PairBatch(
            step,
            chips,
            views[shown],
            factors.of(shown),
            self._pairs.shift[positions[self._share]],
            cells_a,
            cells_b,
            valid,
            weights,
            ground=self._ground(anchors, nominal),
            excluded=excluded if self._cells else excluded[:, :0],
            positives_a=positives_a,
            positives_b=positives_b,
            matches=self._matches(anchors, nominal, excluded),
        )

    def positions(self, step: int) -> Int64Array:
        """Returns the positions of a step's pairs in the list: every pair once, reshuffled, before any comes again."""
        return self._steps.positions(step)

    def ahead(self, first_step: int, steps: int, *, workers: int = 1) -> Generator[PairBatch, None, None]:
        """Yields the batches of `first_step` to `steps` − 1, the same for any number of threads that make them."""
        return made_ahead(self.batch, range(first_step, steps), workers=workers)

    def _excluded(self, positions: Int64Array, views: Float64Array) -> NDArray[np.bool_]:
        """Returns which cells of each view see a change that the pair's control masks, shape (2 · pairs, cells)."""
        count = len(positions)
        excluded = np.zeros((2 * count, self._grid**2), dtype=bool)
        masked = np.flatnonzero(self._pairs.control[positions] == MASKED)
        if len(masked) and (self._points or self._cells or self._reach):
            changed = self._reader.changed(positions[masked])
            for rows in (masked, masked + count):
                excluded[rows] = covered_cells(changed, views[rows], grid=self._grid)
        return excluded

    def _drawn_points(
        self, step: int, anchors: Float64Array, nominal: Float64Array, excluded: NDArray[np.bool_]
    ) -> tuple[Int64Array, Int64Array, NDArray[np.bool_]]:
        count = len(anchors)
        if not self._points:
            none = np.zeros((count, 0), dtype=np.int64)
            return none, none, np.zeros((count, 0), dtype=bool)
        matches = match_cells(anchors, nominal, grid=self._grid, size=self._pairs.size)
        matches = without_cells(matches, excluded[:count], excluded[count:])
        keys = self._steps.point_keys(step, cells=matches.shape[1])
        return draw_points(matches, count=self._points, keys=keys)

    def _ground(self, anchors: Float64Array, nominal: Float64Array) -> Float64Array:
        if not self._cells:
            return np.zeros((2 * len(anchors), 0, 2))
        return to_chip(np.concatenate([anchors, nominal]), cell_centres(self._grid, self._pairs.size))

    def _positives(
        self,
        anchors: Float64Array,
        nominal: Float64Array,
        cells_a: Int64Array,
        cells_b: Int64Array,
        valid: NDArray[np.bool_],
        excluded: NDArray[np.bool_],
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        if not self._tolerance:
            none = np.zeros((*valid.shape, 0), dtype=bool)
            return none, none
        count, near = len(anchors), partial(positives_of_points, within=self._tolerance, size=self._pairs.size)
        return (
            near(cells_b, cells_a, valid, views=nominal, others=anchors, excluded=excluded[:count]),
            near(cells_a, cells_b, valid, views=anchors, others=nominal, excluded=excluded[count:]),
        )

    def _matches(self, anchors: Float64Array, nominal: Float64Array, excluded: NDArray[np.bool_]) -> Int64Array:
        if self._reach is None:
            return np.zeros((0, 2), dtype=np.int64)
        return matching_cells(anchors, nominal, self._reach, excluded=excluded, size=self._pairs.size)

    def _weight_maps(
        self, positions: Int64Array, chips: Pixels, *, scale: float
    ) -> tuple[Int64Array, NDArray[np.float32]]:
        """Returns which pairs of the batch show two images, and the weight of each of their pixels."""
        pairs, count = self._pairs, len(positions)
        shots, shift = pairs.shots[positions], pairs.shift[positions]
        same = (shots[:, 0] == shots[:, 1]).all(axis=1) & ~pairs.mismatched[positions] & (shift == 0).all(axis=1)
        differ = np.flatnonzero(~same)
        maps = np.empty((len(differ), pairs.size, pairs.size), dtype=np.float32)
        for row, each in enumerate(differ.tolist()):
            anchor, positive = chips[each], chips[count + each]
            empty, empty_too = self._reader.no_data(anchor), self._reader.no_data(positive)
            if shift[each].any():
                down, right = shift[each].tolist()
                clean = np.where(empty_too[:, :, None], 0, positive)
                positive = displaced_chip(clean, (down, right))
                empty_too = displaced_chip(empty_too[:, :, None], (down, right))[:, :, 0] > 0
            maps[row] = change_weights(anchor, positive, valid=~(empty | empty_too), scale=scale)
        return differ, maps
