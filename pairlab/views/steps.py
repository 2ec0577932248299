"""Which pairs a training step shows, in which views and at which points; no pixel is looked at.

All of it is keyed by (seed, purpose, step), so that the trainer's threads, a resumed run and the preview draw the same.
"""

from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.training import Augmentation
from pairlab.pairing.pair import CONTROLS, PairList
from pairlab.views.geometry import Float64Array, Int64Array, displaced, draw_views

MASKED = CONTROLS.index("masked")


@dataclass(frozen=True)
class Steps:
    """The draws of one run."""

    pairs: PairList
    augmentation: Augmentation
    batch_size: int
    """Pairs per step."""
    seed: int

    def positions(self, step: int) -> Int64Array:
        """Returns the positions of a step's pairs in the list: every pair once, reshuffled, before any comes again."""
        draws = step * self.batch_size + np.arange(self.batch_size)
        rounds, within = np.divmod(draws, len(self.pairs))
        shown = np.empty(self.batch_size, dtype=np.int64)
        for each in range(int(rounds[0]), int(rounds[-1]) + 1):
            chosen = rounds == each
            shown[chosen] = _order(self.seed, each, len(self.pairs))[within[chosen]]
        return shown

    def first_shown(self, positions: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Returns the step that shows each pair for the first time, and the pair's place in that step's batch."""
        drawn = np.empty(len(self.pairs), dtype=np.int64)
        drawn[_order(self.seed, 0, len(self.pairs))] = np.arange(len(self.pairs))
        return np.divmod(drawn[positions], self.batch_size)

    def views(self, step: int) -> tuple[Float64Array, Float64Array, np.random.Generator]:
        """Returns the matrices of a step's anchors and positives as the loss takes them to be, each (pairs, 2, 3).

        The generator is what the photometric factors of these views are drawn from.
        """
        rng = generator(self.seed, "views", step)
        crop_scale, flips = self.augmentation.crop_scale, self.augmentation.flips
        drawn = draw_views(2 * self.batch_size, size=self.pairs.size, crop_scale=crop_scale, flips=flips, rng=rng)
        return drawn[: self.batch_size], drawn[self.batch_size :], rng

    def as_cropped(self, positives: Float64Array, positions: Int64Array) -> Float64Array:
        """Returns the matrices of positives with the displacement that the loss does not know of."""
        return displaced(positives, self.pairs.shift[positions])

    def point_keys(self, step: int, *, cells: int) -> Float64Array:
        """Returns what `draw_points` chooses a step's points by, shape (pairs, cells)."""
        return generator(self.seed, "points", step).random((self.batch_size, cells))

    def point_keys_of(self, step: int, place: int, *, cells: int) -> Float64Array:
        """Returns one row of `point_keys`, shape (1, cells), without drawing the others."""
        rng = generator(self.seed, "points", step)
        assert isinstance(rng.bit_generator, np.random.PCG64)
        rng.bit_generator.advance(place * cells)  # a float64 takes one draw
        return rng.random((1, cells))


def generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    """Returns the generator of one purpose and step, so that a knob of one never moves the draws of another."""
    return np.random.Generator(np.random.PCG64([seed, crc32(purpose.encode()), number]))


@lru_cache(maxsize=2)
def _order(seed: int, number: int, count: int) -> NDArray[np.int32]:
    """Returns the order of a round over all pairs; two of them meet in a batch."""
    return generator(seed, "order", number).permutation(np.arange(count, dtype=np.int32))
