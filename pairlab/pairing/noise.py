"""Which pairs of a list are noisy: an exact share, nested over rates."""

import numpy as np
from numpy.typing import NDArray


def noisy_places(
    changed_pixels: NDArray[np.int32],
    object_change_share: NDArray[np.float64],
    *,
    min_changed_pixels: int,
    extent: tuple[float, float],
) -> NDArray[np.bool_]:
    """Returns which chips count as noisy when paired across the change; shape (chips,)."""
    low, high = extent
    return (changed_pixels >= min_changed_pixels) & (object_change_share >= low) & (object_change_share <= high)


def nested_ranks(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Returns the order in which positions become noisy: at any rate, those of rank below `noisy_count` are.

    Args:
        count: number of positions.
        rng: an equal generator gives equal ranks, so that a lower rate's noisy pairs are among a higher one's.
    """
    ranks = np.empty(count, dtype=np.intp)
    ranks[rng.permutation(count)] = np.arange(count)
    return ranks


def noisy_count(count: int, rate: float) -> int:
    """Returns round(rate · count), halves up."""
    return int(np.floor(rate * count + 0.5))
