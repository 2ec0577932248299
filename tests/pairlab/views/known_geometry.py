"""Scenes whose pixels tell where they lie, and lists of pairs of them, for the tests of views."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.pairing.pair import CONTROLS, PairList
from pairlab.scenes.scene import Bands, BoolArray, ChangeMaps, LabelFacts, Outline, Pixels, Scene, UInt8Array

ACQUISITIONS = ("pre", "post")
X, Y, SCENE, ACQUISITION = range(4)
"""Bands."""


class CoordinateScenes:
    """Scenes of float32 with four bands: x and y of each pixel's centre, number of the scene, and of the acquisition.

    The relevant change is a rectangle in every 32 × 32 pixels, at another place in each scene.
    """

    bands = Bands(names=("x", "y", "scene", "acquisition"), low=(0.0,) * 4, high=(1.0,) * 4, no_data=-1.0)
    object_classes: tuple[str, ...] = ()

    def __init__(self, *, count: int = 6, size: int = 96) -> None:
        self.scenes = tuple(
            Scene(f"scene-{number}", "train", "flood", ACQUISITIONS, height=size, width=size) for number in range(count)
        )
        self.change_asked = 0

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:  # noqa: ARG002
        along = np.arange(scene.width, dtype=np.float32) + 0.5
        x, y = np.meshgrid(along, along)
        number = np.full_like(x, float(scene.name.split("-")[1]))
        return np.stack([x, y, number, np.full_like(x, ACQUISITIONS.index(acquisition))], axis=-1)

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:  # noqa: ARG002
        self.change_asked += 1
        corner = 3 + 3 * int(scene.name.split("-")[1])
        down, right = np.arange(scene.height) % 32 - corner, np.arange(scene.width) % 32 - corner - 2
        changed = ((down >= 0) & (down < 11))[:, None] & ((right >= 0) & (right < 9))
        return ChangeMaps(changed=changed, objects=changed, unknown=np.zeros_like(changed), valid=np.ones_like(changed))

    def no_data(self, image: Pixels) -> BoolArray:
        return np.asarray((image == -1.0).all(axis=2))

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:
        raise NotImplementedError

    def mask(
        self, scene: Scene, acquisition: str, scheme: LabelScheme, *, unclassified: Unclassified = "ignore"
    ) -> UInt8Array:
        raise NotImplementedError

    def label_facts(self, scene: Scene) -> LabelFacts:
        raise NotImplementedError

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        raise NotImplementedError

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        raise NotImplementedError


def pair_list(
    scenes: tuple[Scene, ...],
    *,
    size: int,
    count: int,
    seed: int = 0,
    shift_px: float = 0.0,
    masked: float = 0.0,
    mismatched: float = 0.0,
    same_image: bool = False,
) -> PairList:
    """Returns random pairs: half of them begin with the last acquisition, shares of them are masked or mismatched."""
    rng = np.random.default_rng(seed)
    chips = scenes[0].width // size
    scene, y, x = (rng.integers(limit, size=count).astype(np.int32) for limit in (len(scenes), chips, chips))
    other = rng.random(count) < mismatched
    first = rng.integers(2, size=count)
    acquisitions = np.stack([first, first if same_image else 1 - first], axis=1).astype(np.int8)
    controlled = (rng.random(count) < masked) & ~other
    nothing: NDArray[np.float64] = np.zeros(count)
    return PairList(
        size=size,
        scenes=tuple(each.name for each in scenes),
        acquisitions=ACQUISITIONS,
        scene=scene,
        y=y * size,
        x=x * size,
        positive_scene=np.where(other, (scene + 1) % len(scenes), scene).astype(np.int32),
        positive_y=np.where(other, (y + 1) % chips, y).astype(np.int32) * size,
        positive_x=x * size,
        shots=np.repeat(acquisitions[:, :, None], 2, axis=2),
        shift=shift_px * rng.standard_normal((count, 2)),
        changed_pixels=np.zeros(count, dtype=np.int32),
        change_share=nothing,
        object_change_share=nothing,
        object_share=nothing,
        noisy=np.zeros(count, dtype=bool),
        mismatched=other,
        unknown=np.zeros(count, dtype=bool),
        control=np.where(controlled, CONTROLS.index("masked"), 0).astype(np.int8),
        score=np.full(count, np.nan),
        pool={},
    )
