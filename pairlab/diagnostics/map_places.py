"""Which chips embedding maps show: a few places that a run trains on, each under two acquisitions."""

from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from pairlab.pairing.pair import PairList
from pairlab.scenes.scene import Pixels, SceneError, SceneSource
from pairlab.scenes.stored_images import chip_of

PLACES = 3
CHANGED_PLACES = 2
"""Of these, places with relevant change, as far as the run has any and knows it."""


@dataclass(frozen=True)
class MapPlace:
    """One place, and what it looks like under its scene's first and last acquisition."""

    scene: str
    y: int
    x: int
    size: int
    changed_pixels: int
    """Of its relevant change."""
    acquisitions: tuple[str, ...]
    chips: tuple[Pixels, ...]
    """Per acquisition, shape (size, size, bands)."""


def map_places(source: SceneSource, pairs: PairList, *, seed: int) -> list[MapPlace]:
    """Returns up to PLACES places of a run's anchors, changed ones first; equal seeds give equal places.

    What cannot be read is passed over: the run itself will tell.
    """
    changed, unchanged = _candidates(source, pairs, seed)
    found = [place for place, _ in zip(changed, range(CHANGED_PLACES), strict=False)]
    for more in (unchanged, changed):
        found += [place for place, _ in zip(more, range(PLACES - len(found)), strict=False)]
    return found


def _candidates(source: SceneSource, pairs: PairList, seed: int) -> tuple[Iterator[MapPlace], Iterator[MapPlace]]:
    """Returns the places with relevant change and those without, each once, in the order of the seed."""
    columns = np.stack([pairs.scene, pairs.y, pairs.x], axis=1)
    _, first = np.unique(columns, axis=0, return_index=True)
    order = np.random.default_rng([seed, crc32(b"embedding maps")]).permutation(first)
    with_change = pairs.changed_pixels[order] > 0
    return (
        _readable(source, pairs, order[with_change].tolist()),
        _readable(source, pairs, order[~with_change].tolist()),
    )


def _readable(source: SceneSource, pairs: PairList, positions: list[int]) -> Iterator[MapPlace]:
    scenes = {scene.name: scene for scene in source.scenes}
    for position in positions:
        scene = scenes[pairs.scenes[pairs.scene[position]]]
        y, x, size = int(pairs.y[position]), int(pairs.x[position]), pairs.size
        shown = (scene.acquisitions[0], scene.acquisitions[-1])
        try:
            chips = tuple(
                np.ascontiguousarray(chip_of(source, scene, acquisition, y=y, x=x, size=size)) for acquisition in shown
            )
        except SceneError:
            continue
        yield MapPlace(scene.name, y, x, size, int(pairs.changed_pixels[position]), shown, chips)
