"""The file that one part of a chip store lies in: images in strips, then what is known of each, then a fixed end.

A strip is 64 columns of an image, all its rows one after the other. A chip so lies in a few long runs of bytes, which
memory delivers about twice as fast as the many short runs of whole rows, and a whole image is still put together in
well under a millisecond.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pairlab.scenes.scene import Pixels, UInt8Array

STRIP = 64
"""Columns of a strip."""
PAGE = 4096
"""Images begin at multiples of it, in the file and in memory, bytes."""
IN_FLIGHT = 4
"""So many images at most wait for the disk, while others are being decoded."""

_END = struct.Struct("<8sQQI")
_MAGIC = b"PLCHIPS1"
"""Its last digit is raised whenever files are laid out otherwise, or an image file would decode to other pixels."""
_DTYPES = ("|u1", "<u2", "<f4")


class StoreError(ValueError):
    """The chip store cannot be written; the message says why and what to do."""


class StoredImage(NamedTuple):
    """One image in a part's file."""

    scene: str
    acquisition: str
    dtype: str
    """As NumPy writes it, little-endian."""
    height: int
    width: int
    bands: int
    offset: int
    """Bytes from the file's beginning."""
    checksum: int
    source_bytes: int
    """Size of the file it was decoded from, and when that was last written, nanoseconds."""
    source_mtime_ns: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(strips, rows, columns of a strip, bands)."""
        return -(-self.width // STRIP), self.height, STRIP, self.bands

    @property
    def nbytes(self) -> int:
        """Bytes in the file, whole pages."""
        pixels = prod(self.shape) * np.dtype(self.dtype).itemsize
        return -(-pixels // PAGE) * PAGE


@dataclass(frozen=True, slots=True)
class Contents:
    """What a part's file holds."""

    images: tuple[StoredImage, ...]
    offered: int
    """Images that the part would hold, had all of them found room."""


def to_strips(image: Pixels) -> UInt8Array:
    """Returns an image of shape (height, width, bands) as the bytes of its strips, zeros up to whole pages."""
    height, width, bands = image.shape
    dtype = image.dtype.newbyteorder("<")
    strips = -(-width // STRIP)
    pixels = strips * height * STRIP * bands * dtype.itemsize
    data = _pages(-(-pixels // PAGE))
    data[pixels:] = 0
    view = data[:pixels].view(dtype).reshape(strips, height, STRIP, bands)
    whole = width // STRIP
    view[:whole] = image[:, : whole * STRIP].reshape(height, whole, STRIP, bands).transpose(1, 0, 2, 3)
    if whole < strips:
        view[whole] = 0
        view[whole, :, : width % STRIP] = image[:, whole * STRIP :]
    return data


def _pages(count: int) -> UInt8Array:
    """Returns so many pages of memory."""
    memory = np.empty((count + 1) * PAGE, dtype=np.uint8)
    begin = -memory.ctypes.data % PAGE
    return memory[begin : begin + count * PAGE]


def cut(strips: Pixels, *, y: int, x: int, height: int, width: int) -> Pixels:
    """Returns a window of an image, shape (height, width, bands), copied in one go.

    Args:
        strips: shape (strips, rows, STRIP, bands).
        y: first row.
        x: first column.
        height: rows, as many as there are.
        width: columns, as many as there are.
    """
    first, behind = x // STRIP, -(-(x + width) // STRIP)
    # (rows, strips, STRIP, bands): NumPy reads all strips side by side, so that several runs are under way at once.
    rows = strips[first:behind, y : y + height].transpose(1, 0, 2, 3)
    wide = rows.reshape(height, (behind - first) * STRIP, strips.shape[3])
    return wide[:, x - first * STRIP : x - first * STRIP + width]


def checksum(data: UInt8Array) -> int:
    """Returns a checksum of whole pages.

    The sum of each page's 64-bit words, then the CRC-32 of all sums: torn, swapped and missing pages and single wrong
    bits show, at the speed of memory. CRC-32 of the bytes themselves takes 6 times as long, BLAKE2b 25 times, and would
    be most of what the first chip of an image costs.
    """
    words = data.view(np.uint64).reshape(-1, PAGE // 8)
    return zlib.crc32(words.sum(axis=1, dtype=np.uint64).tobytes())


def read_contents(path: Path) -> Contents | None:
    """Returns what a part's file holds; None where there is no file of this version that is whole."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(length - _END.size)
            magic, begin, size, crc = _END.unpack(file.read(_END.size))
            if magic != _MAGIC or begin + size + _END.size != length:
                return None
            file.seek(begin)
            text = file.read(size)
        if zlib.crc32(text) != crc:
            return None
        content = json.loads(text)
        images = tuple(StoredImage(*each) for each in content["images"])
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    sound = all(each.dtype in _DTYPES and 0 <= each.offset <= begin - each.nbytes for each in images)
    return Contents(images, content["offered"]) if sound else None


def not_writable(error: OSError) -> StoreError:
    """Returns what to tell the user where the chip store could not be written."""
    return StoreError(
        f"the chip store cannot be written ({error.strerror}): free some space on its disk or give it less of it, and "
        "try again; what it holds stays usable"
    )


def map_file(path: Path) -> UInt8Array:
    """Returns a file's bytes, mapped into memory and read-only."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    with contextlib.suppress(OSError):  # an image is found sooner in few large pages, where the kernel has them
        mapped.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(mapped, dtype=np.uint8)


class PartWriter:
    """Writes the images of one part into a file; threads may share it."""

    def __init__(self, descriptor: int, *, grow: Callable[[int], int]) -> None:
        """Prepares an empty file.

        Args:
            descriptor: the file, open for writing; stays open.
            grow: takes how long the file must become, makes it so long or longer, and returns its length; 0 where there
                is no room.
        """
        self._descriptor, self._grow = descriptor, grow
        self._began = time.time_ns()
        self._images: list[StoredImage] = []
        self._offered = 0
        self._end = self._length = 0
        self._records = _END.size + 64  # bytes of the records so far, and of what surrounds them
        self._lock = threading.Lock()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="chip-store")
        self._in_flight = threading.Semaphore(IN_FLIGHT)
        self._error: OSError | None = None
        # Past the page cache: copying into it costs the cores that decode three times as much as all else here, and the
        # cache is better filled with what is read.
        self._set_direct(True)

    def add(self, scene: str, acquisition: str, image: Pixels, *, source: Path) -> None:
        """Keeps an image if there is room.

        Args:
            scene: its scene's name.
            acquisition: which of the scene's.
            image: shape (height, width, bands); not kept unless it is uint8, uint16 or float32.
            source: the file it was decoded from; not kept where it changed since the part was begun, because it may be
                the old content or the new.

        Raises:
            StoreError: the file cannot be written.
        """
        if self._error is not None:
            raise not_writable(self._error)
        with self._lock:
            self._offered += 1
        try:
            file = source.stat()
        except OSError:
            return
        dtype = image.dtype.newbyteorder("<").str
        if file.st_ctime_ns > self._began or image.ndim != 3 or dtype not in _DTYPES:
            return
        data = to_strips(image)
        height, width, bands = image.shape
        stored = StoredImage(
            scene,
            acquisition,
            dtype,
            height,
            width,
            bands,
            offset=0,
            checksum=checksum(data),
            source_bytes=file.st_size,
            source_mtime_ns=file.st_mtime_ns,
        )
        try:
            offset = self._reserve(stored)
        except OSError as error:
            raise not_writable(error) from error
        if offset is not None:
            self._in_flight.acquire()
            self._disk.submit(self._write_image, data.data, stored._replace(offset=offset))

    def finish(self) -> None:
        """Writes what is known of the images, and returns once all of it is on the disk; raises StoreError."""
        self.close()
        if self._error is not None:
            raise not_writable(self._error)
        images = sorted(self._images, key=lambda each: each.offset)
        content = {"offered": self._offered, "images": images}
        text = json.dumps(content, separators=(",", ":")).encode()
        try:
            self._set_direct(False)
            end = _END.pack(_MAGIC, self._end, len(text), zlib.crc32(text))
            self._write(memoryview(text + end), self._end)
            os.ftruncate(self._descriptor, self._end + len(text) + _END.size)
            os.fsync(self._descriptor)
        except OSError as error:
            raise not_writable(error) from error

    def close(self) -> None:
        """Returns once nothing is being written any more."""
        self._disk.shutdown()

    def _reserve(self, stored: StoredImage) -> int | None:
        """Returns where an image may be written; None where there is no room."""
        record = len(json.dumps(stored)) + 24  # its offset, still 0, grows
        with self._lock:
            needed = self._end + stored.nbytes + self._records + record
            if needed > self._length:
                length = self._grow(needed)
                if not length:
                    return None
                self._length = length
            offset, self._end = self._end, self._end + stored.nbytes
            self._records += record
            return offset

    def _write_image(self, data: memoryview, image: StoredImage) -> None:
        try:
            self._write(data, image.offset)
            self._images.append(image)
        except OSError as error:
            self._error = error
        finally:
            self._in_flight.release()

    def _write(self, data: memoryview, offset: int) -> None:
        direct = True
        while data:
            try:
                written = os.pwrite(self._descriptor, data, offset)
            except OSError as error:
                if error.errno != errno.EINVAL or not direct:
                    raise
                direct = False  # this disk wants whole blocks of another size
                self._set_direct(False)
                continue
            data, offset = data[written:], offset + written

    def _set_direct(self, direct: bool) -> None:
        """Lets writing pass by the page cache, or not; without effect where the file system does not know it."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | (os.O_DIRECT if direct else 0))
