"""Synthetic scenes under full control: textured ground, objects intact or damaged, and nuisance per acquisition.

Whether an object is intact shows in its texture alone: colour, mean and contrast are drawn from the same distributions
for both states and for all classes, so that nothing short of texture tells them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.datasets import SyntheticDataset, SyntheticScenes
from pairlab.experiment.protocols import LabelScheme
from pairlab.scenes.scene import ChangeMaps, Scene, SceneError, UInt8Array

GENERATOR_VERSION = 1
"""Raised whenever the same knobs would render other pixels."""
ACQUISITIONS = ("pre", "post")
SPLIT_NAMES = ("train", "validation", "test")

Float32Array = NDArray[np.float32]
_LAYOUT, _GROUND, _NUISANCE, _DAMAGE = range(4)


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: a rotated rectangle with a texture of its class, torn where it is damaged."""

    class_index: int
    corners: Float32Array
    """Shape (4, 2), pixels (x, y)."""
    angle: float
    """Of the texture, radians."""
    phase: float
    colour: Float32Array
    """Shape (3,), RGB in [0, 1]."""
    contrast: float
    changes: bool
    """Intact in the first acquisition, damaged in the last."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What stands where in a scene; `owner` is the object's position + 1 per pixel, 0 on the ground."""

    objects: tuple[SceneObject, ...]
    owner: UInt8Array


class SyntheticSource:
    """Scenes rendered on demand; equal for equal (config, draw), in any process and any order.

    Classes of scheme `intact_damaged`: 0 background, 1 intact, 2 damaged. Of `building`: 0 background, 1 object. Of
    `object_states`: 0 background, then for each object class c: 1 + 2c intact, 2 + 2c damaged.
    """

    def __init__(self, config: SyntheticDataset, *, draw: int = 0) -> None:
        """Opens the scenes.

        Args:
            config: number of scenes per split, and the preset of knobs.
            draw: which redraw of all scenes.
        """
        self._knobs = config.scenes
        self._draw = draw
        counts = (config.train, config.validation, config.test)
        self._keys: dict[str, tuple[int, int]] = {}
        scenes = []
        for split, (split_name, count) in enumerate(zip(SPLIT_NAMES, counts, strict=True)):
            for number in range(count):
                name = f"{split_name}-{number:06d}"
                self._keys[name] = (split, number)
                size = self._knobs.size
                scenes.append(Scene(name, split_name, "synthetic", ACQUISITIONS, height=size, width=size))
        self._scenes = tuple(scenes)
        self._layout = lru_cache(maxsize=4096)(self._make_layout)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes: train, validation, test."""
        return self._scenes

    def classes(self, scheme: LabelScheme) -> tuple[str, ...]:
        """Returns the class names of a scheme; raises SceneError for schemes of other datasets."""
        if scheme == "building":
            return ("background", "object")
        if scheme == "intact_damaged":
            return ("background", "intact", "damaged")
        if scheme == "object_states":
            states = [f"{kind} {state}" for kind in self._kinds() for state in ("intact", "damaged")]
            return ("background", *states)
        raise SceneError(
            f"synthetic scenes have no label scheme {scheme!r}; there are: building, intact_damaged, object_states"
        )

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        """Returns the rendered image, uint8 RGB of shape (size, size, 3)."""
        _check_acquisition(acquisition)
        _check_acquisition(state or acquisition)
        damaged = (state or acquisition) == ACQUISITIONS[-1]
        layout = self._layout(scene.name)
        surface = _ground(self._knobs.size, self._generator(scene.name, _GROUND))
        for position, item in enumerate(layout.objects):
            torn = self._generator(scene.name, _DAMAGE, position) if damaged and item.changes else None
            _paint(surface, layout.owner == position + 1, item, torn)
        rng = self._generator(scene.name, _NUISANCE, ACQUISITIONS.index(acquisition))
        return _acquire(surface, self._knobs, rng)

    def mask(
        self,
        scene: Scene,
        acquisition: str,
        scheme: LabelScheme,
        *,
        unclassified: str = "ignore",  # noqa: ARG002
    ) -> UInt8Array:
        """Returns class indices, uint8 of shape (size, size); synthetic scenes leave nothing un-classified."""
        _check_acquisition(acquisition)
        self.classes(scheme)
        layout = self._layout(scene.name)
        lookup = np.zeros(len(layout.objects) + 1, dtype=np.uint8)
        for position, item in enumerate(layout.objects):
            damaged = int(item.changes and acquisition == ACQUISITIONS[-1])
            by_scheme: Mapping[str, int] = {
                "building": 1,
                "intact_damaged": 1 + damaged,
                "object_states": 1 + 2 * item.class_index + damaged,
            }
            lookup[position + 1] = by_scheme[scheme]
        return lookup[layout.owner]

    def change(self, scene: Scene) -> ChangeMaps:
        """Returns the relevant change, known by construction."""
        layout = self._layout(scene.name)
        changes = np.array([False, *(item.changes for item in layout.objects)])
        nowhere = np.zeros(layout.owner.shape, dtype=bool)
        return ChangeMaps(changed=changes[layout.owner], objects=layout.owner > 0, unknown=nowhere, valid=~nowhere)

    def _kinds(self) -> tuple[str, ...]:
        return tuple(f"object {chr(ord('A') + number)}" for number in range(self._knobs.object_classes))

    def _generator(self, name: str, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([GENERATOR_VERSION, self._draw, *self._keys[name], *purpose])

    def _make_layout(self, name: str) -> Layout:
        knobs, rng = self._knobs, self._generator(name, _LAYOUT)
        owner = np.zeros((knobs.size, knobs.size), dtype=np.uint8)
        taken = np.zeros_like(owner)
        objects: list[SceneObject] = []
        for _ in range(int(rng.integers(knobs.objects[0], knobs.objects[1], endpoint=True))):
            item = _place_object(knobs, taken, rng)
            if item is not None:
                objects.append(item)
                cv2.fillConvexPoly(owner, np.round(item.corners).astype(np.int32), len(objects))
        sizes = np.bincount(owner.ravel(), minlength=len(objects) + 1)[1:]
        changed = rng.random() < knobs.change_rate
        chosen = (
            _choose_changes(sizes, rng.uniform(*knobs.change_extent), rng) if changed else np.zeros(len(sizes), bool)
        )
        return Layout(
            objects=tuple(
                SceneObject(
                    item.class_index, item.corners, item.angle, item.phase, item.colour, item.contrast, bool(each)
                )
                for item, each in zip(objects, chosen, strict=True)
            ),
            owner=owner,
        )


def _check_acquisition(acquisition: str) -> None:
    if acquisition not in ACQUISITIONS:
        raise SceneError(f"no acquisition {acquisition!r}; synthetic scenes have: {', '.join(ACQUISITIONS)}")


def _place_object(knobs: SyntheticScenes, taken: UInt8Array, rng: np.random.Generator) -> SceneObject | None:
    """Returns an object where none stands yet and marks its place, or None after 20 tries."""
    for _ in range(20):
        height, width = rng.uniform(*knobs.object_size, size=2)
        angle = rng.uniform(0, np.pi)
        centre = rng.uniform(0.08, 0.92, size=2) * knobs.size
        corners = cv2.boxPoints(((float(centre[0]), float(centre[1])), (width, height), float(np.degrees(angle))))
        place = np.zeros_like(taken)
        cv2.fillConvexPoly(place, np.round(corners).astype(np.int32), 1)
        if place.any() and not (cv2.dilate(place, np.ones((5, 5), np.uint8)) & taken).any():
            taken |= place
            return SceneObject(
                class_index=int(rng.integers(knobs.object_classes)),
                corners=corners.astype(np.float32),
                angle=angle,
                phase=float(rng.uniform(0, 2 * np.pi)),
                colour=rng.uniform(0.25, 0.75, size=3).astype(np.float32),
                contrast=float(rng.uniform(0.15, 0.25)),
                changes=False,
            )
    return None


def _choose_changes(sizes: NDArray[np.int64], extent: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Returns which objects change: in random order, as long as each brings the changed share closer to `extent`."""
    chosen = np.zeros(len(sizes), dtype=bool)
    goal = extent * sizes.sum()
    for position in rng.permutation(len(sizes)):
        share = sizes[chosen].sum()
        if abs(share + sizes[position] - goal) < abs(share - goal):
            chosen[position] = True
    if not chosen.any() and len(sizes):
        chosen[int(np.argmin(np.abs(sizes - goal)))] = True
    return chosen


def _smooth_noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Float32Array:
    """Returns noise of zero mean and unit deviation whose blobs measure about `scale` pixels."""
    coarse = (max(2, round(shape[1] / scale)), max(2, round(shape[0] / scale)))
    field = cv2.resize(rng.standard_normal(coarse[::-1], dtype=np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-6), dtype=np.float32)


def _ground(size: int, rng: np.random.Generator) -> Float32Array:
    """Returns the ground, float32 RGB of shape (size, size, 3): large patches of two colours with grain."""
    colours = rng.uniform(0.25, 0.7, size=(2, 3)).astype(np.float32)
    blend = 1 / (1 + np.exp(-1.5 * _smooth_noise((size, size), size / 3, rng)))[..., None]
    grain = _smooth_noise((size, size), rng.uniform(1.2, 4.0), rng)[..., None]
    return np.asarray(colours[0] * blend + colours[1] * (1 - blend) + np.float32(0.06) * grain, dtype=np.float32)


def _paint(
    surface: Float32Array, where: NDArray[np.bool_], item: SceneObject, torn: np.random.Generator | None
) -> None:
    """Paints an object into the surface: its class's pattern, or with `torn` that pattern broken up by displacement."""
    rows, cols = np.nonzero(where)
    if not len(rows):
        return
    y, x = rows.astype(np.float32), cols.astype(np.float32)
    if torn is not None:
        shape = surface.shape[:2]
        y = y + 3.0 * _smooth_noise(shape, 2.5, torn)[rows, cols]
        x = x + 3.0 * _smooth_noise(shape, 2.5, torn)[rows, cols]
    along = x * np.cos(item.angle) + y * np.sin(item.angle)
    across = y * np.cos(item.angle) - x * np.sin(item.angle)
    pattern = _pattern(item.class_index, along, across, item.phase)
    surface[rows, cols] = item.colour + np.float32(item.contrast) * pattern[:, None].astype(np.float32)


def _pattern(class_index: int, along: Float32Array, across: Float32Array, phase: float) -> Float32Array:
    """Returns the class's pattern with unit deviation: stripes, chequers or dots, finer with each round of classes."""
    period = 5.0 * 0.75 ** (class_index // 3)
    u, v = 2 * np.pi * along / period + phase, 2 * np.pi * across / period + phase
    kind = class_index % 3
    if kind == 0:
        values = np.sqrt(2.0) * np.sin(u)
    elif kind == 1:
        values = 2.0 * np.sin(u * 0.8) * np.sin(v * 0.8)
    else:
        values = np.sin(u * 1.25) + np.sin(v * 1.25)
    return np.asarray(values, dtype=np.float32)


def _acquire(surface: Float32Array, knobs: SyntheticScenes, rng: np.random.Generator) -> UInt8Array:
    """Returns the surface as one acquisition sees it: light with a gradient, colour cast, haze, noise; uint8 RGB."""
    size = knobs.size
    gain = np.exp(rng.normal(0.0, 0.35 * knobs.illumination))
    slope = rng.normal(0.0, 0.35 * knobs.illumination, size=2)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    light = gain * (1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :])
    cast = np.exp(rng.normal(0.0, 0.25 * knobs.colour, size=3))
    veil = knobs.haze * rng.uniform(0.0, 0.6)
    veil_colour = rng.uniform(0.6, 0.9)
    seen = surface * light[..., None] * cast
    seen = seen * (1 - veil) + veil_colour * veil
    seen = seen + rng.normal(0.0, 0.06 * knobs.sensor_noise, size=seen.shape)
    return np.asarray(np.clip(seen * 255.0 + 0.5, 0, 255), dtype=np.uint8)
