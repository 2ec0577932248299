"""Writes small trees in xBD's format: real PNGs and label files of invented places, drawn from a seed."""

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.places import EARTH_RADIUS

SUBTYPES = ("no-damage", "minor-damage", "major-damage", "destroyed", "un-classified")
EVENTS = ("testville-flooding", "sampleton-wildfire")
METRES_PER_PIXEL = 0.5
CAPTURED = {"pre": "2018-03-04T16:00:00.000Z", "post": "2018-09-10T16:00:00.000Z"}

Corners = NDArray[np.float64]


def write_xbd_tree(
    folder: Path,
    *,
    seed: int,
    scenes_per_split: Mapping[str, int] | None = None,
    size: int = 128,
    buildings: int = 10,
    events: Sequence[str] = EVENTS,
    targets: Sequence[str] = ("test",),
) -> list[str]:
    """Writes `{split}/{images,labels,targets}` and returns the tile names in the order written.

    Events take turns. In each split the third tile has no polygon (a split of fewer tiles has none such); every other
    tile shows all five subtypes, one building that runs past the edge, and one below 25 square pixels.

    Args:
        folder: made if missing.
        seed: equal seeds give equal bytes.
        scenes_per_split: split folder → tiles; by default train 6, hold 2, test 3.
        size: height and width, pixels.
        buildings: polygons of a tile, at least 6.
        events: invented ones.
        targets: split folders that also get target masks, as train, test and hold of xBD have them.

    Tiles with buildings lie where `place_of` says.
    """
    rng = np.random.default_rng(seed)
    names: list[str] = []
    for split, count in (scenes_per_split or {"train": 6, "hold": 2, "test": 3}).items():
        for position in range(count):
            name = f"{events[len(names) % len(events)]}_{len(names):08d}"
            names.append(name)
            outlines = [] if position == 2 else _outlines(rng, size, buildings)
            corner = place_of(len(names) - 1, size=size)
            write_tile(
                folder / split,
                name,
                rng=rng,
                size=size,
                outlines=outlines,
                with_targets=split in targets,
                corner=corner,
            )
    return names


def place_of(number: int, *, size: int) -> tuple[float, float]:
    """Returns longitude and latitude of the upper left corner of a tree's tile: side by side, eastward, in columns."""
    side = math.degrees(size * METRES_PER_PIXEL / EARTH_RADIUS)
    return 30.2 + number * side / math.cos(math.radians(50.0)), 50.0


def write_tile(
    folder: Path,
    name: str,
    *,
    rng: np.random.Generator,
    size: int,
    outlines: Sequence[tuple[str, Corners, Corners]],
    with_targets: bool = False,
    corner: tuple[float, float] | None = None,
) -> None:
    """Writes one tile; `outlines` are (subtype, corners before, corners after), corners as (points, 2) of x and y.

    With a `corner` (longitude, latitude of the upper left one) the label also holds the outlines in degrees.
    """
    uids = [str(uuid.UUID(bytes=rng.bytes(16))) for _ in outlines]
    ground = _ground(rng, size)
    for date, codes in (("pre", [1] * len(outlines)), ("post", [SUBTYPES.index(item[0]) + 1 for item in outlines])):
        image = ground.copy() if date == "pre" else cv2.convertScaleAbs(ground, alpha=0.8, beta=25)
        target = np.zeros((size, size), np.uint8)
        features = []
        for uid, code, (subtype, before, after) in zip(uids, codes, outlines, strict=True):
            corners = before if date == "pre" else after
            points = np.round(corners).astype(np.int32)
            cv2.fillPoly(image, [points], (200, 90, 60) if code == 1 else (90 + 20 * code, 80, 70))
            if code < 5:
                cv2.fillPoly(target, [points], code)
            properties = {"feature_type": "building", "uid": uid} | ({"subtype": subtype} if date == "post" else {})
            features.append({"properties": properties, "wkt": wkt(corners)})
        image = cv2.add(image, rng.integers(0, 12, image.shape, dtype=np.uint8))
        _write_png(folder / "images" / f"{name}_{date}_disaster.png", image[..., ::-1])
        degrees = []
        if corner is not None:
            for feature, (_, before, after) in zip(features, outlines, strict=True):
                outline = _in_degrees(before if date == "pre" else after, corner)
                degrees.append({**feature, "wkt": wkt(outline, digits=14)})
        write_label(folder / "labels" / f"{name}_{date}_disaster.json", features, size=size, degrees=degrees)
        if with_targets:
            _write_png(folder / "targets" / f"{name}_{date}_disaster_target.png", target)


def write_label(
    path: Path, features: list[dict[str, Any]], *, size: int, degrees: Sequence[dict[str, Any]] = ()
) -> None:
    """Writes a label file with xBD's keys."""
    event, _, date, _ = path.stem.rsplit("_", 3)
    metadata = {
        "sensor": "INVENTED01",
        "gsd": 2.0,
        "capture_date": CAPTURED[date],
        "off_nadir_angle": 20.5,
        "sun_azimuth": 160.0,
        "sun_elevation": 45.0,
        "pan_resolution": 0.5,
        "disaster": event,
        "disaster_type": event.rpartition("-")[2],
        "width": size,
        "height": size,
        "img_name": f"{path.stem}.png",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"features": {"lng_lat": [*degrees], "xy": features}, "metadata": metadata}
    path.write_text(json.dumps(content), encoding="utf-8")


def wkt(*rings: Corners, digits: int = 6) -> str:
    """Returns a closed polygon as well-known text: the outline, then holes."""
    closed = [[*ring.tolist(), ring[0].tolist()] for ring in rings]
    texts = [", ".join(f"{x:.{digits}f} {y:.{digits}f}" for x, y in ring) for ring in closed]
    return f"POLYGON ({', '.join(f'({text})' for text in texts)})"


def rectangle(x: float, y: float, width: float, height: float) -> Corners:
    """Returns the four corners."""
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=np.float64)


def _in_degrees(points: Corners, corner: tuple[float, float]) -> Corners:
    """Returns points of a tile, in pixels, as longitude and latitude."""
    longitude, latitude = corner
    east, south = points.T * math.degrees(METRES_PER_PIXEL / EARTH_RADIUS)
    return np.stack([longitude + east / math.cos(math.radians(latitude)), latitude - south], axis=1)


def _outlines(rng: np.random.Generator, size: int, count: int) -> list[tuple[str, Corners, Corners]]:
    """Returns buildings in a loose grid, so that none is hidden; the outline moves by up to 2 pixels in between."""
    columns = int(np.ceil(np.sqrt(count)))
    cell = size / columns
    outlines = []
    for position in range(count):
        corner = np.array([position % columns, position // columns]) * cell + rng.uniform(2, cell / 4, 2)
        side = rng.uniform(cell / 3, cell / 2, 2)
        if position == 0:
            corner[0] = -side[0] / 2
        if position == 1:
            side = np.array([4.0, 4.0])
        before = rectangle(*corner, *side)
        after = before if position == 0 else before + rng.uniform(-2, 2, 2)
        outlines.append((SUBTYPES[position % len(SUBTYPES)], before, after))
    return outlines


def _ground(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    coarse = rng.integers(40, 160, (max(size // 8, 2), max(size // 8, 2), 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes())
