"""xBD label files: buildings as polygons with a damage level, and how they become pixels."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.folder import open_regular
from pairlab.scenes.places import on_the_plane
from pairlab.scenes.scene import SceneError, UInt8Array
from pairlab.scenes.wkt import PolygonError, Polygons, read_polygons

Int32Array = NDArray[np.int32]
Place = tuple[float, float]
"""x (east) and y (north) in metres."""

SUBTYPES = ("no-damage", "minor-damage", "major-damage", "destroyed", "un-classified")
"""Damage levels as xBD publishes them; a building's code is its position here, counted from 1."""
NO_DAMAGE = 1
UNCLASSIFIED = 5

MAX_LABEL_BYTES = 128 * 2**20
MAX_COORDINATE = 65_536.0
"""Farthest a polygon may lie from the tile's corner, pixels. Real ones reach a few pixels past the edge; OpenCV walks
every row of a polygon, so that one of 1e9 pixels keeps a processor busy for seconds."""

_JSON = json.JSONDecoder(parse_constant=lambda _: None)
"""NaN and Infinity are no JSON; as a missing value they can do no harm."""
_CODES = {subtype: code for code, subtype in enumerate(SUBTYPES, start=1)}


class Building(NamedTuple):
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
    polygons: Polygons
    """Of the buildings, not rounded."""
    degrees: object = None
    """What the file says of its first building's outline in degrees."""

    @property
    def nbytes(self) -> int:
        """Memory it holds, roughly: buildings have few corners."""
        return 4_000 + 450 * len(self.buildings) + 3 * self.polygons.points.nbytes


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
    features = features if isinstance(features, dict) else {}
    entries = features.get("xy")
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
    uids, codes = _buildings(entries, acquisition, name=name)
    polygons = _polygons([entry.get("wkt") for entry in entries], uids, name=name)
    places = features.get("lng_lat")
    first = places[0] if isinstance(places, list) and places else None
    return Label(
        metadata={key: value for key, value in metadata.items() if _is_plain(key) and _is_plain(value)},
        buildings=tuple(
            Building(uid, code, rings)
            for uid, code, rings in zip(uids, codes, _rounded_rings(polygons, len(entries)), strict=True)
        ),
        polygons=polygons,
        degrees=first.get("wkt") if isinstance(first, dict) else None,
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


def tile_centre(label: Label, *, height: int, width: int) -> Place | None:
    """Returns where the tile's centre lies, from its first building, which the label outlines in pixels and in degrees.

    The similarity that carries one outline onto the other fits the tile within metres. (`gsd` does not help: it is that
    of the sensor's multispectral bands, about four times the size of the image's pixels.)
    """
    try:
        degrees = read_polygons([label.degrees])
    except PolygonError:
        return None
    outline, (longitude, latitude) = label.polygons.first_outline, degrees.first_outline.T
    on_the_globe = (np.abs(longitude) <= 180).all() and (np.abs(latitude) <= 85).all()  # NaN compares false
    if len(outline) < 3 or len(outline) != len(longitude) or not on_the_globe:
        return None
    narrowing = np.cos(np.radians(latitude[0]))  # of a degree of longitude
    ground = (longitude - longitude[0]) * narrowing + 1j * (latitude - latitude[0])
    pixels = outline[:, 0] - 1j * outline[:, 1]
    spread = pixels - pixels.mean()
    per_pixel = np.vdot(spread, ground - ground.mean()) / max(float(np.vdot(spread, spread).real), 1e-9)
    if not 1e-7 < abs(per_pixel) < 1e-3:  # a centimetre to a hundred metres
        return None
    centre = ground.mean() + per_pixel * (width / 2 - 1j * height / 2 - pixels.mean())
    x, y = on_the_plane(longitude[0] + centre.real / narrowing, latitude[0] + centre.imag)
    return float(x), float(y)


def _read_json(path: Path, *, name: str) -> dict[str, Any]:
    try:
        with open_regular(path, name=name) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_LABEL_BYTES:
                raise SceneError(f"{name} has {size} bytes, more than the {MAX_LABEL_BYTES} read of a label: split it")
            data = file.read(size)
    except OSError as error:
        raise SceneError(f"{name} cannot be read ({error.strerror}): check that it may be read") from error
    try:
        content = _JSON.decode(data.decode(json.detect_encoding(data), "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{name} is not valid JSON ({error}): copy the file again") from error
    if not isinstance(content, dict):
        raise SceneError(f"{name} is no xBD label: expected features and metadata, found {_short(content)}")
    return content


def _buildings(entries: Sequence[Any], acquisition: str, *, name: str) -> tuple[list[str], list[int]]:
    """Returns uid and code of each building."""
    try:
        properties = [entry["properties"] for entry in entries]
        uids = [values["uid"] for values in properties]
        codes = [NO_DAMAGE if acquisition == "pre" else _CODES[values["subtype"]] for values in properties]
        kinds = {values.get("feature_type", "building") for values in properties}
        if kinds <= {"building"} and all(isinstance(uid, str) and uid for uid in uids):
            return uids, codes
    except (KeyError, TypeError, AttributeError, IndexError):
        pass
    # Something is missing: which, a look at one after the other tells.
    checked = [_properties(entry, name=name, position=position) for position, entry in enumerate(entries)]
    codes = [NO_DAMAGE if acquisition == "pre" else _code(values, name=name) for values in checked]
    return [values["uid"] for values in checked], codes


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


def _polygons(texts: Sequence[object], uids: Sequence[str], *, name: str) -> Polygons:
    try:
        polygons = read_polygons(texts)
    except PolygonError as error:
        raise SceneError(
            f"{name}: building {_short(uids[error.position])} has invalid WKT {_short(texts[error.position])}: "
            "expected POLYGON ((x y, x y, …)) in pixels, closed"
        ) from error
    points = polygons.points
    wild = np.flatnonzero(~(np.abs(points) <= MAX_COORDINATE).all(axis=1))  # NaN compares false, so it is wild too
    if len(wild):
        ring = np.searchsorted(polygons.ends, wild[0], side="right")
        raise SceneError(
            f"{name}: building {_short(uids[polygons.owner[ring]])} has invalid WKT: the point "
            f"{points[wild[0]].tolist()} lies farther than {MAX_COORDINATE:.0f} pixels from the tile"
        )
    return polygons


def _rounded_rings(polygons: Polygons, count: int) -> list[tuple[Int32Array, ...]]:
    """Returns the rings of each building, rounded to pixels."""
    rounded = np.round(polygons.points).astype(np.int32)
    rings: list[tuple[Int32Array, ...]] = [()] * count
    places = zip(polygons.owner.tolist(), polygons.starts.tolist(), polygons.ends.tolist(), strict=True)
    for owner, start, end in places:
        rings[owner] = (*rings[owner], rounded[start:end])
    return rings


def _is_plain(value: object) -> bool:
    """Whether the value can be shown and sent on as JSON: no nesting, no infinity, no half characters."""
    if isinstance(value, str):
        return value.isprintable()
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
