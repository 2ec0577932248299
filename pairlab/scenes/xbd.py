"""xBD: building damage before and after disasters, from its official tree (Gupta et al., 2019, arXiv 1911.09296)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from pairlab.experiment.protocols import LabelScheme
from pairlab.scenes.byte_cache import ByteCache
from pairlab.scenes.png import decode_png
from pairlab.scenes.scene import IGNORE, BoolArray, ChangeMaps, Scene, SceneError, UInt8Array
from pairlab.scenes.xbd_files import (
    ACQUISITIONS,
    SPLIT_OF_FOLDER,
    Tile,
    image_name,
    label_name,
    list_tiles,
    tree_root,
    xbd_fingerprint,
)
from pairlab.scenes.xbd_labels import NO_DAMAGE, SUBTYPES, UNCLASSIFIED, Label, paint, read_label

__all__ = ["XbdSource", "no_data", "open_xbd", "xbd_fingerprint"]

DamageFrom = Literal["minor-damage", "major-damage", "destroyed"]
CLASSES: Mapping[LabelScheme, tuple[str, ...]] = {
    "building": ("background", "building"),
    "intact_damaged": ("background", "intact", "damaged"),
    "damage_levels": ("background", *SUBTYPES[:4]),
}
LABELS_READ_AT_ONCE = 2000
"""So many labels are checked when the dataset is opened, about a second; beyond that, each when it is needed."""
MIN_NO_DATA_PIXELS = 256
"""Smallest connected black area that counts as no data; smaller ones are shadows and dark roofs."""

_UNCHANGED, _CHANGED, _UNKNOWN = 1, 2, 3
_MEBIBYTE = 2**20


def open_xbd(folder: Path, *, damage_from: DamageFrom) -> "XbdSource":
    """Returns the scenes of an xBD tree without decoding an image; nothing is written anywhere.

    File names, pairs of images, and the first and last bytes of each image are checked here, and the content of all
    labels where there are at most LABELS_READ_AT_ONCE; what is found later raises the same errors then.

    Args:
        folder: holds `{train,tier3,test,hold}/{images,labels}`; tier3 counts as train, hold as validation.
        damage_from: the damage level from which a building counts as changed and as damaged.

    Raises:
        SceneError: names the first file that cannot be used, what is wrong with it and what to do.
    """
    root = tree_root(folder)
    tiles, warnings = list_tiles(root)
    source = XbdSource(root, tiles, damage_from=damage_from, warnings=warnings)
    if len(tiles) * len(ACQUISITIONS) <= LABELS_READ_AT_ONCE:
        source.warnings = warnings + source.check_labels()
    return source


class XbdSource:
    """xBD as scenes of two acquisitions, `pre` and `post`.

    Format: 8-bit RGB PNGs `<event>_<8 digits>_{pre,post}_disaster.png` and, per image, a JSON of polygons in pixels.
    Label schemes: building (0 background, 1 building), intact_damaged (0 background, 1 intact, 2 damaged: at or above
    `damage_from`), damage_levels (0 background, 1 no-damage, 2 minor-damage, 3 major-damage, 4 destroyed). Before the
    disaster every building is intact. Un-classified buildings are IGNORE, or intact where asked for.

    Relevant change: buildings joined by uid, intact before, at or above `damage_from` after, on the post footprint.
    Unknown: un-classified buildings, and buildings outlined on one date only.

    Images, masks and change maps are kept while they are in use, within fixed numbers of bytes. Arrays from `image` and
    `change` are shared and therefore read-only. Threads may share a source.
    """

    def __init__(
        self, root: Path, tiles: tuple[Tile, ...], *, damage_from: DamageFrom, warnings: tuple[str, ...] = ()
    ) -> None:
        self.warnings = warnings
        self._root = root
        self._damaged_code = SUBTYPES.index(damage_from) + 1
        self._folders = {tile.name: tile.folder for tile in tiles}
        self._scenes = tuple(
            Scene(
                name=tile.name,
                split=SPLIT_OF_FOLDER[tile.folder],
                event=tile.event,
                acquisitions=ACQUISITIONS,
                height=tile.height,
                width=tile.width,
                metadata=_Metadata(self, tile),
            )
            for tile in tiles
        )
        # 85 images, 64 masks and 32 change maps of 1024²: the sample fits, the rest comes and goes.
        self._images: ByteCache[UInt8Array] = ByteCache(256 * _MEBIBYTE, size_of=lambda image: image.nbytes)
        self._codes: ByteCache[UInt8Array] = ByteCache(64 * _MEBIBYTE, size_of=lambda codes: codes.nbytes)
        self._changes: ByteCache[ChangeMaps] = ByteCache(128 * _MEBIBYTE, size_of=lambda maps: 4 * maps.valid.nbytes)
        self._labels: ByteCache[Label] = ByteCache(16 * _MEBIBYTE, size_of=lambda label: label.nbytes)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, by name."""
        return self._scenes

    def classes(self, scheme: LabelScheme) -> tuple[str, ...]:
        """Returns the class names of a label scheme; index 0 is the background."""
        if scheme not in CLASSES:
            raise SceneError(f"xBD has no label scheme {scheme!r}: choose one of {', '.join(CLASSES)}")
        return CLASSES[scheme]

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        """Returns the image as uint8 RGB of shape (height, width, 3), read-only."""
        folder = self._folder(scene, acquisition)
        if state not in (None, acquisition):
            raise SceneError(
                f"{scene.name} is a photograph and cannot be rendered again in state {state!r}: "
                "only synthetic scenes can; choose control masked"
            )
        return self._images.get((scene.name, acquisition), lambda: self._decoded(scene, folder, acquisition))

    def mask(
        self,
        scene: Scene,
        acquisition: str,
        scheme: LabelScheme,
        *,
        unclassified: Literal["ignore", "no-damage"] = "ignore",
    ) -> UInt8Array:
        """Returns class indices of shape (height, width), uint8, IGNORE where unlabelled.

        Args:
            scene: one of `scenes`.
            acquisition: pre or post.
            scheme: building, intact_damaged or damage_levels.
            unclassified: whether un-classified buildings are left out (IGNORE), or count as intact.
        """
        self.classes(scheme)
        levels = range(NO_DAMAGE, UNCLASSIFIED)
        if scheme == "building":
            table = [0, *(1 for _ in levels)]
        elif scheme == "intact_damaged":
            table = [0, *(2 if code >= self._damaged_code else 1 for code in levels)]
        else:
            table = [0, *levels]
        table.append(IGNORE if unclassified == "ignore" else table[NO_DAMAGE])
        return np.array(table, dtype=np.uint8)[self._painted_codes(scene, acquisition)]

    def change(self, scene: Scene) -> ChangeMaps:
        """Returns the relevant change between pre and post, read-only."""
        return self._changes.get(scene.name, lambda: self._compared(scene))

    def check_labels(self) -> tuple[str, ...]:
        """Reads every label and returns what is worth knowing, in sentences; raises SceneError at a bad one."""
        empty, alone = 0, 0
        for scene in self._scenes:
            before, after = ({building.uid for building in self._label(scene, date).buildings} for date in ACQUISITIONS)
            empty += not before and not after
            alone += len(before ^ after)
        warnings = []
        if empty:
            warnings.append(f"{empty} of {len(self._scenes)} tiles have no building")
        if alone:
            warnings.append(f"{alone} buildings are outlined on one date only; their change is unknown")
        return tuple(warnings)

    def metadata_of(self, tile: Tile, acquisition: str) -> Mapping[str, Any]:
        """Returns what the label file says of the image."""
        return self._read(tile.folder, tile.name, acquisition, height=tile.height, width=tile.width).metadata

    def _label(self, scene: Scene, acquisition: str) -> Label:
        folder = self._folder(scene, acquisition)
        return self._read(folder, scene.name, acquisition, height=scene.height, width=scene.width)

    def _read(self, folder: str, tile: str, acquisition: str, *, height: int, width: int) -> Label:
        name = label_name(folder, tile, acquisition)
        return self._labels.get(
            name,
            lambda: read_label(self._root / name, name=name, acquisition=acquisition, height=height, width=width),
        )

    def _folder(self, scene: Scene, acquisition: str) -> str:
        folder = self._folders.get(scene.name)
        if folder is None:
            raise SceneError(f"no scene {scene.name!r} in this dataset: choose one of its {len(self._folders)} scenes")
        if acquisition not in ACQUISITIONS:
            raise SceneError(f"{scene.name} has no acquisition {acquisition!r}: choose pre or post")
        return folder

    def _decoded(self, scene: Scene, folder: str, acquisition: str) -> UInt8Array:
        name = image_name(folder, scene.name, acquisition)
        image = decode_png(self._root / name, name=name)
        if image.shape[:2] != (scene.height, scene.width):
            raise SceneError(
                f"{name} has {image.shape[1]} × {image.shape[0]} pixels, but had {scene.width} × {scene.height} when "
                "the dataset was opened: open it again"
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
        known_before, known_after = ({building.uid for building in label.buildings} for label in (before, after))
        states = [
            _UNKNOWN
            if building.code == UNCLASSIFIED or building.uid not in known_before
            else _CHANGED
            if building.code >= self._damaged_code
            else _UNCHANGED
            for building in after.buildings
        ]
        painted = paint(after, states, height=scene.height, width=scene.width)
        gone = [int(building.uid not in known_after) for building in before.buildings]
        unknown = painted == _UNKNOWN
        if any(gone):
            unknown |= (paint(before, gone, height=scene.height, width=scene.width) > 0) & (painted == 0)
        maps = ChangeMaps(
            changed=painted == _CHANGED,
            objects=(self._painted_codes(scene, "pre") > 0) | (painted > 0),
            unknown=unknown,
            valid=~(no_data(self.image(scene, "pre")) | no_data(self.image(scene, "post"))),
        )
        for array in (maps.changed, maps.objects, maps.unknown, maps.valid):
            array.setflags(write=False)
        return maps


def no_data(image: UInt8Array) -> BoolArray:
    """Returns where an RGB image of shape (height, width, 3) has no data, bool of shape (height, width).

    These are the black strips of tiles on the edge of a satellite's swath: exactly black in all bands, in connected
    areas of at least MIN_NO_DATA_PIXELS.
    """
    black = cv2.inRange(image, (0, 0, 0), (0, 0, 0))
    if cv2.countNonZero(black) < MIN_NO_DATA_PIXELS:
        return np.zeros(image.shape[:2], dtype=np.bool_)
    _, areas, statistics, _ = cv2.connectedComponentsWithStats(black)
    large = np.asarray(statistics[:, cv2.CC_STAT_AREA] >= MIN_NO_DATA_PIXELS)
    large[0] = False  # everything that is not black
    return np.asarray(large[areas], dtype=np.bool_)


class _Metadata(Mapping[str, Mapping[str, Any]]):
    """What xBD says of each acquisition, read from the label file when it is asked for."""

    def __init__(self, source: XbdSource, tile: Tile) -> None:
        self._source = source
        self._tile = tile

    def __getitem__(self, acquisition: str) -> Mapping[str, Any]:
        if acquisition not in ACQUISITIONS:
            raise KeyError(acquisition)
        return self._source.metadata_of(self._tile, acquisition)

    def __iter__(self) -> Iterator[str]:
        return iter(ACQUISITIONS)

    def __len__(self) -> int:
        return len(ACQUISITIONS)
