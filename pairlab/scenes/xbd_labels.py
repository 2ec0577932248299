"""xBD label files: buildings as polygons with a damage level, and how they become pixels."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pairlab.scenes.scene import SceneError, UInt8Array

Int32Array = NDArray[np.int32]

SUBTYPES = ("no-damage", "minor-damage", "major-damage", "destroyed", "un-classified")
"""Damage levels as xBD publishes them; a building's code is its position here, counted from 1."""
NO_DAMAGE = 1
UNCLASSIFIED = 5

MAX_LABEL_BYTES = 128 * 2**20
MAX_COORDINATE = 65_536.0
"""Farthest a polygon may lie from the tile's corner, pixels. Real ones reach a few pixels past the edge; OpenCV walks
every row of a polygon, so that one of 1e9 pixels keeps a processor busy for seconds."""

_CODES = {subtype: code for code, subtype in enumerate(SUBTYPES, start=1)}
_POLYGON, _MULTIPOLYGON = 3, 6
"""Geometry types as shapely numbers them."""


@dataclass(frozen=True, slots=True)
class Building:
    """One building in one acquisition."""

    uid: str
    """Joins the acquisitions of a tile."""
    code: int
    """0 < code ≤ 5, see SUBTYPES; before the disaster always NO_DAMAGE."""
    rings: tuple[Int32Array, ...]
    """Outline and holes, each (vertices, 2): x and y in pixels, rounded."""


@dataclass(frozen=True, slots=True)
class Label:
    """What one label file says."""

    metadata: Mapping[str, Any]
    """Sensor, capture date, angles, …: the file's `metadata`, plain values only."""
    buildings: tuple[Building, ...]
    """In file order; later ones lie on top."""

    @property
    def nbytes(self) -> int:
        """Memory it holds, roughly."""
        return 4_000 + sum(300 + sum(ring.nbytes + 120 for ring in building.rings) for building in self.buildings)


def read_label(path: Path, *, name: str, acquisition: str, height: int, width: int) -> Label:
    """Returns the content of a label file.

    Args:
        path: the file.
        name: what messages call it.
        acquisition: pre or post; post buildings need a subtype, pre buildings count as intact.
        height: of its image, pixels.
        width: of its image, pixels.

    Raises:
        SceneError: broken JSON, another size than the image's, a building without uid or subtype, an unknown subtype,
            invalid WKT.
    """
    content = _read_json(path, name=name)
    features = content.get("features")
    entries = features.get("xy") if isinstance(features, dict) else None
    if not isinstance(entries, list):
        raise SceneError(f"{name} has no list features.xy of buildings in pixels: put the original label in its place")
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    described = metadata.get("width", width), metadata.get("height", height)
    if described != (width, height):
        raise SceneError(
            f"{name} describes {_short(described[0])} × {_short(described[1])} pixels, but its image has "
            f"{width} × {height}: put label and image of the same tile together"
        )
    properties = [_properties(entry, name=name, position=position) for position, entry in enumerate(entries)]
    codes = [NO_DAMAGE if acquisition == "pre" else _code(values, name=name) for values in properties]
    rings = _rings(entries, [values["uid"] for values in properties], name=name)
    return Label(
        metadata={key: value for key, value in metadata.items() if _is_plain(key) and _is_plain(value)},
        buildings=tuple(
            Building(uid=values["uid"], code=code, rings=outline)
            for values, code, outline in zip(properties, codes, rings, strict=True)
        ),
    )


def paint(label: Label, values: Sequence[int], *, height: int, width: int) -> UInt8Array:
    """Returns uint8 of shape (height, width): each building's value on its pixels, later ones on top, 0 elsewhere.

    OpenCV's fill of rounded vertices is the rule that reproduces xBD's own target masks; what lies outside is cut off.
    """
    mask = np.zeros((height, width), dtype=np.uint8)
    for building, value in zip(label.buildings, values, strict=True):
        if building.rings:
            cv2.fillPoly(mask, building.rings, value)
    return mask


def _read_json(path: Path, *, name: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LABEL_BYTES + 1)
    except OSError as error:
        raise SceneError(f"{name} cannot be read ({error.strerror}): check that it may be read") from error
    if len(data) > MAX_LABEL_BYTES:
        raise SceneError(f"{name} has more than the {MAX_LABEL_BYTES} bytes that are read of a label: split the tile")
    try:
        # NaN and Infinity are no JSON; as a missing value they can do no harm.
        content = json.loads(data, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{name} is not valid JSON ({error}): copy the file again") from error
    if not isinstance(content, dict):
        raise SceneError(f"{name} is no xBD label: expected features and metadata, found {_short(content)}")
    return content


def _properties(entry: object, *, name: str, position: int) -> dict[str, Any]:
    properties = entry.get("properties") if isinstance(entry, dict) else None
    if not isinstance(properties, dict):
        raise SceneError(f"{name}: features.xy[{position}] has no properties: expected feature_type, subtype and uid")
    uid = properties.get("uid")
    if not isinstance(uid, str) or not uid:
        raise SceneError(
            f"{name}: features.xy[{position}] has no uid, which joins a building's pre and post outline: "
            "put the original label in its place"
        )
    feature_type = properties.get("feature_type", "building")
    if feature_type != "building":
        raise SceneError(f"{name}: {_short(uid)} has feature_type {_short(feature_type)}; xBD labels buildings only")
    return properties


def _code(properties: Mapping[str, Any], *, name: str) -> int:
    uid = _short(properties["uid"])
    if "subtype" not in properties:
        raise SceneError(f"{name}: building {uid} has no subtype: give one of {', '.join(SUBTYPES)}")
    subtype = properties["subtype"]
    code = _CODES.get(subtype) if isinstance(subtype, str) else None
    if code is None:
        raise SceneError(
            f"{name}: building {uid} has unknown subtype {_short(subtype)}: give one of {', '.join(SUBTYPES)}"
        )
    return code


def _rings(entries: Sequence[Mapping[str, Any]], uids: Sequence[str], *, name: str) -> list[tuple[Int32Array, ...]]:
    """Returns the rings of each building; all polygons of a label are parsed at once, which is twice as fast."""
    texts = [entry.get("wkt") for entry in entries]
    # The parser raises on half a surrogate pair, which JSON can hold; no WKT needs more than ASCII.
    strings = np.array([text if isinstance(text, str) and text.isascii() else "" for text in texts], dtype=object)
    with np.errstate(all="ignore"):  # NaN and numbers past float64 are refused below
        polygons = shapely.from_wkt(strings, on_invalid="ignore")
    bad = np.flatnonzero(~np.isin(shapely.get_type_id(polygons), (_POLYGON, _MULTIPOLYGON)))
    if len(bad):
        raise SceneError(
            f"{name}: building {_short(uids[bad[0]])} has invalid WKT {_short(texts[bad[0]])}: "
            "expected POLYGON ((x y, x y, …)) in pixels, closed"
        )
    parts, building_of_part = shapely.get_parts(polygons, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    building_of_ring = building_of_part[part_of_ring]
    wild = np.flatnonzero(~(np.abs(points) <= MAX_COORDINATE).all(axis=1))  # NaN compares false, so it is wild too
    if len(wild):
        uid = uids[building_of_ring[ring_of_point[wild[0]]]]
        raise SceneError(
            f"{name}: building {_short(uid)} has invalid WKT: the point {points[wild[0]].tolist()} lies farther than "
            f"{MAX_COORDINATE:.0f} pixels from the tile"
        )
    rounded = np.round(points).astype(np.int32)
    ends = np.searchsorted(ring_of_point, np.arange(len(rings)), side="right")
    grouped: list[list[Int32Array]] = [[] for _ in entries]
    start = 0
    for building, end in zip(building_of_ring.tolist(), ends.tolist(), strict=True):
        grouped[building].append(rounded[start:end])
        start = end
    return [tuple(outline) for outline in grouped]


def _is_plain(value: object) -> bool:
    """Whether the value can be shown and sent on as JSON: no nesting, no infinity, no half characters."""
    if isinstance(value, str):
        return value.isprintable()
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
