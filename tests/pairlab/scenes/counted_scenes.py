"""Scenes of any size, made of noise, whose change is known pixel by pixel, for the tests of what is counted."""

# ruff: noqa: ARG002 — a source takes what SceneSource says

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes.scene import (
    RGB,
    Attribute,
    Bands,
    BoolArray,
    ChangeMaps,
    LabelFacts,
    Outline,
    Pixels,
    Scene,
    SceneError,
    SceneObjects,
    UInt8Array,
)

KINDS = ("whole", "broken", "gone")


class CountedScenes:
    """A source of scenes that are told their sizes; everything else is drawn from their names."""

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        *,
        attributes: Sequence[Mapping[str, Attribute]] = (),
        empty: bool = False,
    ) -> None:
        """Takes the scenes' heights and widths, their columns, and whether each has pixels without data."""
        self._scenes = tuple(
            Scene(f"scene-{number:04d}", "train", f"event-{number % 3}", ("pre", "post"), height=height, width=width)
            for number, (height, width) in enumerate(sizes)
        )
        self._attributes = dict(zip((scene.name for scene in self._scenes), attributes, strict=False))
        self._empty = empty

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All of them."""
        return self._scenes

    @property
    def bands(self) -> Bands:
        """Red, green and blue."""
        return RGB

    @property
    def object_classes(self) -> tuple[str, ...]:
        """Three."""
        return KINDS

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:
        """Returns none."""
        return ()

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        """Returns noise with a black strip where pixels have no data."""
        rng = np.random.default_rng([_number(scene), scene.acquisitions.index(acquisition), 1])
        image = rng.integers(1, 255, (scene.height, scene.width, 3), dtype=np.uint8)
        if self._empty:
            image[: rng.integers(0, scene.height + 1)] = 0
        return image

    def mask(
        self, scene: Scene, acquisition: str, scheme: LabelScheme, *, unclassified: Unclassified = "ignore"
    ) -> UInt8Array:
        """Returns nothing: nobody asks."""
        raise SceneError("no masks")

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:
        """Returns maps of dots, some of them full or empty."""
        rng = np.random.default_rng([_number(scene), 2])
        shares = rng.choice([0.0, 0.01, 0.5, 1.0], size=3)
        objects, changed, unknown = (rng.random((scene.height, scene.width)) < share for share in shares)
        valid = np.ones((scene.height, scene.width), bool)
        if pixels:
            for acquisition in scene.acquisitions:
                valid &= ~self.no_data(self.image(scene, acquisition))
        return ChangeMaps(changed=changed, objects=objects, unknown=unknown, valid=valid)

    def no_data(self, image: Pixels) -> BoolArray:
        """Returns what is black."""
        return np.asarray((image == 0).all(axis=2))

    def label_facts(self, scene: Scene) -> LabelFacts:
        """Returns objects, some of them past the edge."""
        rng = np.random.default_rng([_number(scene), 3])
        count = int(rng.integers(0, 30))
        y, x = (rng.integers(-20, side + 20, count).astype(np.int16) for side in (scene.height, scene.width))
        kind = rng.integers(0, len(KINDS), count).astype(np.uint8)
        return LabelFacts(SceneObjects(y=y, x=x, kind=kind), self._attributes.get(scene.name, {}))

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        """Returns nothing."""
        return {}

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        """Returns none."""
        return ()


def _number(scene: Scene) -> int:
    return int(scene.name.rpartition("-")[2])
