"""Batches of a pretraining run: which pairs, which views and which matched points a step uses, keyed by the step."""

from collections.abc import Generator
from dataclasses import dataclass

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
    without_change,
)
from pairlab.views.pixels import PhotometricFactors, draw_factors
from pairlab.views.reading_ahead import made_ahead
from pairlab.views.steps import MASKED, Steps


@dataclass(frozen=True)
class PairBatch:
    """What one optimizer step needs; views of anchors come first, then those of positives."""

    step: int
    chips: Pixels
    """As the dataset has them, shape (2 · pairs, size, size, bands)."""
    views: Float64Array
    """As they are cropped, shape (2 · pairs, 2, 3): an added displacement (Pair.shift) is in those of positives."""
    factors: PhotometricFactors
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
        """
        self._pairs, self._augmentation = pairs, training.augmentation
        self._steps = Steps(pairs, training.augmentation, batch_size=training.batch_size, seed=seed)
        self._reader = ChipReader(source, pairs)
        self._grid, self._points, self._change_weight = grid, points, change_weight
        self._cells = cells

    def batch(self, step: int) -> PairBatch:
        """Returns the batch of one step (from 0).

        Raises:
            SceneError: a file of the dataset cannot be used.
        """
        positions = self._steps.positions(step)
        anchors, nominal, rng = self._steps.views(step)
        views = np.concatenate([anchors, self._steps.as_cropped(nominal, positions)])
        factors = draw_factors(len(views), self._augmentation, rng=rng)
        cells_a, cells_b, valid = self._drawn_points(step, positions, views, nominal)
        chips = self._reader.chips(positions)
        weights = np.ones(valid.shape, dtype=np.float32)
        if self._change_weight is not None and self._points:
            differ, maps = self._weight_maps(positions, chips, scale=self._change_weight.scale)
            weights[differ] = point_weights(
                maps, anchors[differ], nominal[differ], cells_a[differ], cells_b[differ], grid=self._grid
            )
        ground, excluded = self._cells_on_the_ground(positions, anchors, nominal, views)
        return PairBatch(step, chips, views, factors, cells_a, cells_b, valid, weights, ground, excluded)

    def positions(self, step: int) -> Int64Array:
        """Returns the positions of a step's pairs in the list: every pair once, reshuffled, before any comes again."""
        return self._steps.positions(step)

    def ahead(self, first_step: int, steps: int, *, workers: int = 1) -> Generator[PairBatch, None, None]:
        """Yields the batches of `first_step` to `steps` − 1, the same for any number of threads that make them."""
        return made_ahead(self.batch, range(first_step, steps), workers=workers)

    def _drawn_points(
        self, step: int, positions: Int64Array, views: Float64Array, nominal: Float64Array
    ) -> tuple[Int64Array, Int64Array, NDArray[np.bool_]]:
        count = len(positions)
        if not self._points:
            none = np.zeros((count, 0), dtype=np.int64)
            return none, none, np.zeros((count, 0), dtype=bool)
        matches = match_cells(views[:count], nominal, grid=self._grid, size=self._pairs.size)
        masked = np.flatnonzero(self._pairs.control[positions] == MASKED)
        if len(masked):
            changed = self._reader.changed(positions[masked])
            matches[masked] = without_change(matches[masked], changed, views[masked], views[count + masked])
        keys = self._steps.point_keys(step, cells=matches.shape[1])
        return draw_points(matches, count=self._points, keys=keys)

    def _cells_on_the_ground(
        self, positions: Int64Array, anchors: Float64Array, nominal: Float64Array, views: Float64Array
    ) -> tuple[Float64Array, NDArray[np.bool_]]:
        count, size = len(positions), self._pairs.size
        if not self._cells:
            return np.zeros((2 * count, 0, 2)), np.zeros((2 * count, 0), dtype=bool)
        ground = to_chip(np.concatenate([anchors, nominal]), cell_centres(self._grid, size))
        excluded = np.zeros(ground.shape[:2], dtype=bool)
        masked = np.flatnonzero(self._pairs.control[positions] == MASKED)
        if len(masked):
            changed = self._reader.changed(positions[masked])
            for rows in (masked, masked + count):
                excluded[rows] = covered_cells(changed, views[rows], grid=self._grid)
        return ground, excluded

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
