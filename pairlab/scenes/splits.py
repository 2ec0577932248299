"""Which scenes train, validate and test; no scene is in two splits."""

from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.protocols import Splits
from pairlab.scenes.scene import Scene, SceneError

SPLITS = ("train", "validation", "test")
_TRAIN, _VALIDATION, _TEST = SPLITS

Drawn = TypeVar("Drawn", bound=Hashable)


def assign_splits(scenes: Sequence[Scene], splits: Splits) -> dict[str, str]:
    """Returns scene name → train, validation or test.

    Equal scenes and equal `splits` give equal answers, in whatever order the scenes come and on every machine.

    Raises:
        SceneError: an event the dataset does not have, blocks without places, or a split without scenes.
    """
    if splits.official:
        assigned = {scene.name: scene.split for scene in scenes}
        remedy = "let splits.by be random, or name splits.test_events to hold whole events out, for example one of: "
        _check_filled(assigned, remedy=remedy, scenes=scenes)
        return assigned
    if splits.by == "random":
        assigned = _random(scenes, splits)
    elif splits.by == "blocks":
        assigned = _blocks(scenes, splits)
    else:
        assigned = _held_out_events(scenes, splits)
    others = "a smaller splits.block_metres" if splits.by == "blocks" else "other events"
    _check_filled(assigned, remedy=f"choose other shares or {others}; events: ", scenes=scenes)
    return assigned


def _random(scenes: Sequence[Scene], splits: Splits) -> dict[str, str]:
    """Returns shares of the scenes of each event, so that every event is in every split as far as it goes."""
    assigned: dict[str, str] = {}
    for event in sorted({scene.event for scene in scenes}):
        names = [scene.name for scene in scenes if scene.event == event]
        assigned |= _dealt([[name] for name in _drawn(names, splits.seed)], splits)
    return assigned


def _blocks(scenes: Sequence[Scene], splits: Splits) -> dict[str, str]:
    """Returns shares of the scenes of each event by whole squares of ground: neighbours mostly go together.

    A scene of which no place is known trains: of xBD those are the tiles without a building, which no score needs.
    """
    assigned = {scene.name: _TRAIN for scene in scenes}
    blocks: dict[tuple[int, int], list[Scene]] = {}
    for scene in scenes:
        if scene.location is not None:
            x, y = (int(np.floor(metres / splits.block_metres)) for metres in scene.location)
            blocks.setdefault((x, y), []).append(scene)
    if not blocks:
        raise SceneError("splits.by blocks needs the scenes' places, and this dataset has none: take by: random")
    of_event: dict[str, list[tuple[int, int]]] = {}
    for place, members in blocks.items():  # a block that several events show is one of them: its ground stays whole
        of_event.setdefault(min(scene.event for scene in members), []).append(place)
    for places in of_event.values():
        drawn = _drawn(places, splits.seed)
        assigned |= _dealt([[scene.name for scene in blocks[place]] for place in drawn], splits)
    return assigned


def _drawn(values: Sequence[Drawn], seed: int) -> list[Drawn]:
    """Returns the values in an order that the seed draws: by hash, so that one more value moves no other."""
    return sorted(values, key=lambda value: blake2b(f"{seed} {value}".encode()).digest())


def _dealt(groups: Sequence[Sequence[str]], splits: Splits) -> dict[str, str]:
    """Returns groups dealt out in order: to the test until its share is met, then to validation, the rest trains.

    A group goes where its middle falls, so that no share is missed by more than half a group.
    """
    sizes = np.array([len(group) for group in groups])
    middles: NDArray[np.float64] = (np.cumsum(sizes) - sizes / 2) / sizes.sum()
    edges = np.array([splits.test_share, splits.test_share + splits.validation_share])
    names = (_TEST, _VALIDATION, _TRAIN)
    chosen = np.searchsorted(edges, middles, side="right")
    return {name: names[place] for group, place in zip(groups, chosen.tolist(), strict=True) for name in group}


def _held_out_events(scenes: Sequence[Scene], splits: Splits) -> dict[str, str]:
    """Returns scenes of `test_events` as test; of the others, whatever their own split, a share validates."""
    events = {scene.event for scene in scenes}
    for event in splits.test_events:
        if event not in events:
            raise SceneError(f"splits.test_events: no event {event!r}; the dataset has: {', '.join(sorted(events))}")
    others = [scene.name for scene in scenes if scene.event not in splits.test_events]
    held = set(_drawn(others, splits.seed)[: round(splits.validation_share * len(others))])
    return {
        scene.name: _TEST if scene.event in splits.test_events else _VALIDATION if scene.name in held else _TRAIN
        for scene in scenes
    }


def _check_filled(assigned: Mapping[str, str], *, remedy: str, scenes: Sequence[Scene]) -> None:
    counts = {split: sum(1 for value in assigned.values() if value == split) for split in SPLITS}
    empty = [split for split, count in counts.items() if count == 0]
    if empty:
        found = ", ".join(f"{count} {split}" for split, count in counts.items())
        events = ", ".join(sorted({scene.event for scene in scenes}))
        raise SceneError(f"no scenes for {' and '.join(empty)} ({found}): {remedy}{events}")
