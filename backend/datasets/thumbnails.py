"""Thumbnails as WebP: made once, kept on disk within a fixed room, the latest ones in memory."""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import cv2
import numpy as np

from backend.datasets.bounded_cache import BoundedCache
from backend.datasets.sources import MEBIBYTE, OpenDataset
from pairlab.scenes.bands import to_rgb
from pairlab.scenes.scene import Bands, Scene

logger = logging.getLogger(__name__)

RENDER_VERSION = 1
"""Raised whenever the same image would give another thumbnail."""
QUALITY = 80
"""13 kB for 256 pixels of satellite image; artefacts do not show at this size."""
MEMORY_BYTES = 32 * MEBIBYTE
MADE_ROOM = 0.9
"""Share of the room that is left in use after making room."""
TOUCH_SECONDS = 6 * 3600
"""A file counts as used lately for so long before that is noted again."""


class ThumbnailKey(NamedTuple):
    """Which thumbnail."""

    fingerprint: str
    version: str
    scene: str
    acquisition: str
    size: int

    @property
    def name(self) -> str:
        """Name of its file: a hash, because names of scenes are anybody's."""
        content = "\0".join((self.version, self.scene, self.acquisition, str(self.size)))
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def etag(self) -> str:
        """Known before anything is rendered."""
        return f'"{self.name}"'


@lru_cache(maxsize=256)
def version_of(fingerprint: str, bands: Bands) -> str:
    """Returns what tells a dataset's thumbnails from those of other files, or of other limits of its bands."""
    content = repr((RENDER_VERSION, fingerprint, bands))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Thumbnails:
    """All thumbnails of this installation; threads and processes may share the folder."""

    def __init__(self, folder: Path, *, room: int) -> None:
        """Opens the folder.

        Args:
            folder: made when needed.
            room: bytes on disk.
        """
        self._folder = folder
        self._room = room
        self._memory: BoundedCache[ThumbnailKey, bytes] = BoundedCache(MEMORY_BYTES, size_of=len)
        self._versions: BoundedCache[tuple[str, str], str] = BoundedCache(1000)
        self._written: int | None = None
        """Bytes on disk as this process knows them; None before it has looked."""
        self._lock = Lock()

    def fingerprint_of(self, dataset: str, version: str) -> str | None:
        """Returns whose thumbnails a version are, where this process has handed one of them out before."""
        return self._versions.peek((dataset, version))

    def kept(self, key: ThumbnailKey) -> bytes | None:
        """Returns the WebP from memory or disk; None where it was not made yet."""
        content = self._memory.peek(key)
        if content is not None:
            return content
        read = self._read(key)
        return None if read is None else self._memory.get(key, lambda: read)

    def get(self, key: ThumbnailKey, dataset: str, make: Callable[[], bytes]) -> bytes:
        """Returns the WebP from memory, from disk, or made and kept; what `make` raises is passed on."""
        content = self._memory.get(key, lambda: self._read(key) or self._made(key, make))
        self._versions.get((dataset, key.version), lambda: key.fingerprint)
        return content

    def forget(self) -> None:
        """Forgets what is in memory: the files of a dataset have been removed."""
        self._memory.clear()
        self._versions.clear()
        with self._lock:
            self._written = None

    def _path(self, key: ThumbnailKey) -> str:
        return f"{self._folder}/{key.fingerprint}/{key.name[:2]}/{key.name}.webp"

    def _read(self, key: ThumbnailKey) -> bytes | None:
        path = self._path(key)
        try:
            with open(path, "rb", buffering=0) as file:
                content: bytes = file.read()
                if time.time() - os.fstat(file.fileno()).st_mtime > TOUCH_SECONDS:
                    os.utime(path)
        except OSError:
            return None
        return content or None

    def _made(self, key: ThumbnailKey, make: Callable[[], bytes]) -> bytes:
        content = make()
        if len(content) > self._room:
            return content
        try:
            self._write(Path(self._path(key)), content)
        except OSError as error:
            logger.warning("thumbnails cannot be kept (%s); each is made anew", error)
            return content
        self._make_room(len(content))
        return content

    def _write(self, path: Path, content: bytes) -> None:
        """Writes a file whole: a reader sees all of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _make_room(self, added: int) -> None:
        """Removes the files that were not asked for longest once there are more bytes than there is room."""
        with self._lock:
            if self._written is not None and self._written + added <= self._room:
                self._written += added
                return
            files = sorted(_files(self._folder))
            total = sum(size for _, size, _ in files)
            goal = total if total <= self._room else self._room * MADE_ROOM
            for _, size, path in files:
                if total <= goal:
                    break
                with suppress(OSError):
                    os.unlink(path)
                total -= size
            self._written = total


def render_thumbnail(opened: OpenDataset, scene: Scene, acquisition: str, *, size: int) -> bytes:
    """Returns an acquisition as WebP, its longest side scaled down to `size`; raises SceneError."""
    image = to_rgb(opened.source.image(scene, acquisition), opened.source.bands)
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest > size:
        shape = max(1, round(width * size / longest)), max(1, round(height * size / longest))
        image = np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    done, encoded = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape}")
    return bytes(encoded)


def _files(folder: Path) -> list[tuple[float, int, str]]:
    """Returns (last use, bytes, path) of all thumbnails."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with suppress(OSError):
                status = os.stat(path)
                found.append((status.st_mtime, status.st_size, path))
    return found
