"""Controls: what stands in for a noisy pair at a lower rate."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.pairing.offers import NONE, nearest_once
from pairlab.pairing.policies import Shots
from pairlab.scenes.index import ChipIndex

Rows = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
CHOICE = 50
"""Clean chips, drawn by chance, that are looked at for each place."""


def without_change(shots: Shots, where: BoolArray, *, after: BoolArray) -> Shots:
    """Returns the pairs with one object state on both sides where `where` is true, acquisitions unchanged.

    Args:
        shots: temporal pairs.
        where: which pairs lose their change, shape (pairs,).
        after: which of them show the state after the change, shape (pairs,). Half of them should, so that the network
            meets changed and unchanged objects as often as in pairs across the change.
    """
    controlled = shots.copy()
    controlled[where, :, 1] = _one_of(shots, after)[where, None]
    return controlled


def same_acquisition(shots: Shots, where: BoolArray, *, after: BoolArray) -> Shots:
    """Returns the pairs with one image on both sides where `where` is true.

    Args:
        shots: temporal pairs.
        where: which pairs show one image, shape (pairs,).
        after: which of them show the later one, shape (pairs,); half of them should.
    """
    controlled = shots.copy()
    controlled[where] = _one_of(shots, after)[where, None, None]
    return controlled


def _one_of(shots: Shots, after: BoolArray) -> NDArray[np.int8]:
    states = np.sort(shots[:, :, 1], axis=1)
    return np.asarray(np.where(after, states[:, 1], states[:, 0]), dtype=np.int8)


@dataclass(frozen=True)
class Replacements:
    """Clean places in the stead of controlled ones."""

    rows: Rows
    """Rows of the index, shape (controlled pairs,); NONE where there is no clean place left."""
    clean: int
    """Clean chips there are."""
    other_event: int
    """Places that are of another event than the one they replace, since its own has too few."""


def clean_places(
    index: ChipIndex, *, listed: Rows, controlled: Rows, order: Rows, rng: np.random.Generator
) -> Replacements:
    """Returns a clean place for each controlled one: without replacement, of its event, of about its object share.

    A place gets the same one at every rate, as long as there are clean chips for all that are controlled.

    Args:
        index: the chips that may be used.
        listed: rows of all pairs' places.
        controlled: positions in that list.
        order: all positions; the last are controlled at the most rates.
        rng: decides between equals.
    """
    clean = np.flatnonzero((index.valid_pixels > 0) & (index.changed_pixels == 0) & (index.unknown_pixels == 0))
    offered = _thinned(index, rng.permutation(clean), listed)
    partner = np.full(len(listed), NONE, dtype=np.intp)
    partner[order[::-1]] = _matched(index, listed[order[::-1]], offered)
    if (partner[controlled] == NONE).any():  # those that no control stands in for at this rate have used them up
        partner[controlled] = _matched(index, listed[controlled], offered)
    rows = partner[controlled]
    events = _events(index)
    moved = (rows != NONE) & (events[index.scene[rows]] != events[index.scene[listed[controlled]]])
    return Replacements(rows, clean=len(clean), other_event=int(np.count_nonzero(moved)))


def least_rate(count: int, *, noisy: int) -> float:
    """Returns the least rate of four decimals at which at least `noisy` of `count` pairs are noisy."""
    rate = max(0.0, math.floor((noisy - 0.5) / count * 10_000) / 10_000)
    while np.floor(rate * count + 0.5) < noisy:
        rate = round(rate + 0.0001, 4)
    return rate


def _thinned(index: ChipIndex, clean: Rows, listed: Rows) -> Rows:
    """Returns as many of each event's clean rows as give a place in the list a good choice, so that few are sorted."""
    if len(clean) <= CHOICE * len(listed):
        return clean
    events = _events(index).astype(np.int32)
    kind = events[index.scene[clean]]
    if events.max() < 2**15:
        kind = kind.astype(np.int16)  # which is sorted in no time
    order = np.argsort(kind, kind="stable")
    supply = np.bincount(kind, minlength=int(events.max()) + 1)
    demand = np.bincount(events[index.scene[listed]], minlength=len(supply))
    turn = np.empty(len(clean), dtype=np.intp)
    turn[order] = np.arange(len(clean)) - np.repeat(np.cumsum(supply) - supply, supply)
    return np.asarray(clean[turn < (CHOICE * demand + len(listed))[kind]])


def _matched(index: ChipIndex, wanted: Rows, clean: Rows) -> Rows:
    """Returns a clean row for each wanted one, the first of them served first; NONE where none is left."""
    events = _events(index)
    event, offered = events[index.scene[wanted]], events[index.scene[clean]]
    share, offered_share = (
        np.minimum(index.object_pixels[rows] / np.maximum(index.valid_pixels[rows], 1), 1.0) for rows in (wanted, clean)
    )
    chosen = nearest_once(share, offered_share, wanted_group=event, offered_group=offered)
    rest = np.flatnonzero(chosen == NONE)
    if len(rest):
        free = np.ones(len(clean), dtype=bool)
        free[chosen[chosen != NONE]] = False
        others = np.flatnonzero(free)
        anywhere = nearest_once(
            share[rest],
            offered_share[others],
            wanted_group=np.zeros(len(rest), dtype=np.intp),
            offered_group=np.zeros(len(others), dtype=np.intp),
        )
        chosen[rest[anywhere != NONE]] = others[anywhere[anywhere != NONE]]
    return np.where(chosen == NONE, NONE, clean[chosen] if len(clean) else NONE)


def _events(index: ChipIndex) -> Rows:
    """Returns each scene's event as a number from 0."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(scene.event, len(numbers)) for scene in index.scenes], dtype=np.intp)
