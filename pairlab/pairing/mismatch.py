"""Mismatched pairs: which other place the positive shows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.pairing import Noise
from pairlab.pairing.exchange import exchanged, exchanged_with_neighbours, spliced
from pairlab.pairing.offers import NONE, in_turn, nearest_once
from pairlab.pairing.policies import MOST_ACQUISITIONS, Shots
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import Scene

Rows = NDArray[np.intp]
_SIDES = (MOST_ACQUISITIONS + 1) ** 2
_CODE_BITS = 62


@dataclass(frozen=True)
class Partners:
    """What the positives of mismatched pairs show."""

    rows: Rows
    """Rows of the index, shape (mismatched pairs,)."""
    added: int
    """Of them, places that no exchange among the mismatched pairs could give: they are seen more often than others."""


def draw_partners(
    index: ChipIndex, *, listed: Rows, positions: Rows, shots: Shots, noise: Noise, rng: np.random.Generator
) -> Partners:
    """Returns another place for each mismatched position, of its own split.

    Mismatched pairs exchange their places, first those that show the same acquisitions, so that every image is seen as
    often as without the mismatch. Where one scene (of other_event: one event) has more than half of what could be
    exchanged, the rest takes other places: of the list, then of all chips with data, each once as far as they go.

    Args:
        index: the chips that may be used; its scenes tell event and split.
        listed: rows of all pairs' places.
        positions: of the mismatched pairs in that list.
        shots: of all pairs.
        noise: where the other place may lie.
        rng: decides which one it is.

    Raises:
        PairingRefused: there is no such place.
    """
    rows, drawn = listed[positions], shots[positions]
    sides = drawn[:, 0, 0].astype(np.intp) * (MOST_ACQUISITIONS + 1) + drawn[:, 1, 0]
    similar = noise.mismatch_from == "similar"
    levels = _levels(index, noise)
    partner, added = (np.full(len(rows), NONE, dtype=np.intp) for _ in range(2))
    for level in levels:
        group, kind = level.group(rows), level.kind(rows)
        groupings = (group * _SIDES + sides, group)
        for grouping in groupings if similar else ():
            order = _by_content(index, rows, grouping, rng)
            found = exchanged_with_neighbours(order[partner[order] == NONE], grouping, kind)
            partner = np.where(partner == NONE, found, partner)
        for grouping in groupings:
            left = np.flatnonzero((partner == NONE) & (added == NONE))
            found = exchanged(grouping[left], kind[left], rng)
            partner[left[found != NONE]] = left[found[found != NONE]]
        left = (partner == NONE) & (added == NONE)
        partner = spliced(partner, left, group, kind, near=_object_share(index, rows) if similar else None)
        left &= partner == NONE
        if left.any():
            used = np.concatenate([rows[partner[partner != NONE]], added[added != NONE]])
            added[left] = _other_places(index, listed, used, rows[left], level, near=similar)
    missing = (partner == NONE) & (added == NONE)
    if missing.any():
        raise _refusal(index, rows[missing], noise)
    return Partners(np.where(partner == NONE, added, rows[partner]), added=int(np.count_nonzero(added != NONE)))


@dataclass(frozen=True)
class _Level:
    """Partners have one group and differ in kind; both are numbers from 0 by row of the index."""

    group: Callable[[Rows], Rows]
    kind: Callable[[Rows], Rows]


def _levels(index: ChipIndex, noise: Noise) -> list[_Level]:
    """Returns what to look for, best first."""
    split, event = (_codes(index.scenes, of) for of in (lambda scene: scene.split, lambda scene: scene.event))
    together = split * (int(event.max(initial=0)) + 1) + event

    def scene_of(rows: Rows) -> Rows:
        return _scene(index, rows)

    def in_event(rows: Rows) -> Rows:
        return np.asarray(together[index.scene[rows]])

    def in_split(rows: Rows) -> Rows:
        return np.asarray(split[index.scene[rows]])

    if noise.mismatch_from == "same_event":
        return [_Level(in_event, scene_of), _Level(in_event, lambda rows: rows)]
    if noise.mismatch_from == "other_event":
        return [_Level(in_split, lambda rows: np.asarray(event[index.scene[rows]]))]
    return [_Level(in_split, scene_of)]


def _scene(index: ChipIndex, rows: Rows) -> Rows:
    return index.scene[rows].astype(np.intp)


def _codes(scenes: tuple[Scene, ...], of: Callable[[Scene], str]) -> Rows:
    """Returns a number from 0 per scene, equal for equal values."""
    names = [of(scene) for scene in scenes]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([numbers[name] for name in names], dtype=np.intp)


def _object_share(index: ChipIndex, rows: Rows) -> NDArray[np.float64]:
    return np.minimum(index.object_pixels[rows] / np.maximum(index.valid_pixels[rows], 1), 1.0)


def _by_content(index: ChipIndex, rows: Rows, group: Rows, rng: np.random.Generator) -> Rows:
    """Returns the order by group, object share and objects per class; what is equal in all of them, by chance."""
    order = rng.permutation(len(rows))
    kinds = index.objects[rows[order]] if len(index.objects) else np.zeros((len(rows), 0), dtype=np.int32)
    code = np.zeros(len(rows), dtype=np.int64)
    bits = _CODE_BITS // max(kinds.shape[1], 1)
    for kind in range(min(kinds.shape[1], _CODE_BITS)):
        code = (code << bits) | np.minimum(kinds[:, kind], (1 << bits) - 1)
    return np.asarray(order[np.lexsort((code, _object_share(index, rows[order]), group[order]))])


def _other_places(index: ChipIndex, listed: Rows, used: Rows, rows: Rows, level: _Level, *, near: bool) -> Rows:
    """Returns places for rows of which each group has one kind alone; NONE where there are none.

    Those of the list that no positive shows yet come first, then all others with data, then those that are `used`.
    """
    group, kind = level.group(rows), level.kind(rows)
    kind_of_group = np.full(int(group.max()) + 1, NONE, dtype=np.intp)
    kind_of_group[group] = kind

    def fitting(offers: Rows) -> Rows:
        groups = level.group(offers)
        wanted = kind_of_group[np.minimum(groups, len(kind_of_group) - 1)]
        fits = (groups < len(kind_of_group)) & (wanted != NONE) & (wanted != level.kind(offers))
        return np.asarray(offers[fits])

    free = np.ones(len(index), dtype=bool)
    free[used] = False
    offers = fitting(listed[free[listed]])
    demand = np.bincount(group)
    if (np.bincount(level.group(offers), minlength=len(demand)) < demand).any():
        free[listed] = False
        others = np.flatnonzero(free & (index.valid_pixels > 0))
        offers = np.concatenate([offers, fitting(others), fitting(used)])
    chosen = np.full(len(rows), NONE, dtype=np.intp)
    if not len(offers):
        return chosen
    if near:
        shares = _object_share(index, rows), _object_share(index, offers)
        chosen = nearest_once(*shares, wanted_group=group, offered_group=level.group(offers))
    rest = np.flatnonzero(chosen == NONE)
    chosen[rest] = in_turn(group[rest], level.group(offers), again=True)
    return np.asarray(np.where(chosen == NONE, NONE, offers[chosen]))


def _refusal(index: ChipIndex, rows: Rows, noise: Noise) -> PairingRefused:
    """Returns why these places have no partner: all chips of their split are of one kind."""
    scene = index.scenes[index.scene[rows[0]]]
    of_split = np.array([each.split == scene.split for each in index.scenes], dtype=bool)
    chips = int(np.count_nonzero(of_split[index.scene] & (index.valid_pixels > 0)))
    if noise.mismatch_from == "same_event":
        more = f" ({len(rows) - 1} more events are like it)" if len(rows) > 1 else ""
        return PairingRefused(
            f"{len(rows)} mismatched pairs need another place of their event, and event {scene.event!r} has one chip "
            f"with data in the {scene.split} split{more}: take mismatch_from other_event or similar, or smaller chips"
        )
    kind, name = ("event", scene.event) if noise.mismatch_from == "other_event" else ("scene", scene.name)
    others = "same_event or similar" if kind == "event" else "same_event"
    return PairingRefused(
        f"mismatch_from {noise.mismatch_from} needs a place of another {kind}, and all {chips} chips with data in the "
        f"{scene.split} split are of {kind} {name!r}: take {others}"
    )
