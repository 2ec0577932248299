"""How fast 256² chips come out of the chip store, against the PNGs they were decoded from and a bare memory copy."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.full_xbd import write_full_xbd
from benchmarks.report import Row, run
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.png import decode_png
from pairlab.scenes.scene import Scene, UInt8Array
from pairlab.scenes.stored_images import StoredSource
from pairlab.scenes.xbd import XbdSource, open_xbd

CHIP = 256
KEY = "benchmark"
BUDGET = 4 * 2**30
PNGS = 16
"""So many PNGs are decoded for each round's time, and so many images read for the first time."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One chip of one image."""

    scene: Scene
    acquisition: str
    y: int
    x: int


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    return chip_rows(quick=quick)


def chip_rows(*, quick: bool) -> list[Row]:
    """Returns the rows on chips, drawn at random from far more images than a processor's caches hold."""
    tiles, chips, rounds = (4, 100, 2) if quick else (128, 2000, 9)
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as name:
        folder = Path(name) / "dataset"
        write_full_xbd(folder, tiles=tiles)
        source = open_xbd(folder, damage_from="minor-damage")
        store = ChipStore(Path(name) / "store", budget_bytes=BUDGET, keep_free_bytes=0)
        _fill(store, source, folder)
        draws = [_draw(rng, source.scenes) for _ in range(chips)]
        memory = rng.integers(0, 256, 2 * tiles * source.scenes[0].height * source.scenes[0].width * 3, dtype=np.uint8)
        places = rng.integers(0, len(memory) // CHIP**2 // 3, chips) * CHIP**2 * 3

        def from_png(draw: Draw) -> UInt8Array:
            image = decode_png(folder / draw.scene.files[draw.acquisition].image, name="image")
            return image[draw.y : draw.y + CHIP, draw.x : draw.x + CHIP].copy()

        def from_memory(place: int) -> UInt8Array:
            return memory[place : place + CHIP**2 * 3].copy()

        with store.open(KEY) as images:
            stored = StoredSource(source, images, folder=folder)
            times: dict[str, list[float]] = {}
            for _ in range(rounds + 1):
                with store.open(KEY) as unread:
                    fresh = StoredSource(source, unread, folder=folder)
                    found = {
                        "first": _seconds(lambda draw, fresh=fresh: _chip(fresh, draw), _one_per_image(draws)),
                        "png": _seconds(from_png, draws[:PNGS]),
                        "chip": _seconds(lambda draw: _chip(stored, draw), draws),
                        "copy": _seconds(from_memory, places.tolist()),
                        "window": _seconds(lambda draw: _window(stored, draw), draws[:PNGS]),
                    }
                for key, seconds in found.items():
                    times.setdefault(key, []).append(seconds)
    return _rows({key: each[1:] for key, each in times.items()})  # the first round warms up


def _rows(times: dict[str, list[float]]) -> list[Row]:
    def ratio(one: str, other: str) -> float:
        return median(a / b for a, b in zip(times[one], times[other], strict=True))

    png = "PNG decoded and cut"
    return [
        Row("chip_vs_png", ratio("png", "chip"), "x", png, 50.0),
        Row("chip_vs_memcpy", ratio("copy", "chip"), "share", "as many bytes copied in memory", 0.5),
        Row("chips_from_store", 1 / median(times["chip"]), "1/s", "one thread", None),
        Row("first_chip_vs_png", ratio("png", "first"), "x", f"{png}; with the image's check", None),
        Row("whole_image_vs_png", ratio("png", "window"), "x", f"{png}; store: all of the image", None),
    ]


def _fill(store: ChipStore, source: XbdSource, folder: Path) -> None:
    with store.part(KEY, number=0) as part:
        for scene in source.scenes:
            for acquisition, files in scene.files.items():
                part.add(scene.name, acquisition, source.image(scene, acquisition), source=folder / files.image)


def _draw(rng: np.random.Generator, scenes: Sequence[Scene]) -> Draw:
    scene = scenes[int(rng.integers(len(scenes)))]
    y, x = (int(rng.integers(side // CHIP)) * CHIP for side in (scene.height, scene.width))
    return Draw(scene, scene.acquisitions[rng.integers(2)], y, x)


def _one_per_image(draws: Sequence[Draw]) -> list[Draw]:
    return list({(draw.scene.name, draw.acquisition): draw for draw in draws}.values())[:PNGS]


def _chip(source: StoredSource, draw: Draw) -> object:
    return source.chip(draw.scene, draw.acquisition, y=draw.y, x=draw.x, size=CHIP)


def _window(source: StoredSource, draw: Draw) -> object:
    return source.image(draw.scene, draw.acquisition)[draw.y : draw.y + CHIP, draw.x : draw.x + CHIP].copy()


def _seconds(read: Callable[..., object], what: Sequence[object]) -> float:
    """Returns the seconds that one of them takes, mean."""
    began = time.perf_counter()
    for each in what:
        read(each)
    return (time.perf_counter() - began) / len(what)


if __name__ == "__main__":
    run("chip reading", measure)
