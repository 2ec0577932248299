"""Pairing policies: which acquisition and which object states the two sides of a pair show."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Shots = NDArray[np.int8]
"""Shape (pairs, 2, 2): for anchor and positive, acquisition and state."""
MOST_ACQUISITIONS = 127
"""As positions in `Shots` can tell apart."""


def same_image(count: int, *, acquisition: int | None, dates: int, rng: np.random.Generator) -> Shots:
    """Returns pairs of an image with itself.

    Args:
        count: number of pairs.
        acquisition: the date to take; None draws equally from all `dates`.
        dates: number of acquisitions.
        rng: decides which pair shows which date.
    """
    chosen = rng.permutation(np.arange(count) % dates) if acquisition is None else np.full(count, acquisition)
    return np.broadcast_to(chosen[:, None, None], (count, 2, 2)).astype(np.int8)


def temporal(
    count: int, *, dates: Sequence[tuple[int, int]], rng: np.random.Generator, rng_of_dates: np.random.Generator
) -> Shots:
    """Returns pairs of two acquisitions; half of them, drawn by `rng`, begin with the later one.

    Args:
        count: number of pairs.
        dates: which two acquisitions may be paired, at least one entry, earlier before later; each entry is drawn
            equally often, as far as `count` can be divided.
        rng: decides which of the two is the anchor.
        rng_of_dates: decides which pair shows which entry; not asked where there is one alone.
    """
    entries = np.array(dates, dtype=np.int8)
    if len(entries) == 1:
        acquisitions = np.tile(entries, (count, 1))
    else:
        acquisitions = entries[rng_of_dates.permutation(np.arange(count) % len(entries))]
    reverse = rng.permutation(np.arange(count) % 2).astype(bool)
    acquisitions[reverse] = acquisitions[reverse, ::-1]
    return np.repeat(acquisitions[:, :, None], 2, axis=2)
