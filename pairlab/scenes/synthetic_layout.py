"""What stands where in a synthetic scene, and what changes.

Everything here is exact: whole pixels are decided by float32 sums in a fixed order and by integers, so that masks and
change maps are equal on every machine.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.synthetic_scenes import SyntheticScenes
from pairlab.scenes.scene import BoolArray, UInt8Array
from pairlab.scenes.synthetic_draws import Purpose, SceneKey

GAP = 2
"""Pixels of ground that stay free around every object."""

Float32Array = NDArray[np.float32]
Int32Array = NDArray[np.int32]
Offset = tuple[int, int]
"""Rows down and columns right, pixels."""
Window = tuple[slice, slice]

_DOWN = np.array([[-1], [1], [1], [-1]], dtype=np.float32)
_ACROSS = np.array([[-1], [-1], [1], [1]], dtype=np.float32)
"""Which way from the centre the corners of a rectangle lie."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: a rotated rectangle with a texture of its class."""

    class_index: int
    outline: Int32Array
    """Shape (4, 2), pixels (x, y), where the first acquisition shows it."""
    angle: float
    """Of the texture, radians."""
    phase: float
    colour: Float32Array
    """Shape (3,), RGB in [0, 1]."""
    contrast: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The objects of a scene and their place in every acquisition."""

    objects: tuple[SceneObject, ...]
    changes: BoolArray
    """Objects that are intact in the first acquisition and damaged in the last, shape (objects,)."""
    flipped: BoolArray
    """Objects whose label tells the other state, shape (acquisitions, objects)."""
    offsets: tuple[Offset, ...]
    """Where an acquisition shows the objects, relative to the first."""
    owners: tuple[UInt8Array, ...]
    """Per acquisition the object's position + 1 at each of its pixels, 0 on the ground."""

    @property
    def nbytes(self) -> int:
        """Memory it holds, roughly."""
        return 2_000 + 1_000 * len(self.objects) + sum(owner.nbytes for owner in self.owners)


def make_layout(knobs: SyntheticScenes, key: SceneKey, offsets: tuple[Offset, ...], *, noisy_labels: bool) -> Layout:
    """Returns what stands where.

    Args:
        knobs: of the generator.
        key: of the scene.
        offsets: of the objects, per acquisition.
        noisy_labels: whether labels are flipped as `label_noise` says.
    """
    rng = key.generator(Purpose.LAYOUT)
    objects = _place_objects(knobs, rng)
    if knobs.class_weights:
        objects = _weighted_classes(objects, knobs.class_weights, key.generator(Purpose.CLASSES))
    first = np.zeros((knobs.size, knobs.size), dtype=np.uint8)
    _stamp(first, objects)
    owners = [first, *(_moved_owner(first, objects, offset) for offset in offsets[1:])]
    sizes = np.bincount(owners[-1].ravel(), minlength=len(objects) + 1)[1:]
    changes = np.zeros(len(objects), dtype=bool)
    if rng.random() < knobs.change_rate:
        extent = rng.uniform(*knobs.change_extent)
        if knobs.change_where == "regions":
            changes = _choose_region(sizes, objects, knobs.size, extent, key.generator(Purpose.REGION))
        else:
            changes = _choose_objects(sizes, extent, rng)
    flipped = np.zeros((len(offsets), len(objects)), dtype=bool)
    if noisy_labels and knobs.label_noise:
        draws = [key.generator(Purpose.LABELS, number).random(len(objects)) for number in range(len(offsets))]
        flipped = np.stack(draws) < knobs.label_noise
    return Layout(tuple(objects), changes, flipped, offsets, tuple(owners))


def outline_at(item: SceneObject, offset: Offset) -> Int32Array:
    """Returns the outline that an acquisition shows, shape (4, 2), pixels (x, y)."""
    return item.outline + np.array([offset[1], offset[0]], dtype=np.int32)


def _place_objects(knobs: SyntheticScenes, rng: np.random.Generator) -> list[SceneObject]:
    """Returns the objects, none closer to another than GAP; `crowded` is 1 on objects and as far around them."""
    wanted = int(rng.integers(knobs.objects[0], knobs.objects[1], endpoint=True))
    crowded = np.zeros((knobs.size, knobs.size), dtype=np.uint8)
    placed = [_place_object(knobs, crowded, rng) for _ in range(wanted)]
    return [item for item in placed if item is not None]


def _place_object(knobs: SyntheticScenes, crowded: UInt8Array, rng: np.random.Generator) -> SceneObject | None:
    """Returns an object where none stands yet and marks its place, or None after all tries."""
    least, greatest = knobs.object_size
    for _ in range(knobs.placement_tries):
        height, width, turn, across, down = rng.random(5).tolist()
        centre = (0.08 + (0.92 - 0.08) * across) * knobs.size, (0.08 + (0.92 - 0.08) * down) * knobs.size
        sides = least + (greatest - least) * width, least + (greatest - least) * height
        if _is_middle_taken(crowded, centre, min(sides)):
            continue
        angle = math.pi * turn
        outline = np.round(_corners(centre, sides, angle)).astype(np.int32)
        window = _window_of(outline, knobs.size)
        rows, cols = window
        place = np.zeros((rows.stop - rows.start, cols.stop - cols.start), dtype=np.uint8)
        cv2.fillConvexPoly(place, outline - np.array([cols.start, rows.start], dtype=np.int32), 1)
        if (place & crowded[window]).any():
            continue
        _crowd(crowded, window, place)
        return SceneObject(
            class_index=int(rng.integers(knobs.object_classes)),
            outline=outline,
            angle=angle,
            phase=float(rng.uniform(0, 2 * np.pi)),
            colour=rng.uniform(0.25, 0.75, size=3).astype(np.float32),
            contrast=float(rng.uniform(0.15, 0.25)),
        )
    return None


def _is_middle_taken(crowded: UInt8Array, centre: tuple[float, float], side: float) -> bool:
    """Whether a square that lies within a rectangle, however it is turned, is taken: most tries end here, cheaply."""
    reach = max(0, int((side / 2 - 2) * 0.7))  # 2 pixels less, since corners and centre are rounded
    x, y = round(centre[0]), round(centre[1])
    return bool(crowded[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].any())


def _window_of(outline: Int32Array, size: int) -> Window:
    """Returns the smallest window of the frame that holds an outline whose middle is in the frame."""
    x, y = outline.T.tolist()
    return slice(max(min(y), 0), min(max(y) + 1, size)), slice(max(min(x), 0), min(max(x) + 1, size))


def _crowd(crowded: UInt8Array, window: Window, place: UInt8Array) -> None:
    """Marks a place and GAP pixels around it."""
    rows, cols = window
    wide = cv2.copyMakeBorder(place, GAP, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=(0,))
    wide = cv2.dilate(wide, np.ones((2 * GAP + 1, 2 * GAP + 1), np.uint8))
    top, left = min(GAP, rows.start), min(GAP, cols.start)
    seen = crowded[rows.start - top : rows.stop + GAP, cols.start - left : cols.stop + GAP]
    seen |= wide[GAP - top :, GAP - left :][: seen.shape[0], : seen.shape[1]]


def _corners(centre: tuple[float, float], sides: tuple[float, float], angle: float) -> Float32Array:
    """Returns the corners (x, y) of a rotated rectangle, shape (4, 2).

    It is OpenCV's boxPoints, sum by sum: compilers may reorder or fuse those, and OpenCV's versions do.
    """
    radians = float(np.float32(np.degrees(angle))) * math.pi / 180.0
    sine, cosine = np.array([math.sin(radians), math.cos(radians)], dtype=np.float32) * np.float32(0.5)
    width, height = np.array(sides, dtype=np.float32)
    down = np.array([sine * height, -cosine * height], dtype=np.float32)
    across = np.array([cosine * width, sine * width], dtype=np.float32)
    return np.asarray((np.array(centre, dtype=np.float32) + _DOWN * down) + _ACROSS * across)


def _stamp(owner: UInt8Array, objects: list[SceneObject], margin: int = 0) -> None:
    """Fills in each object's position + 1 where it stands."""
    for position, item in enumerate(objects):
        cv2.fillConvexPoly(owner, item.outline + margin, position + 1)


def _moved_owner(first: UInt8Array, objects: list[SceneObject], offset: Offset) -> UInt8Array:
    """Returns the owners of an acquisition that sees the objects elsewhere: the first one's, shifted.

    What comes in at an edge is filled on a larger canvas; OpenCV draws the very same outline otherwise by a pixel where
    the frame cuts it, so that filling it at its new place would be no shift.
    """
    if offset == (0, 0):
        return first
    size, margin = len(first), max(abs(step) for step in offset)
    canvas = np.zeros((size + 2 * margin, size + 2 * margin), dtype=np.uint8)
    _stamp(canvas, objects, margin)
    canvas[margin : margin + size, margin : margin + size] = first
    top, left = margin - offset[0], margin - offset[1]
    return canvas[top : top + size, left : left + size].copy()


def _weighted_classes(
    objects: list[SceneObject], weights: tuple[float, ...], rng: np.random.Generator
) -> list[SceneObject]:
    limits = np.cumsum(weights)
    drawn = np.searchsorted(limits, rng.random(len(objects)) * limits[-1], side="right")
    return [replace(item, class_index=int(each)) for item, each in zip(objects, drawn, strict=True)]


def _choose_objects(sizes: NDArray[np.int64], extent: float, rng: np.random.Generator) -> BoolArray:
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


def _choose_region(
    sizes: NDArray[np.int64], objects: list[SceneObject], size: int, extent: float, rng: np.random.Generator
) -> BoolArray:
    """Returns which objects change: all within the circle around a drawn point that comes closest to `extent`."""
    chosen = np.zeros(len(sizes), dtype=bool)
    middle = rng.integers(0, 4 * size, size=2)
    centres = np.array([item.outline.sum(axis=0) for item in objects], dtype=np.int64).reshape(-1, 2)
    order = np.argsort(((centres - middle) ** 2).sum(axis=1), kind="stable")
    order = order[sizes[order] > 0]
    if len(order):
        misses = np.abs(np.cumsum(sizes[order]) - extent * sizes.sum())
        chosen[order[: int(np.argmin(misses)) + 1]] = True
    return chosen
