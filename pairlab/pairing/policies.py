"""Pairing policies: which acquisition and which object states the two sides of a pair show."""

import numpy as np
from numpy.typing import NDArray

Shots = NDArray[np.int8]
"""Shape (pairs, 2, 2): for anchor and positive, acquisition and state."""


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


def temporal(count: int, *, dates: int, rng: np.random.Generator) -> Shots:
    """Returns pairs of the first and the last acquisition; half of them, drawn by `rng`, begin with the last."""
    acquisitions = np.tile(np.array([0, dates - 1], dtype=np.int8), (count, 1))
    reverse = rng.permutation(np.arange(count) % 2).astype(bool)
    acquisitions[reverse] = acquisitions[reverse, ::-1]
    return np.repeat(acquisitions[:, :, None], 2, axis=2)


def without_change(shots: Shots, where: NDArray[np.bool_], *, after: NDArray[np.bool_]) -> Shots:
    """Returns the pairs with one object state on both sides where `where` is true, acquisitions unchanged.

    Args:
        shots: temporal pairs.
        where: which pairs lose their change, shape (pairs,).
        after: which of them show the state after the change, shape (pairs,). Half of them should, so that the network
            meets changed and unchanged objects as often as in pairs across the change.
    """
    controlled = shots.copy()
    states = np.where(after, shots[:, :, 1].max(axis=1), shots[:, :, 1].min(axis=1))
    controlled[where, :, 1] = states[where, None]
    return controlled
