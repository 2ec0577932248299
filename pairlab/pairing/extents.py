"""Several extents in one list of places: how many of which are needed, and whether the data has them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.pairing import Extent, PlaceExtent, Places
from pairlab.pairing.noise import noisy_count
from pairlab.pairing.refusal import PairingRefused

Shares = NDArray[np.float64]


def places_within(share: Shares, extent: Extent) -> NDArray[np.bool_]:
    """Returns which places' object change share lies in an extent, ends included; shape (places,)."""
    low, high = extent
    return (share >= low) & (share <= high)


def parts_of(share: Shares, extents: Sequence[Extent]) -> NDArray[np.intp]:
    """Returns a number per place: equal where the same extents hold it, and rising with the share."""
    if len(extents) == 1:
        return np.zeros(len(share), dtype=np.intp)
    lows, highs = (np.sort([extent[side] for extent in extents]) for side in (0, 1))
    return np.searchsorted(lows, share, side="right") + np.searchsorted(highs, share, side="left")


@dataclass(frozen=True)
class Supply:
    """How many places there are for some extents, by the parts that their bounds cut."""

    extents: tuple[PlaceExtent, ...]
    """By their upper bounds."""
    parts: NDArray[np.intp]
    """Numbers of the parts, ascending."""
    counts: NDArray[np.intp]
    """Places in each part."""
    inside: NDArray[np.bool_]
    """Which extents hold which part, shape (extents, parts)."""

    @staticmethod
    def of(share: Shares, extents: Sequence[PlaceExtent]) -> "Supply":
        """Returns the supply of places with these object change shares, each in one of the extents at least."""
        by_end = tuple(sorted(extents, key=lambda each: each.extent[::-1]))
        parts, one, counts = np.unique(
            parts_of(share, [each.extent for each in by_end]), return_index=True, return_counts=True
        )
        inside = np.array([places_within(share[one], each.extent) for each in by_end], dtype=bool)
        return Supply(by_end, parts, counts, inside.reshape(len(by_end), len(parts)))

    def within(self, each: PlaceExtent) -> int:
        """Returns the places that lie in one of the extents."""
        return int(self.counts[self.inside[self.extents.index(each)]].sum())

    def least(self, count: int, *, scale: float = 1.0) -> NDArray[np.intp] | None:
        """Returns the fewest places per part that give every extent its share of `count`; None where it has too few.

        Extent by extent, from the lowest upper bound, what is missing is taken from the parts with the greatest shares:
        of what an extent holds, no other part lies in more of the extents that follow.
        """
        taken = np.zeros(len(self.parts), dtype=np.intp)
        for each, inside in zip(self.extents, self.inside, strict=True):
            missing = noisy_count(count, each.rate * scale) - int(taken[inside].sum())
            for part in np.flatnonzero(inside)[::-1].tolist():
                more = min(max(missing, 0), int(self.counts[part] - taken[part]))
                taken[part] += more
                missing -= more
            if missing > 0:
                return None
        return taken

    def meets(self, count: int, *, scale: float = 1.0) -> bool:
        """Returns whether a list of `count` places can hold every extent's share."""
        taken = self.least(count, scale=scale)
        return taken is not None and int(taken.sum()) <= count <= int(self.counts.sum())

    def most_pairs(self, below: int) -> int:
        """Returns the greatest list below `below` that can hold every extent's share; 0 where none can."""
        low, high = 0, min(below, int(self.counts.sum()) + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.meets(middle) else (low, middle)
        return low


def check_extents(supply: Supply, places: Places, *, count: int, where: str) -> None:
    """Refuses where an extent has too few places for its share of the list, or all of them together need more.

    Raises:
        PairingRefused: with the numbers, and the rate or budget that can be reached.
    """
    for each in supply.extents:
        need, found = noisy_count(count, each.rate), supply.within(each)
        if found < need:
            most = supply.most_pairs(count)
            raise PairingRefused(
                f"extent {named(each.extent)} needs {need} places (rate {each.rate:g} of {count} pairs); {where} has "
                f"{found} noisy chips within it (at least {places.min_changed_pixels} changed pixels): set its "
                f"noise.rate to at most {reachable_rate(found, count):g}, "
                f"{f'pairs to at most {most}, ' if most > 1 else ''}or widen it"
            )
    taken = supply.least(count)
    if taken is None or int(taken.sum()) <= count:
        return
    scale = next((step / 100 for step in range(99, 0, -1) if supply.meets(count, scale=step / 100)), 0.0)
    listed = ", ".join(f"{each.rate:g} in {named(each.extent)}" for each in supply.extents)
    raise PairingRefused(
        f"the noise rates {listed} need {int(taken.sum())} different places, and the list that all arms share has "
        f"{count} (pairs): set them to at most {scale:g} of that, or choose extents that overlap more"
    )


def named(extent: Extent) -> str:
    """Returns an extent in print."""
    return f"[{extent[0]:g}, {extent[1]:g}]"


def reachable_rate(found: int, count: int) -> float:
    """Returns the greatest rate of four decimals at which round(rate · count) ≤ found."""
    rate = min(1.0, math.floor((found + 0.5) / count * 10_000) / 10_000)
    while rate > 0 and noisy_count(count, rate) > found:
        rate = round(rate - 0.0001, 4)
    return max(rate, 0.0)
