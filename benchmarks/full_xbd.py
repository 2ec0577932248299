"""Writes a tree as large as all of xBD: real PNGs and labels of real size, of invented places.

python -m benchmarks.full_xbd FOLDER [--tiles N]
"""

import argparse
import json
import math
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

TILES = 11_034
SHARES = {"train": 2_799, "tier3": 6_369, "test": 933, "hold": 933}
"""Tiles of xBD's split folders."""
EVENTS = (
    "northport-hurricane", "easton-hurricane", "weston-flooding", "midvale-flooding", "redhill-wildfire",
    "pinecrest-wildfire", "oakridge-wildfire", "lakeside-tsunami", "highfort-earthquake", "ashmount-volcano",
)  # fmt: skip
SIDE = 1024
MEAN_BUILDINGS = 38.5
"""xBD has 425,368 polygons on 11,034 tiles."""
EMPTY_TILES = 0.25
"""Share of tiles without a polygon; the others hold the mean between them."""
TEMPLATES = 24
"""Distinct tiles; every other one is a copy of their labels and a hard link to their images."""
METRES_PER_PIXEL = 0.5
SUBTYPES = ("no-damage", "minor-damage", "major-damage", "destroyed", "un-classified")
SUBTYPE_SHARES = (0.736, 0.087, 0.070, 0.074, 0.033)


def write_full_xbd(folder: Path, *, tiles: int = TILES, seed: int = 0) -> None:
    """Writes the tree: 1.5 MB a PNG, 40 kB a label, as xBD has them on average.

    Args:
        folder: made if missing, on a disk that knows hard links.
        tiles: how many in all; the split folders keep their shares.
        seed: equal seeds give equal content.
    """
    rng = np.random.default_rng(seed)
    templates = folder / ".templates"
    for number in range(min(TEMPLATES, tiles)):
        _write_template(templates / f"{number:03d}", rng)
    written = 0
    for split, share in SHARES.items():
        for part in ("images", "labels"):
            (folder / split / part).mkdir(parents=True, exist_ok=True)
        count = round(tiles * share / TILES) if split != "hold" else tiles - written
        for _ in range(max(count, 0)):
            name = f"{EVENTS[written % len(EVENTS)]}_{written:08d}"
            template = templates / f"{written % min(TEMPLATES, tiles):03d}"
            for date in ("pre", "post"):
                stem = f"{name}_{date}_disaster"
                os.link(template / f"{date}.png", folder / split / "images" / f"{stem}.png")
                shutil.copyfile(template / f"{date}.json", folder / split / "labels" / f"{stem}.json")
            written += 1
    shutil.rmtree(templates)


def _write_template(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    empty = rng.random() < EMPTY_TILES
    count = 0 if empty else 1 + int(rng.geometric(1 / (MEAN_BUILDINGS / (1 - EMPTY_TILES))))
    corner = (float(rng.uniform(-120, 140)), float(rng.uniform(-40, 50)))
    buildings = [_building(rng) for _ in range(count)]
    ground = _ground(rng)
    for date, moved, light in (("pre", 0.0, 1.0), ("post", 4.0, float(rng.uniform(0.8, 1.2)))):
        shift = rng.uniform(-moved, moved, size=2)
        outlines = [corners + shift for _, corners, _ in buildings]
        image = cv2.convertScaleAbs(ground, alpha=light)
        for outline in outlines:
            cv2.fillPoly(image, [np.round(outline).astype(np.int32)], rng.integers(60, 220, 3).tolist())
        noise = np.clip(rng.normal(8, 3, image.shape), 0, 16).astype(np.uint8)  # makes a PNG of about 1.5 MB
        # Pillow filters rows as xBD's files have them, so that they take as long to decode; OpenCV's take half as long.
        Image.fromarray(cv2.add(image, noise)).save(folder / f"{date}.png")
        label = _label(date, corner, [(uid, subtype) for uid, _, subtype in buildings], outlines)
        (folder / f"{date}.json").write_text(json.dumps(label))


def _ground(rng: np.random.Generator) -> NDArray[np.uint8]:
    coarse = rng.integers(30, 170, (SIDE // 16, SIDE // 16, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _building(rng: np.random.Generator) -> tuple[str, NDArray[np.float64], str]:
    """Returns uid, corners (points, 2) in pixels and damage level."""
    points = int(rng.integers(4, 10))
    angles = np.sort(rng.uniform(0, 2 * np.pi, points))
    radius = rng.uniform(8, 24)
    centre = rng.uniform(-4, SIDE + 4, size=2)
    corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return str(uuid.UUID(bytes=rng.bytes(16))), corners, str(rng.choice(SUBTYPES, p=SUBTYPE_SHARES))


def _label(
    date: str,
    corner: tuple[float, float],
    buildings: Sequence[tuple[str, str]],
    outlines: Sequence[NDArray[np.float64]],
) -> dict[str, Any]:
    """Returns a label as xBD writes them: every polygon in degrees and in pixels, with all digits."""
    degree = METRES_PER_PIXEL / 111_320.0
    stretch = np.array([degree / math.cos(math.radians(corner[1])), -degree])
    features: dict[str, list[dict[str, Any]]] = {"lng_lat": [], "xy": []}
    for (uid, subtype), outline in zip(buildings, outlines, strict=True):
        properties = {"feature_type": "building", "uid": uid} | ({"subtype": subtype} if date == "post" else {})
        features["xy"].append({"properties": properties, "wkt": _wkt(outline)})
        features["lng_lat"].append({"properties": properties, "wkt": _wkt(np.array(corner) + outline * stretch)})
    metadata = {
        "sensor": "INVENTED01",
        "gsd": METRES_PER_PIXEL,
        "capture_date": "2018-03-04T16:00:00.000Z" if date == "pre" else "2018-09-10T16:00:00.000Z",
        "off_nadir_angle": 20.5,
        "sun_azimuth": 160.0,
        "sun_elevation": 45.0,
        "pan_resolution": METRES_PER_PIXEL,
        "disaster_type": "wind",
        "width": SIDE,
        "height": SIDE,
    }
    return {"features": features, "metadata": metadata}


def _wkt(corners: NDArray[np.float64]) -> str:
    return f"POLYGON (({', '.join(f'{x!r} {y!r}' for x, y in [*corners.tolist(), corners[0].tolist()])}))"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiles", type=int, default=TILES)
    options = parser.parse_args()
    write_full_xbd(options.folder, tiles=options.tiles)
