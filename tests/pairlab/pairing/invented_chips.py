"""Chips whose counts are invented, and pairings of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from pairlab.experiment.pairing import Noise, Pairing, PlaceExtent, Places
from pairlab.pairing.drawing import draw_pairs
from pairlab.pairing.pair import Pair, PairList
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import Scene

DATES = ("pre", "post")
PIXELS = 1024
NOISY = Places(noisy_only=True)

Place = tuple[str, int, int]


def index_of(
    changed: Sequence[int],
    *,
    objects: int | Sequence[int] = 200,
    unknown: Sequence[int] | None = None,
    events: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    chips_per_scene: int = 1,
    acquisitions: tuple[str, ...] = DATES,
) -> ChipIndex:
    """Returns one chip per entry of `changed`, so many to a scene; events and splits are those of the scenes."""
    count = len(changed)
    full = np.full(count, PIXELS, np.int32)
    scenes = -(-count // chips_per_scene)
    return ChipIndex(
        chip_size=32,
        scenes=tuple(
            Scene(
                f"scene-{number}",
                split="train" if splits is None else splits[number],
                event="flood" if events is None else events[number],
                acquisitions=acquisitions,
                height=32,
                width=32 * chips_per_scene,
            )
            for number in range(scenes)
        ),
        scene=(np.arange(count) // chips_per_scene).astype(np.int32),
        y=np.zeros(count, np.int32),
        x=(np.arange(count) % chips_per_scene * 32).astype(np.int32),
        valid_pixels=full.copy(),
        object_pixels=np.broadcast_to(np.asarray(objects, np.int32), count).copy(),
        changed_pixels=np.array(changed, np.int32),
        unknown_pixels=np.array([0] * count if unknown is None else unknown, np.int32),
        total_pixels=full,
        objects=np.zeros((count, 0), np.int32),
    )


@st.composite
def indices(draw: st.DrawFn, *, least_noisy: int = 0, splits: bool = False) -> ChipIndex:
    """Draws chips of every kind: noisy, faintly changed, clean, unknown and without data, in scenes of few events."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    chips_per_scene = draw(st.integers(1, 6))
    scenes = draw(st.integers(2, 12)) + -(-least_noisy // chips_per_scene)
    count = scenes * chips_per_scene
    objects = rng.choice([0, 1, 100, 101, 400, PIXELS], count)
    changed = np.minimum(objects, rng.choice([0, 0, 3, 16, 90, 380, PIXELS], count))
    forced = rng.permutation(count)[:least_noisy]
    objects[forced] = rng.integers(16, PIXELS, len(forced))
    changed[forced] = rng.integers(16, objects[forced] + 1)
    index = index_of(
        changed.tolist(),
        objects=objects.tolist(),
        unknown=np.where(rng.random(count) < 0.2, 5, 0).tolist(),
        events=[f"event-{number}" for number in rng.integers(0, draw(st.integers(1, 4)), scenes)],
        splits=rng.choice(["train", "validation", "test"], scenes).tolist() if splits else None,
        chips_per_scene=chips_per_scene,
    )
    empty = rng.random(count) < 0.1
    empty[forced] = False
    for name in ("valid_pixels", "object_pixels", "changed_pixels", "unknown_pixels"):
        getattr(index, name)[empty] = 0
    return replace(index, objects=rng.integers(0, 5, (count, 2)).astype(np.int32))


def temporal(rate: float | None = None, *, pairs: int = 20, control: str | None = "masked", **noise: object) -> Pairing:
    given = {"rate": rate, "control": None if rate is None else control, **noise}
    return Pairing(policy="temporal", noise=Noise.model_validate(given), pairs=pairs)


def drawn(index: ChipIndex, pairing: Pairing, places: Places = NOISY, *, seed: int = 0) -> PairList:
    return draw_pairs(index, acquisitions=index.scenes[0].acquisitions, pairing=pairing, places=places, seed=seed)


def of_extents(*extents: tuple[tuple[float, float], float], min_changed_pixels: int = 16) -> Places:
    return Places(
        noisy_only=True,
        extents=tuple(PlaceExtent(extent=extent, rate=rate) for extent, rate in extents),
        min_changed_pixels=min_changed_pixels,
    )


def anchor_of(pair: Pair) -> Place:
    return pair.anchor.scene, pair.anchor.y, pair.anchor.x


def positive_of(pair: Pair) -> Place:
    return pair.positive.scene, pair.positive.y, pair.positive.x


def anchors(pairs: PairList) -> list[Place]:
    return [anchor_of(pair) for pair in pairs]


def row_of(index: ChipIndex) -> dict[Place, int]:
    """Returns the row of each place."""
    names = [index.scenes[scene].name for scene in index.scene.tolist()]
    places = zip(names, index.y.tolist(), index.x.tolist(), strict=True)
    return {place: row for row, place in enumerate(places)}


def rounded(share: float, count: int) -> int:
    """Returns round(share · count), halves up."""
    return int(share * count + 0.5)
