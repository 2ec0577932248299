"""xBD: building damage before and after disasters, from its official tree (Gupta et al., 2019, arXiv 1911.09296)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes.byte_cache import SOURCE_BYTES, ByteCache
from pairlab.scenes.folder import check_inside
from pairlab.scenes.no_data import MIN_BLACK_PIXELS, large_areas
from pairlab.scenes.png import decode_png
from pairlab.scenes.scene import (
    IGNORE,
    RGB,
    Attribute,
    Bands,
    BoolArray,
    ChangeMaps,
    Int16Array,
    LabelFacts,
    Outline,
    Pixels,
    Scene,
    SceneError,
    SceneFiles,
    SceneObjects,
    UInt8Array,
)
from pairlab.scenes.xbd_files import ACQUISITIONS, list_xbd, tree_root
from pairlab.scenes.xbd_labels import NO_DAMAGE, SUBTYPES, UNCLASSIFIED, Label, paint, read_label, tile_centre

DamageFrom = Literal["minor-damage", "major-damage", "destroyed"]
CLASSES: Mapping[LabelScheme, tuple[str, ...]] = {
    "building": ("background", "building"),
    "intact_damaged": ("background", "intact", "damaged"),
    "damage_levels": ("background", *SUBTYPES[:4]),
}
_BLACK = (0, 0, 0)
_UNCHANGED, _CHANGED, _UNKNOWN = 1, 2, 3


def open_xbd(
    folder: Path,
    *,
    damage_from: DamageFrom,
    scenes: Sequence[Scene] | None = None,
    cache_bytes: int = SOURCE_BYTES,
) -> "XbdSource":
    """Returns the scenes of an xBD tree; nothing is written anywhere.

    Args:
        folder: holds `{train,tier3,test,hold}/{images,labels}`.
        damage_from: the damage level from which a building counts as changed and as damaged.
        scenes: from an index, so that the folder need not be looked at; None lists it and leaves out the tiles that
            cannot be used.
        cache_bytes: what may be kept in memory.

    Raises:
        SceneError: as `list_xbd`.
    """
    root = tree_root(folder)
    chosen = list_xbd(root).scenes if scenes is None else scenes
    return XbdSource(root, chosen, damage_from=damage_from, cache_bytes=cache_bytes)


class XbdSource:
    """xBD as scenes of two acquisitions, `pre` and `post`.

    Format: 8-bit RGB PNGs `<event>_<8 digits>_{pre,post}_disaster.png` and, per image, a JSON of polygons in pixels.
    Label schemes: building (0 background, 1 building), intact_damaged (0 background, 1 intact, 2 damaged: at or above
    `damage_from`), damage_levels (0 background, 1 no-damage, 2 minor-damage, 3 major-damage, 4 destroyed). Before the
    disaster every building is intact. Un-classified buildings are IGNORE, or intact or a last class where asked for.

    Relevant change: buildings joined by uid, intact before, at or above `damage_from` after, on the post footprint.
    Unknown: un-classified buildings, and buildings outlined on one date only.

    Images, masks and change maps are kept while they are in use, within fixed numbers of bytes. Arrays from `image` and
    `change` are shared and therefore read-only. Threads may share a source.
    """

    def __init__(
        self, root: Path, scenes: Sequence[Scene], *, damage_from: DamageFrom, cache_bytes: int = SOURCE_BYTES
    ) -> None:
        self._root = root
        self._damaged_code = SUBTYPES.index(damage_from) + 1
        self._scenes = tuple(scenes)
        self._names = frozenset(scene.name for scene in scenes)
        # 85 images, 64 masks and 32 change maps of 1024²: the sample fits, the rest comes and goes.
        self._images: ByteCache[UInt8Array] = ByteCache(cache_bytes // 2, size_of=lambda image: image.nbytes)
        self._codes: ByteCache[UInt8Array] = ByteCache(cache_bytes // 8, size_of=lambda codes: codes.nbytes)
        self._changes: ByteCache[ChangeMaps] = ByteCache(cache_bytes // 4, size_of=lambda maps: 4 * maps.valid.nbytes)
        self._labels: ByteCache[Label] = ByteCache(cache_bytes // 32, size_of=lambda label: label.nbytes)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, by name."""
        return self._scenes

    @property
    def bands(self) -> Bands:
        """Red, green and blue."""
        return RGB

    @property
    def object_classes(self) -> tuple[str, ...]:
        """Damage levels as xBD publishes them."""
        return SUBTYPES

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:
        """Returns the class names of a label scheme; index 0 is the background."""
        if scheme not in CLASSES:
            raise SceneError(f"xBD has no label scheme {scheme!r}: choose one of {', '.join(CLASSES)}")
        own = unclassified == "own-class" and scheme != "building"
        return (*CLASSES[scheme], SUBTYPES[UNCLASSIFIED - 1]) if own else CLASSES[scheme]

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        """Returns the image as uint8 RGB of shape (height, width, 3), read-only."""
        files = self._files(scene, acquisition)
        if state not in (None, acquisition):
            raise SceneError(
                f"{scene.name} is a photograph and cannot be rendered again in state {state!r}: "
                "only synthetic scenes can; choose control masked"
            )
        return self._images.get((scene.name, acquisition), lambda: self._decoded(scene, files.image))

    def mask(
        self, scene: Scene, acquisition: str, scheme: LabelScheme, *, unclassified: Unclassified = "ignore"
    ) -> UInt8Array:
        """Returns class indices of shape (height, width), uint8, IGNORE where unlabelled.

        Args:
            scene: one of `scenes`.
            acquisition: pre or post.
            scheme: building, intact_damaged or damage_levels.
            unclassified: whether un-classified buildings are left out (IGNORE), count as intact, or are a class of
                their own behind the others. Of scheme building they are buildings unless they are left out.
        """
        names = self.classes(scheme, unclassified=unclassified)
        levels = range(NO_DAMAGE, UNCLASSIFIED)
        if scheme == "building":
            table = [0, *(1 for _ in levels)]
        elif scheme == "intact_damaged":
            table = [0, *(2 if code >= self._damaged_code else 1 for code in levels)]
        else:
            table = [0, *levels]
        own = len(names) - 1 if scheme != "building" else 1
        table.append({"ignore": IGNORE, "no-damage": table[NO_DAMAGE], "own-class": own}[unclassified])
        return np.array(table, dtype=np.uint8)[self._painted_codes(scene, acquisition)]

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:
        """Returns the relevant change between pre and post, read-only; `pixels` False takes all of them as valid."""
        if not pixels:
            return self._compared(scene)  # asked once per scene: what is kept would push the memory out that is at hand
        return self._changes.get(scene.name, lambda: replace(self._compared(scene), valid=self._with_data(scene)))

    def no_data(self, image: Pixels) -> BoolArray:
        """Returns where an image has no data, bool of shape (height, width)."""
        return no_data(image)

    def label_facts(self, scene: Scene) -> LabelFacts:
        """Returns buildings, place and what both labels say of their images; checks both labels on the way."""
        before, after = (self._label(scene, date) for date in ACQUISITIONS)
        x, y = after.polygons.centroids(len(after.buildings)).T
        places = (tile_centre(label, height=scene.height, width=scene.width) for label in (after, before))
        return LabelFacts(
            objects=SceneObjects(
                y=_int16(y),
                x=_int16(x),
                kind=np.array([building.code - 1 for building in after.buildings], dtype=np.uint8),
            ),
            attributes=xbd_attributes(scene, before.metadata, after.metadata),
            location=next((place for place in places if place is not None), None),
        )

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        """Returns what the label file says of the image."""
        return self._label(scene, acquisition).metadata

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        """Returns the buildings of an acquisition."""
        buildings = self._label(scene, acquisition).buildings
        return [Outline(building.uid, SUBTYPES[building.code - 1], building.rings) for building in buildings]

    def _label(self, scene: Scene, acquisition: str) -> Label:
        name = self._files(scene, acquisition).label
        if name is None:
            raise SceneError(f"{scene.name} has no label of {acquisition}: register the dataset again")

        def make() -> Label:
            path = check_inside(self._root, name)
            return read_label(path, name=name, acquisition=acquisition, height=scene.height, width=scene.width)

        return self._labels.get(name, make)

    def _files(self, scene: Scene, acquisition: str) -> SceneFiles:
        if scene.name not in self._names:
            raise SceneError(f"no scene {scene.name!r} in this dataset: choose one of its {len(self._names)} scenes")
        if acquisition not in ACQUISITIONS:
            raise SceneError(f"{scene.name} has no acquisition {acquisition!r}: choose pre or post")
        return scene.files[acquisition]

    def _decoded(self, scene: Scene, name: str) -> UInt8Array:
        image = decode_png(check_inside(self._root, name), name=name)
        if image.shape[:2] != (scene.height, scene.width):
            raise SceneError(
                f"{name} has {image.shape[1]} × {image.shape[0]} pixels, but had {scene.width} × {scene.height} when "
                "the dataset was indexed: index it again"
            )
        image.setflags(write=False)
        return image

    def _painted_codes(self, scene: Scene, acquisition: str) -> UInt8Array:
        """Returns the codes of xbd_labels, 0 where there is no building."""

        def make() -> UInt8Array:
            label = self._label(scene, acquisition)
            codes = [building.code for building in label.buildings]
            return paint(label, codes, height=scene.height, width=scene.width)

        return self._codes.get((scene.name, acquisition), make)

    def _compared(self, scene: Scene) -> ChangeMaps:
        before, after = (self._label(scene, date) for date in ACQUISITIONS)
        if not before.buildings and not after.buildings:  # as in a quarter of all tiles
            nowhere = _nowhere(scene.height, scene.width)
            return ChangeMaps(nowhere, nowhere, nowhere, valid=_everywhere(scene.height, scene.width))
        known_before, known_after = ({building.uid for building in label.buildings} for label in (before, after))
        states = [
            _UNKNOWN
            if building.code == UNCLASSIFIED or building.uid not in known_before
            else _CHANGED
            if building.code >= self._damaged_code
            else _UNCHANGED
            for building in after.buildings
        ]
        height, width = scene.height, scene.width
        painted = paint(after, states, height=height, width=width)
        standing = paint(before, [1] * len(before.buildings), height=height, width=width)
        gone = [int(building.uid not in known_after) for building in before.buildings]
        unknown = painted == _UNKNOWN if _UNKNOWN in states else _nowhere(height, width)
        if any(gone):
            unknown = unknown | ((paint(before, gone, height=height, width=width) > 0) & (painted == 0))
        maps = ChangeMaps(
            changed=painted == _CHANGED if _CHANGED in states else _nowhere(height, width),
            objects=(standing | painted) > 0,
            unknown=unknown,
            valid=_everywhere(height, width),
        )
        for array in (maps.changed, maps.objects, maps.unknown):
            array.setflags(write=False)
        return maps

    def _with_data(self, scene: Scene) -> BoolArray:
        valid = ~(no_data(self.image(scene, "pre")) | no_data(self.image(scene, "post")))
        valid.setflags(write=False)
        return valid


@lru_cache(maxsize=8)
def _everywhere(height: int, width: int) -> BoolArray:
    """Returns a map that is true everywhere, read-only: tiles of one size share it."""
    everywhere = np.ones((height, width), dtype=np.bool_)
    everywhere.setflags(write=False)
    return everywhere


@lru_cache(maxsize=8)
def _nowhere(height: int, width: int) -> BoolArray:
    """Returns a map that is false everywhere, read-only."""
    nowhere = np.zeros((height, width), dtype=np.bool_)
    nowhere.setflags(write=False)
    return nowhere


def no_data(image: Pixels) -> BoolArray:
    """Returns where an RGB image has no data, bool of shape (height, width), read-only where all of it has.

    These are the black strips of tiles on the edge of a satellite's swath: exactly black in all bands, in connected
    areas of at least MIN_BLACK_PIXELS.
    """
    height, width, bands = image.shape
    zeros = image.size - cv2.countNonZero(image.reshape(height, width * bands))
    if zeros < bands * MIN_BLACK_PIXELS:
        return _nowhere(height, width)  # nearly every image; the exact look takes ten times as long
    return large_areas(cv2.inRange(image, _BLACK, _BLACK) > 0)


def xbd_attributes(scene: Scene, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Attribute]:
    """Returns the columns that tiles are filtered by, from their labels' metadata; None where it says nothing."""
    folder = scene.files["pre"].image.partition("/")[0]
    columns: dict[str, Attribute] = {"folder": folder, "disaster_type": _text(after.get("disaster_type"))}
    for date, metadata in zip(ACQUISITIONS, (before, after), strict=True):
        columns[f"{date}_sensor"] = _text(metadata.get("sensor"))
        columns[f"{date}_date"] = (_text(metadata.get("capture_date")) or "")[:10] or None
        for name in ("off_nadir_angle", "sun_elevation", "sun_azimuth", "gsd"):
            columns[f"{date}_{name}"] = _number(metadata.get(name))
    angles = columns["pre_off_nadir_angle"], columns["post_off_nadir_angle"]
    known = isinstance(angles[0], float) and isinstance(angles[1], float)
    columns["off_nadir_difference"] = abs(float(angles[1]) - float(angles[0])) if known else None  # type: ignore[arg-type]
    return columns


def _int16(values: NDArray[np.float64]) -> Int16Array:
    """Returns rounded coordinates; what lies farther off than int16 reaches is outside of every tile anyway."""
    return np.clip(np.round(values), -32_768, 32_767).astype(np.int16)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if is_number else None  # type: ignore[arg-type]
