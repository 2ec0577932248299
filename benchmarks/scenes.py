"""Scenes at the size of all of xBD: registering, indexing, browsing and reading them.

A tree of 11,034 tiles is generated (real PNGs, labels of real size), registered on a real stack, browsed by 32 clients
at once, and indexed beside a bare PNG decoder.
"""

import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import shapely

from benchmarks.chip_reading import chip_rows
from benchmarks.full_xbd import SIDE, TILES, write_full_xbd
from benchmarks.report import Row, run
from benchmarks.scene_rendering import rendering_rows
from benchmarks.stack import fresh_stack
from pairlab.scenes.indexing import CACHE_BYTES, IndexFiles, index_dataset
from pairlab.scenes.png import decode_png
from pairlab.scenes.scene import Scene, UInt8Array
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_labels import Int32Array, paint, read_label

CLIENTS = 32
PAUSE_SECONDS = 0.1
"""Between an answer and the same client's next request: a person who pages on as fast as he can."""
NAME = "xbd"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    tiles: int
    indexed_tiles: int
    requests: int
    memory_requests: int
    rounds: int


FULL = Size(tiles=TILES, indexed_tiles=384, requests=2_000, memory_requests=10_000, rounds=3)
QUICK = Size(tiles=16, indexed_tiles=8, requests=64, memory_requests=200, rounds=1)


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-xbd-") as folder:
        tree = Path(folder)
        write_full_xbd(tree / "full", tiles=size.tiles)
        write_full_xbd(tree / "part", tiles=size.indexed_tiles)
        rows = [
            *_indexing(tree / "part", size.rounds),
            *_rasterising(tree / "part", size.rounds),
            *chip_rows(quick=quick),
            *rendering_rows(quick=quick),
        ]
        with fresh_stack(data_roots={"disasters": tree}) as stack:
            return [*_registering(stack.client, size), *_browsing(stack.client, stack.api_process, size), *rows]


def _registering(client: httpx.Client, size: Size) -> list[Row]:
    """Returns how long it takes from a registration to the first page of scenes, no pixel decoded."""
    began = time.monotonic()
    config = {"kind": "xbd", "root": "disasters", "folder": "full"}
    answer = client.post("/datasets", json={"name": NAME, "config": config})
    answer.raise_for_status()
    accepted = time.monotonic() - began
    job = answer.json()["index_job"]
    while client.get(f"/datasets/{NAME}/scenes").status_code != httpx.codes.OK:
        found = client.get(f"/jobs/{job}").json()
        if found["status"] == "failed":
            raise SystemExit(f"the index job failed: {found['error']}")
        time.sleep(0.2)
    browsable = time.monotonic() - began
    client.post(f"/jobs/{job}/pause")  # what follows measures the API, not the decoder beside it
    against = f"{size.tiles:,} tiles"
    return [
        Row("registration answered", accepted, "s", against, None, at_least=False),
        Row("registered and browsable", browsable, "s", against, 60.0, at_least=False),
    ]


def _browsing(client: httpx.Client, api: psutil.Process, size: Size) -> list[Row]:
    base = str(client.base_url)
    while client.get("/system").json()["workers"][0]["busy"]:
        time.sleep(0.2)
    first = client.get(f"/datasets/{NAME}/scenes", params={"limit": 96}).json()["items"]
    thumbnails = [url for scene in first for url in scene["thumbnails"].values()]
    columns = list(client.get(f"/datasets/{NAME}").json()["columns"])

    def page(rng: random.Random) -> httpx.Request:
        low = round(rng.uniform(0, 0.02), 4)
        sort = rng.choice(["name", "-change_share", "offset", "-objects", *(f"column/{name}" for name in columns)])
        return client.build_request(
            "GET", f"/datasets/{NAME}/scenes", params={"limit": 24, "min_change": low, "sort": sort}
        )

    def thumbnail(rng: random.Random) -> httpx.Request:
        return client.build_request("GET", httpx.URL(base).join(rng.choice(thumbnails)))

    def detail(rng: random.Random) -> httpx.Request:
        return client.build_request("GET", f"/datasets/{NAME}/scenes/{rng.choice(first)['name']}")

    def anything(rng: random.Random) -> httpx.Request:
        return rng.choice((page, thumbnail, thumbnail, detail))(rng)

    for url in thumbnails:
        client.get(httpx.URL(base).join(url)).raise_for_status()
    pages = _latencies(page, size.requests)
    images = _latencies(thumbnail, size.requests)
    _latencies(anything, size.memory_requests // 4, pause=0.0)
    before = api.memory_info().rss
    saturated = _latencies(anything, size.memory_requests, pause=0.0)
    grown = 100 * (api.memory_info().rss / before - 1)
    clients = f"{CLIENTS} clients, {PAUSE_SECONDS * 1000:.0f} ms between answer and request"
    return [
        Row("scene list p95", _p95(pages), "ms", clients, 30.0, at_least=False),
        Row("cached thumbnail p95", _p95(images), "ms", clients, 15.0, at_least=False),
        Row("any request, no pause, median", statistics.median(saturated), "ms", f"{CLIENTS} clients", None),
        Row(
            "API memory after the requests",
            grown,
            "% grown",
            f"{size.memory_requests:,} requests",
            10.0,
            at_least=False,
        ),
    ]


def _latencies(
    request: Callable[[random.Random], httpx.Request], count: int, *, pause: float = PAUSE_SECONDS
) -> list[float]:
    """Returns the milliseconds of `count` answers to CLIENTS clients that ask at the same time."""

    async def one(client: httpx.AsyncClient, number: int) -> list[float]:
        rng = random.Random(number)
        await asyncio.sleep(rng.random() * pause)
        found = []
        for _ in range(max(1, count // CLIENTS)):
            asked = request(rng)
            began = time.perf_counter()
            (await client.send(asked)).raise_for_status()
            found.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(pause)
        return found

    async def all_of_them() -> list[float]:
        limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
        async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
            work: list[Awaitable[list[float]]] = [one(client, number) for number in range(CLIENTS)]
            return [value for values in await asyncio.gather(*work) for value in values]

    return asyncio.run(all_of_them())


def _p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def _indexing(tree: Path, rounds: int) -> list[Row]:
    """Returns the speed of the full index, pixels included, as a share of what decoding alone allows on all cores."""
    ratios = []
    for _ in range(rounds):
        source = open_xbd(tree, damage_from="minor-damage", cache_bytes=CACHE_BYTES)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            for _event in index_dataset(
                source, IndexFiles(Path(folder), "0" * 64), root=tree, should_stop=lambda: False
            ):
                pass
            indexed = time.perf_counter() - began
        ratios.append(_decode_seconds(tree, source.scenes) / indexed)
    against = "cv2.imdecode of the same PNGs on all cores"
    return [Row("index_vs_decoder", statistics.median(ratios), "share", against, 0.9)]


def _decode_seconds(tree: Path, scenes: Sequence[Scene]) -> float:
    images = [scene.files[acquisition].image for scene in scenes for acquisition in scene.acquisitions]
    with ThreadPoolExecutor(len(psutil.Process().cpu_affinity() or [0])) as pool:
        began = time.perf_counter()
        for _ in pool.map(lambda name: decode_png(tree / name, name=name), images):
            pass
        return time.perf_counter() - began


def _rasterising(tree: Path, rounds: int) -> list[Row]:
    """Returns how fast label files become masks, beside JSON parsing and OpenCV's fill of the same polygons."""
    paths = sorted((tree / "train" / "labels").glob("*_post_disaster.json"))
    polygons = {path: [_corners(wkt) for wkt in _wkts(path)] for path in paths}
    with_wkt, given = [], []
    for _ in range(rounds):
        ours = _seconds(lambda path: _mask(path), paths)
        with_wkt.append(_seconds(lambda path: _filled([_corners(wkt) for wkt in _wkts(path)]), paths) / ours)
        given.append(_seconds(lambda path: (_wkts(path), _filled(polygons[path])), paths) / ours)
    for path in paths:
        if not np.array_equal(_mask(path) > 0, _filled(polygons[path]) > 0):
            raise SystemExit(f"the mask of {path.name} differs from OpenCV's")
    return [
        Row("rasterising", statistics.median(with_wkt), "x", "json.loads, shapely's WKT, cv2.fillPoly", 1.0),
        Row("rasterising, polygons given", statistics.median(given), "x", "json.loads and cv2.fillPoly alone", None),
    ]


def _seconds(work: Callable[[Path], object], paths: Sequence[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        work(path)
    return time.perf_counter() - began


def _mask(path: Path) -> UInt8Array:
    label = read_label(path, name=path.name, acquisition="post", height=SIDE, width=SIDE)
    return paint(label, [building.code for building in label.buildings], height=SIDE, width=SIDE)


def _wkts(path: Path) -> list[str]:
    return [each["wkt"] for each in json.loads(path.read_bytes())["features"]["xy"]]


def _corners(wkt: str) -> Int32Array:
    return np.asarray(np.round(shapely.get_coordinates(shapely.from_wkt(wkt))), dtype=np.int32)


def _filled(outlines: Sequence[Int32Array]) -> UInt8Array:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [outline], 1)
    return mask


if __name__ == "__main__":
    run("scenes", measure)
