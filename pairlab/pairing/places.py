"""The list of places that all arms of an experiment share, so that they differ in pairing and not in exposure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.pairing import Extent, Places
from pairlab.pairing.extents import Shares, Supply, check_extents, named, parts_of, places_within
from pairlab.pairing.noise import noisy_count
from pairlab.pairing.randomness import generator
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.index import ChipIndex

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class PlaceList:
    """Places in the order of their pairs."""

    rows: Rows
    """Rows of the index, each once."""
    share: Shares
    """Object change share."""
    changed_pixels: NDArray[np.int32]
    noisy: NDArray[np.bool_]
    """Whether a pair across the change counts as noisy."""
    unknown: NDArray[np.bool_]
    """Whether it has pixels whose change is not known, and no known change."""
    part: NDArray[np.intp]
    """Which of the extents hold a place: equal numbers, the same ones."""
    pool: dict[str, int]
    """Chips that could have been drawn, and what is known of them: chips, noisy, clean, unknown."""

    def __len__(self) -> int:
        return len(self.rows)


def draw_places(index: ChipIndex, *, places: Places, extent: Extent, count: int, seed: int, where: str) -> PlaceList:
    """Returns the shared list: without replacement, equal for equal `places`, `count` and `seed`.

    Of one extent (or where the pool is not restricted) these are the first of the seed's permutation of the pool. Of
    several, each extent's share comes first: the first places of the permutation that lie in it, beginning with the
    extent that has the fewest; the rest is filled from all of them, in the permutation's order.

    Args:
        index: the chips that may be used.
        places: the pool.
        extent: of a noisy pair, for counting them where the pool is not restricted.
        count: places wanted.
        seed: the run's.
        where: what a refusal calls the index.

    Raises:
        PairingRefused: fewer places than that, in all or in one of the extents.
    """
    valid = index.valid_pixels > 0
    changes = np.flatnonzero(valid & (index.changed_pixels >= places.min_changed_pixels))
    share = index.changed_pixels[changes] / np.maximum(index.object_pixels[changes], 1)
    extents = tuple(each.extent for each in places.extents) if places.noisy_only else (extent,)
    noisy = np.logical_or.reduce([places_within(share, each) for each in extents])
    unchanged = valid & (index.changed_pixels == 0)
    unclear = int(np.count_nonzero(unchanged & (index.unknown_pixels > 0)))
    pool = {
        "chips": int(np.count_nonzero(valid)),
        "noisy": int(np.count_nonzero(noisy)),
        "clean": int(np.count_nonzero(unchanged)) - unclear,
        "unknown": unclear,
    }
    rng = generator(seed, "places")
    if places.noisy_only:
        supply = Supply.of(share[noisy], places.extents)
        _check_noisy(pool, places, supply, count=count, where=where)
        rows = rng.permutation(changes[noisy])
        if len(places.extents) > 1:
            check_extents(supply, places, count=count, where=where)
            of_rows = index.changed_pixels[rows] / np.maximum(index.object_pixels[rows], 1)
            rows = rows[_of_several(of_rows, supply, count=count)]
    else:
        _check_all(pool, count=count, where=where)
        rows = rng.permutation(np.flatnonzero(valid))
    return _listed(index, rows[:count].copy(), places, extents, pool)


def _listed(
    index: ChipIndex, rows: Rows, places: Places, extents: tuple[Extent, ...], pool: dict[str, int]
) -> PlaceList:
    changed = index.changed_pixels[rows]
    share = changed / np.maximum(index.object_pixels[rows], 1)
    within = np.logical_or.reduce([places_within(share, each) for each in extents])
    return PlaceList(
        rows,
        share=share,
        changed_pixels=changed,
        noisy=(changed >= places.min_changed_pixels) & within,
        unknown=(index.unknown_pixels[rows] > 0) & (changed == 0),
        part=parts_of(share, extents),
        pool=pool,
    )


def _of_several(share: Shares, supply: Supply, *, count: int) -> Rows:
    """Returns which of the permuted places are taken, ascending, so that every extent has its share of them."""
    taken = np.zeros(len(share), dtype=bool)
    for each in sorted(supply.extents, key=supply.within):
        inside = places_within(share, each.extent)
        missing = noisy_count(count, each.rate) - int((inside & taken).sum())
        taken[np.flatnonzero(inside & ~taken)[: max(missing, 0)]] = True
    least = supply.least(count)
    if int(taken.sum()) > count and least is not None:  # only places that several extents hold are few enough
        taken[:] = False
        parts = parts_of(share, [each.extent for each in supply.extents])
        for part, wanted in zip(supply.parts.tolist(), least.tolist(), strict=True):
            taken[np.flatnonzero(parts == part)[:wanted]] = True
    taken[np.flatnonzero(~taken)[: count - int(taken.sum())]] = True
    return np.flatnonzero(taken)


def _check_noisy(pool: dict[str, int], places: Places, supply: Supply, *, count: int, where: str) -> None:
    if pool["noisy"] >= count:
        return
    within = " or ".join(named(each.extent) for each in places.extents)
    most = supply.most_pairs(count)
    raise PairingRefused(
        f"{count} pairs at a noise rate need as many places with a relevant change; {where} has {pool['noisy']} noisy "
        f"chips (at least {places.min_changed_pixels} changed pixels, object change share in {within}), "
        f"{pool['clean']} clean and {pool['unknown']} unknown of {pool['chips']}: "
        f"{f'set pairs to at most {most}, or ' if most > 1 else ''}widen extent"
    )


def _check_all(pool: dict[str, int], *, count: int, where: str) -> None:
    if pool["chips"] >= count:
        return
    remedy = f"set pairs to at most {pool['chips']}, or take" if pool["chips"] > 1 else "take"
    raise PairingRefused(
        f"{count} pairs need as many chips; {where} has {pool['chips']} with data ({pool['clean']} clean, "
        f"{pool['unknown']} unknown): {remedy} smaller chips"
    )
