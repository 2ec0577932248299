"""Batches of a pretraining run: which pairs, which views and which matched points a step uses, keyed by the step."""

from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.methods import Pretraining
from pairlab.pairing.pair import Pair, PairList, Shot
from pairlab.scenes.scene import Pixels, SceneSource
from pairlab.scenes.stored_images import chip_of
from pairlab.views.geometry import UNMATCHED, covered_cells, draw_points, draw_views, match_cells
from pairlab.views.pixels import PhotometricFactors, draw_factors

CHIP_CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class PairBatch:
    """What one optimizer step needs; views of anchors come first, then those of positives."""

    step: int
    chips: Pixels
    """As the dataset has them, shape (2 · pairs, size, size, bands)."""
    views: NDArray[np.float64]
    """Shape (2 · pairs, 2, 3)."""
    factors: PhotometricFactors
    cells_a: NDArray[np.int64]
    """Matched points, shape (pairs, points): cells of the anchor's embedding grid, row by row."""
    cells_b: NDArray[np.int64]
    valid: NDArray[np.bool_]


class PairBatches:
    """Makes the batches of a run in the order of its steps; a batch depends on (seed, step) alone.

    Chips are read once and kept as far as memory allows. Iterating reads ahead on a thread.
    """

    def __init__(
        self, source: SceneSource, pairs: PairList, training: Pretraining, *, seed: int, grid: int, points: int
    ) -> None:
        """Prepares the batches of one run.

        Args:
            source: the dataset.
            pairs: the pairs drawn for this run.
            training: batch size and augmentation.
            seed: the run's seed.
            grid: cells along a side of the embedding grid.
            points: matched points per pair; 0 for methods that match nothing.
        """
        self._source, self._pairs, self._training = source, pairs, training
        self._seed, self._grid, self._points = seed, grid, points
        self._scenes = {scene.name: scene for scene in source.scenes}
        self._chips: dict[Shot, Pixels] = {}
        self._room = CHIP_CACHE_BYTES

    def batch(self, step: int) -> PairBatch:
        """Returns the batch of one step (from 0)."""
        count = self._training.batch_size
        chosen = [self._pairs[position] for position in self.positions(step)]
        rng = self._generator("views", step)
        augmentation = self._training.augmentation
        views = draw_views(
            2 * count, size=self._pairs.size, crop_scale=augmentation.crop_scale, flips=augmentation.flips, rng=rng
        )
        factors = draw_factors(2 * count, augmentation, rng=rng)
        cells_a = cells_b = np.zeros((count, 0), np.int64)
        valid = np.zeros((count, 0), bool)
        if self._points:
            matches = match_cells(views[:count], views[count:], grid=self._grid, size=self._pairs.size)
            masked = np.array([pair.control == "masked" for pair in chosen])
            if masked.any():
                changed = np.stack([self._changed(pair) for pair in chosen if pair.control == "masked"])
                matches[masked] = _without_change(
                    matches[masked], changed, views[:count][masked], views[count:][masked]
                )
            cells_a, cells_b, valid = draw_points(matches, count=self._points, rng=self._generator("points", step))
        shots = [pair.anchor for pair in chosen] + [pair.positive for pair in chosen]
        return PairBatch(step, np.stack([self._chip(shot) for shot in shots]), views, factors, cells_a, cells_b, valid)

    def positions(self, step: int) -> NDArray[np.int64]:
        """Returns the positions of a step's pairs in the list: every pair once, reshuffled, before any comes again."""
        first = step * self._training.batch_size
        draws = np.arange(first, first + self._training.batch_size)
        rounds, within = np.divmod(draws, len(self._pairs))
        orders = {each: self._generator("order", int(each)).permutation(len(self._pairs)) for each in np.unique(rounds)}
        return np.array([orders[each][position] for each, position in zip(rounds, within, strict=True)])

    def ahead(self, first_step: int, steps: int) -> Iterator[PairBatch]:
        """Yields the batches of `first_step` to `steps` − 1, made on a thread that stays a few batches ahead."""
        queue: Queue[PairBatch | BaseException] = Queue(maxsize=4)
        closed = Event()

        def offer(item: PairBatch | BaseException) -> None:
            while not closed.is_set():
                try:
                    queue.put(item, timeout=0.2)
                except Full:
                    continue
                return

        def make() -> None:
            try:
                for step in range(first_step, steps):
                    if closed.is_set():
                        return
                    offer(self.batch(step))
            except BaseException as error:
                offer(error)

        thread = Thread(target=make, name="pair-batches", daemon=True)
        thread.start()
        try:
            for _ in range(first_step, steps):
                item = queue.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            closed.set()
            while thread.is_alive():
                try:
                    queue.get_nowait()
                except Empty:
                    thread.join(timeout=0.05)

    def _changed(self, pair: Pair) -> NDArray[np.bool_]:
        window = np.s_[pair.anchor.y : pair.anchor.y + pair.size, pair.anchor.x : pair.anchor.x + pair.size]
        maps = self._source.change(self._scenes[pair.anchor.scene], pixels=False)
        return np.asarray((maps.changed | maps.unknown)[window])

    def _chip(self, shot: Shot) -> Pixels:
        chip = self._chips.get(shot)
        if chip is None:
            size = self._pairs.size
            scene = self._scenes[shot.scene]
            chip = np.ascontiguousarray(
                chip_of(self._source, scene, shot.acquisition, y=shot.y, x=shot.x, size=size, state=shot.state)
            )
            if chip.nbytes <= self._room:
                self._chips[shot] = chip
                self._room -= chip.nbytes
        return chip

    def _generator(self, purpose: str, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, crc32(purpose.encode()), number])


def _without_change(
    matches: NDArray[np.int64], changed: NDArray[np.bool_], views_a: NDArray[np.float64], views_b: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Returns the matches (pairs, grid²) less those where a cell of either view sees relevant change."""
    grid = round(matches.shape[1] ** 0.5)
    in_a = covered_cells(changed, views_a, grid=grid)
    in_b = np.take_along_axis(covered_cells(changed, views_b, grid=grid), np.maximum(matches, 0), axis=1)
    return np.where(in_a | in_b, UNMATCHED, matches)
