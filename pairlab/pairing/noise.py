"""Which pairs of a list are noisy, and which are mismatched: exact shares, nested over rates."""

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


def noisy_places(
    changed_pixels: NDArray[np.int32],
    object_change_share: NDArray[np.float64],
    *,
    min_changed_pixels: int,
    extent: tuple[float, float],
) -> BoolArray:
    """Returns which chips count as noisy when paired across the change; shape (chips,)."""
    low, high = extent
    return (changed_pixels >= min_changed_pixels) & (object_change_share >= low) & (object_change_share <= high)


def noisy_count(count: int, rate: float) -> int:
    """Returns round(rate · count), halves up."""
    return int(np.floor(rate * count + 0.5))


def mismatched_count(count: int, *, rate: float | None, mismatch_rate: float) -> int:
    """Returns round(mismatch_rate · count), halves up, but no more than the noisy pairs leave.

    Only where both shares end on a half and add up to 1 do the noisy ones leave one too few.
    """
    return min(noisy_count(count, mismatch_rate), count - noisy_count(count, rate or 0.0))


def first_eligible(order: Positions, eligible: BoolArray, count: int) -> BoolArray:
    """Returns which positions are the first `count` of an order that may be chosen, shape (positions,).

    A greater count contains a smaller one's. With fewer than `count` eligible all of them are chosen.

    Args:
        order: all positions, each once.
        eligible: shape (positions,).
        count: how many.
    """
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order[eligible[order]][:count]] = True
    return chosen


def every_second(order: Positions, group: NDArray[np.intp]) -> BoolArray:
    """Returns every second position of each group, counted in an order, shape (positions,).

    So whichever run of the order is left out, half of what remains of a group is chosen, up to one; and a position is
    chosen or not whatever the rate.
    """
    grouped = order[np.argsort(group[order], kind="stable")] if group.any() else order
    starts = np.searchsorted(group[grouped], group[grouped], side="left")
    second = np.zeros(len(order), dtype=bool)
    second[grouped] = (np.arange(len(order)) - starts) % 2 == 1
    return second
