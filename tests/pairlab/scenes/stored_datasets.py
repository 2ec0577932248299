"""Puts datasets into a chip store, for the tests of what keeps and reads them."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.scene import Pixels, Scene, SceneFiles, SceneSource

REPOSITORY = Path(__file__).parents[3]
PLAIN_SIZE = 96 * 128 * 3
DATASET = 8 * PLAIN_SIZE
"""Bytes of the images of a dataset as `store_plain` writes it."""


def plain_image(fingerprint: str, number: int) -> Pixels:
    """Returns the image of that number of a dataset that consists of noise, 96 × 128 × 3."""
    seed = [number, *fingerprint.encode()]
    return np.random.default_rng(seed).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def source_file(folder: Path) -> Path:
    """Returns a file that plain images are said to be decoded from; made long enough before any part."""
    path = folder / "source.png"
    if not path.exists():
        path.write_bytes(b"a file")
        time.sleep(0.02)  # the kernel's clock for files ticks every few milliseconds
    return path


def store_plain(store: ChipStore, fingerprint: str, folder: Path, *, images: int = 8, number: int = 0) -> None:
    """Writes a part of plain images."""
    source = source_file(folder)
    with store.part(fingerprint, number=number) as part:
        for each in range(images):
            part.add(f"scene-{each}", "pre", plain_image(fingerprint, each), source=source)


def store_source(store: ChipStore, fingerprint: str, source: SceneSource, folder: Path, *, size: int = 4) -> None:
    """Writes all images of a dataset in parts of `size` scenes, as the index job does."""
    time.sleep(0.02)
    for number, first in enumerate(range(0, len(source.scenes), size)):
        with store.part(fingerprint, number=number) as part:
            for scene in source.scenes[first : first + size]:
                for acquisition in scene.acquisitions:
                    image = source.image(scene, acquisition)
                    part.add(scene.name, acquisition, image, source=folder / scene.files[acquisition].image)


@contextmanager
def process(code: str, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Runs Python code beside this process, its output in a pipe, and kills it in the end."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as running:
        try:
            yield running
        finally:
            running.kill()


def line_of(running: "subprocess.Popen[str]") -> str:
    """Returns the next line that a process prints."""
    assert running.stdout is not None
    return running.stdout.readline().removesuffix("\n")


def store_in(folder: Path, *, budget: int = 64 * 2**20) -> ChipStore:
    return ChipStore(folder / "store", budget_bytes=budget, keep_free_bytes=0)


def kept(folder: Path, *fingerprints: str) -> list[str]:
    store = store_in(folder)
    return [each for each in fingerprints if store.usage(each).images]


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())


def files_of(folder: Path) -> list[str]:
    found = (folder / "store").rglob("*")
    return sorted(str(path.relative_to(folder / "store")) for path in found if path.is_file())


def plain_scene(number: int) -> Scene:
    return Scene(f"scene-{number}", "train", "e", ("pre",), 96, 128, {"pre": SceneFiles("source.png")})


def check_plain(folder: Path, fingerprint: str, *, images: int = 8) -> None:
    """Checks that the images of a dataset are kept and are the right ones."""
    with store_in(folder).open(fingerprint) as stored:
        assert len(stored) == images
        for number in range(images):
            strips = stored.strips(plain_scene(number), "pre", folder=folder, decode=never)
            assert strips is not None
            image = strips.transpose(1, 0, 2, 3).reshape(96, 128, 3)
            np.testing.assert_array_equal(image, plain_image(fingerprint, number))


def never(scene: Scene, acquisition: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    raise AssertionError(f"decoded {scene.name} {acquisition} although it is kept")
