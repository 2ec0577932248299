"""Synthetic scenes under full control: textured ground, objects intact or damaged, and nuisance per acquisition.

Whether an object is intact shows in its texture alone: colour, mean and contrast are drawn from the same distributions
for both states and for all classes, so that nothing short of texture tells them apart.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes.byte_cache import ByteCache
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
from pairlab.scenes.synthetic_acquisition import Nuisance, acquire, draw_nuisance
from pairlab.scenes.synthetic_draws import GENERATOR_VERSION, Purpose, SceneKey
from pairlab.scenes.synthetic_layout import Layout, make_layout, outline_at
from pairlab.scenes.synthetic_surface import ground, in_season, moved, paint

__all__ = ["ACQUISITIONS", "GENERATOR_VERSION", "OBJECT_CLASSES", "SPLIT_NAMES", "SyntheticSource"]

ACQUISITIONS = ("pre", "post")
OBJECT_CLASSES = ("intact", "damaged")
SPLIT_NAMES = ("train", "validation", "test")
LAYOUT_CACHE_BYTES = 64 << 20


class SyntheticSource:
    """Scenes rendered on demand; equal for equal (config, draw), in any process and any order.

    Masks and change maps are equal on every machine; images may differ by one grey level in a few pixels between
    processors, whose sines differ in the last bit.

    Classes of scheme `intact_damaged`: 0 background, 1 intact, 2 damaged. Of `building`: 0 background, 1 object. Of
    `object_states`: 0 background, then for each object class c: 1 + 2c intact, 2 + 2c damaged.
    """

    def __init__(self, config: SyntheticDataset, *, draw: int = 0) -> None:
        """Opens the scenes.

        Args:
            config: number of scenes per split, the preset and the knobs that differ from it.
            draw: which redraw of all scenes.
        """
        self.knobs = config.scenes
        counts = (config.train, config.validation, config.test)
        self._keys: dict[str, SceneKey] = {}
        scenes = []
        for split, (split_name, count) in enumerate(zip(SPLIT_NAMES, counts, strict=True)):
            for number in range(count):
                name = f"{split_name}-{number:06d}"
                self._keys[name] = SceneKey(draw, split, number)
                size = self.knobs.size
                scenes.append(Scene(name, split_name, "synthetic", ACQUISITIONS, height=size, width=size))
        self._scenes = tuple(scenes)
        self._layouts: ByteCache[Layout] = ByteCache(LAYOUT_CACHE_BYTES, size_of=lambda layout: layout.nbytes)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes: train, validation, test."""
        return self._scenes

    @property
    def kept_bytes(self) -> int:
        """Memory that layouts kept for later take."""
        return self._layouts.bytes

    @property
    def bands(self) -> Bands:
        """Red, green and blue."""
        return RGB

    @property
    def object_classes(self) -> tuple[str, ...]:
        """The states an object's label can tell."""
        return OBJECT_CLASSES

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:  # noqa: ARG002
        """Returns the class names of a scheme; raises SceneError for schemes of other datasets."""
        if scheme == "building":
            return ("background", "object")
        if scheme == "intact_damaged":
            return ("background", *OBJECT_CLASSES)
        if scheme == "object_states":
            states = [f"{kind} {state}" for kind in self._kinds() for state in OBJECT_CLASSES]
            return ("background", *states)
        raise SceneError(
            f"synthetic scenes have no label scheme {scheme!r}; there are: building, intact_damaged, object_states"
        )

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        """Returns the rendered image, uint8 RGB of shape (size, size, 3)."""
        number = _number(acquisition)
        damaged = _number(state or acquisition) == len(ACQUISITIONS) - 1
        key, layout = self._keys[scene.name], self._layout(scene)
        nuisance, noise = draw_nuisance(self.knobs, key, number)
        surface = ground(self.knobs.size, key.generator(Purpose.GROUND))
        if self.knobs.season:
            plants = key.generator(Purpose.SEASON, 0)
            surface = in_season(surface, nuisance.vegetation, nuisance.drought, rng=plants)
        surface = moved(surface, nuisance.shift)
        paint(surface, layout, number, knobs=self.knobs, torn=key if damaged else None)
        return acquire(surface, nuisance, noise)

    def mask(
        self,
        scene: Scene,
        acquisition: str,
        scheme: LabelScheme,
        *,
        unclassified: Unclassified = "ignore",  # noqa: ARG002
    ) -> UInt8Array:
        """Returns class indices, uint8 of shape (size, size); synthetic scenes leave nothing un-classified."""
        number = _number(acquisition)
        self.classes(scheme)
        layout = self._layout(scene)
        states = _label_states(layout, number)
        kinds = np.array([item.class_index for item in layout.objects], dtype=np.int64)
        values: Mapping[str, NDArray[np.int64]] = {
            "building": np.ones_like(kinds),
            "intact_damaged": 1 + states,
            "object_states": 1 + 2 * kinds + states,
        }
        lookup = np.concatenate([[0], values[scheme]]).astype(np.uint8)
        return lookup[layout.owners[number]]

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:  # noqa: ARG002
        """Returns the relevant change, known by construction, where the last acquisition shows it."""
        layout = self._layout(scene)
        changes = np.concatenate([[False], layout.changes])
        nowhere = np.zeros(layout.owners[0].shape, dtype=bool)
        objects = np.logical_or.reduce([owner > 0 for owner in layout.owners])
        return ChangeMaps(changed=changes[layout.owners[-1]], objects=objects, unknown=nowhere, valid=~nowhere)

    def no_data(self, image: Pixels) -> BoolArray:
        """Returns False everywhere: a rendered image has data in every pixel."""
        return np.zeros(image.shape[:2], dtype=bool)

    def label_facts(self, scene: Scene) -> LabelFacts:
        """Returns the objects as labels tell them, and as columns how much the acquisitions differ."""
        layout = self._layout(scene)
        outlines = [outline_at(item, layout.offsets[-1]) for item in layout.objects]
        centres = np.round(np.array([outline.mean(axis=0) for outline in outlines]).reshape(-1, 2)).astype(np.int16)
        kind = _label_states(layout, len(ACQUISITIONS) - 1).astype(np.uint8)
        first, last = (draw_nuisance(self.knobs, self._keys[scene.name], number)[0] for number in (0, 1))
        attributes = self._differences(first, last)
        if self.knobs.label_noise:
            attributes["flipped_labels"] = float(layout.flipped.sum())
        return LabelFacts(SceneObjects(y=centres[:, 1], x=centres[:, 0], kind=kind), attributes)

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        """Returns what was drawn for an acquisition."""
        return draw_nuisance(self.knobs, self._keys[scene.name], _number(acquisition))[0].metadata()

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        """Returns the objects of an acquisition as its labels tell them."""
        number = _number(acquisition)
        layout, kinds = self._layout(scene), self._kinds()
        return [
            Outline(
                name=f"{position + 1}, {kinds[item.class_index]}",
                kind=OBJECT_CLASSES[state],
                rings=[outline_at(item, layout.offsets[number])],
            )
            for position, (item, state) in enumerate(zip(layout.objects, _label_states(layout, number), strict=True))
        ]

    def _layout(self, scene: Scene) -> Layout:
        def make() -> Layout:
            key = self._keys[scene.name]
            offsets = tuple(draw_nuisance(self.knobs, key, number)[0].object_offset for number in (0, 1))
            return make_layout(self.knobs, key, offsets, noisy_labels=scene.split == "train")

        return self._layouts.get(scene.name, make)

    def _kinds(self) -> tuple[str, ...]:
        return tuple(f"object {chr(ord('A') + number)}" for number in range(self.knobs.object_classes))

    def _differences(self, first: Nuisance, last: Nuisance) -> dict[str, Attribute]:
        """Returns how much the conditions of two acquisitions differ, for each nuisance that is turned on."""
        knobs = self.knobs
        columns: dict[str, tuple[float, float]] = {
            "light_difference": (knobs.illumination, abs(math.log2(last.light / first.light))),
            "colour_difference": (knobs.colour, float(np.ptp(np.log2(last.cast / first.cast)))),
            "haze_difference": (knobs.haze, abs(last.veil - first.veil)),
            "season_difference": (
                knobs.season,
                math.hypot(last.vegetation - first.vegetation, last.drought - first.drought),
            ),
            "blur_difference_px": (knobs.blur, abs(last.blur - first.blur)),
            "parallax_px": (knobs.parallax_px, math.hypot(*last.lean)),
            "misregistration_px": (knobs.misregistration_px, math.hypot(*last.shift)),
        }
        return {name: round(value, 4) for name, (strength, value) in columns.items() if strength}


def _number(acquisition: str) -> int:
    if acquisition not in ACQUISITIONS:
        raise SceneError(f"no acquisition {acquisition!r}; synthetic scenes have: {', '.join(ACQUISITIONS)}")
    return ACQUISITIONS.index(acquisition)


def _label_states(layout: Layout, number: int) -> NDArray[np.int64]:
    """Returns the state that labels tell of each object in an acquisition, positions in OBJECT_CLASSES."""
    damaged = layout.changes if number == len(ACQUISITIONS) - 1 else np.zeros_like(layout.changes)
    return np.asarray(damaged ^ layout.flipped[number], dtype=np.int64)
