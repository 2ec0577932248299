"""TIFF and BigTIFF files from unknown hands: what their first directory claims, and their samples as they are.

Formats: TIFF 6.0 (Adobe, 1992) and BigTIFF. OpenCV reads the plain ones, with one, three or four bands; rasterio, where
it is installed, reads all of them.
"""

import importlib
import math
import struct
import warnings
from functools import cache
from types import ModuleType
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.image_header import ImageHeader, check_claims
from pairlab.scenes.scene import SceneError

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_SHAPE = (_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT)
_PLACES = (_STRIP_OFFSETS, _ROWS_PER_STRIP, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES)
_TAGS = frozenset((*_SHAPE, *_PLACES))
_INTEGER_TYPES = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}
_MAX_ENTRIES = 4096
_MAX_VALUES = 2 * 2**20
"""Of one tag: every row of an image of eight bands may be a strip."""
_PLAIN_COMPRESSIONS = frozenset((1, 5, 8, 32773, 32946))
"""None, LZW, Deflate, PackBits, and Deflate under its old number."""
_GREY_PHOTOMETRIC, _RGB_PHOTOMETRIC, _PALETTE_PHOTOMETRIC = 1, 2, 3
_ALPHA = (1, 2)
_KINDS = {1: "uint", 2: "int", 3: "float"}
"""Of sample formats."""

Tags = dict[int, NDArray[np.unsignedinteger[Any]]]
Samples = NDArray[Any]


class _Damaged(Exception):
    """The directory cannot be read; the message says why."""


def tiff_header(file: BinaryIO, *, name: str) -> ImageHeader:
    """Returns what the first image of a TIFF claims to be.

    Args:
        file: opened for reading; its directory is read, no samples.
        name: what messages call it.

    Raises:
        SceneError: damaged, truncated, or too large.
    """
    length = file.seek(0, 2)
    try:
        return _header(_directory(file), length=length, name=name)
    except (_Damaged, struct.error) as error:
        raise SceneError(f"{name} is a damaged TIFF of {length} bytes ({error}): copy the file again") from error


def decode_tiff(content: bytes, header: ImageHeader, *, name: str) -> Samples:
    """Returns the samples of a TIFF's first image as they are in the file, shape (height, width, bands).

    Args:
        content: the whole file.
        header: what `tiff_header` said of it.
        name: what messages call it.

    Raises:
        SceneError: the pixels cannot be decoded, or only rasterio can and is not installed.
    """
    rasterio = rasterio_if_installed()
    if rasterio is not None:
        image = _by_rasterio(rasterio, content, name=name)
    elif header.plain:
        image = _by_opencv(content, name=name)
    else:
        raise SceneError(
            f"{name} is a TIFF of {header.bands} bands of {header.dtype} that needs rasterio: "
            "pip install 'pairlab[geotiff]', or save it in strips of grey or RGB (and one more), plain, LZW or Deflate"
        )
    if image.shape != (header.height, header.width, header.bands) or image.dtype != header.dtype:
        raise SceneError(
            f"{name} is a damaged TIFF: it holds {image.shape} {image.dtype}, its header says "
            f"{(header.height, header.width, header.bands)} {header.dtype}; copy the file again"
        )
    return image


@cache
def rasterio_if_installed() -> ModuleType | None:
    """Returns the package rasterio, the optional part `geotiff`; None without it."""
    try:
        importlib.import_module("rasterio.warp")
        rasterio = importlib.import_module("rasterio")
    except ImportError:
        return None
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)  # most images lie nowhere
    return rasterio


def _by_rasterio(rasterio: ModuleType, content: bytes, *, name: str) -> Samples:
    # In memory and by one driver: a file is never taken for a list of others, and none that lie beside it are opened.
    try:
        with rasterio.MemoryFile(content) as memory, memory.open(driver="GTiff", sharing=False) as dataset:
            bands = dataset.read()
    except Exception as error:  # what GDAL raises has no common class
        raise SceneError(f"{name} is a damaged TIFF: its pixels cannot be read ({error}); copy it again") from error
    return np.ascontiguousarray(np.moveaxis(bands, 0, 2))


def _by_opencv(content: bytes, *, name: str) -> Samples:
    try:
        image = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise SceneError(f"{name} cannot be decoded ({error}): copy the file again") from error
    if image is None:
        raise SceneError(f"{name} is a damaged TIFF: its header is sound, its pixels are not; copy the file again")
    if image.ndim == 2:
        return np.asarray(image[..., None])
    return np.ascontiguousarray(image[..., [2, 1, 0, *range(3, image.shape[2])]])


def _directory(file: BinaryIO) -> Tags:
    """Returns the tags that matter of the file's first directory."""
    start = _read(file, 0, 16)
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", start[2:4])[0] == 43
    counter, entry, offset_type, inline = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    offset_at = 8 if big else 4
    (offset,) = struct.unpack_from(f"{order}{offset_type}", start, offset_at)
    width = struct.calcsize(f"={counter}")
    (entries,) = struct.unpack(f"{order}{counter}", _read(file, offset, width))
    if entries > _MAX_ENTRIES:
        raise _Damaged(f"a directory of {entries} entries")
    tags: Tags = {}
    table = _read(file, offset + width, entries * entry)
    for position in range(0, len(table), entry):
        tag, kind = struct.unpack_from(f"{order}HH", table, position)
        (count,) = struct.unpack_from(f"{order}{offset_type}", table, position + 4)
        if tag not in _TAGS or kind not in _INTEGER_TYPES:
            continue
        dtype = np.dtype(f"{order}{_INTEGER_TYPES[kind]}")
        if not 0 < count <= _MAX_VALUES:
            raise _Damaged(f"{count} values of tag {tag}")
        size, at = count * dtype.itemsize, position + 4 + inline
        if size > inline:
            (place,) = struct.unpack_from(f"{order}{offset_type}", table, at)
            values = _read(file, place, size)
        else:
            values = table[at : at + size]
        tags[tag] = np.frombuffer(values, dtype=dtype).astype(np.uint64)
    return tags


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    if offset > file.seek(0, 2):
        raise _Damaged(f"truncated: no byte {offset}")
    file.seek(offset)
    found = file.read(size)
    if len(found) < size:
        raise _Damaged(f"truncated: {size} bytes missing at byte {offset}")
    return found


def _header(tags: Tags, *, length: int, name: str) -> ImageHeader:
    width, height, bands = _one(tags, _WIDTH), _one(tags, _HEIGHT), _one(tags, _SAMPLES, 1)
    types = {_SAMPLE_FORMAT: 1, _BITS: 1}
    for tag in types:
        values = sorted({int(value) for value in tags[tag]}) if tag in tags else [types[tag]]
        if len(values) > 1:
            raise SceneError(f"{name} has bands of different types: save all of its {bands} bands as one type")
        types[tag] = values[0]
    bits, kind = types[_BITS], _KINDS.get(types[_SAMPLE_FORMAT])
    if kind is None or bits not in (1, 2, 4, 8, 16, 32, 64) or (bits < 8 and kind != "uint") or not bands:
        raise SceneError(
            f"{name} has {bands} bands of {bits} bits (sample format {types[_SAMPLE_FORMAT]}): convert it to uint8, "
            "uint16 or float32"
        )
    check_claims(
        name=name,
        length=length,
        width=width,
        height=height,
        pixel_bytes=bands * max(1, bits // 8),
        padded=_padded(tags, width, height),
    )
    _check_whole(tags, length)
    photometric = _one(tags, _PHOTOMETRIC, _GREY_PHOTOMETRIC)
    plain = (
        _one(tags, _COMPRESSION, 1) in _PLAIN_COMPRESSIONS
        and _one(tags, _PLANAR, 1) == 1
        and _TILE_WIDTH not in tags
        and _one(tags, _ROWS_PER_STRIP, height) in (*range(1, height + 1), 2**32 - 1)
        and (bits, kind) in ((8, "uint"), (16, "uint"), (32, "float"))
        and (bands, photometric) in ((1, _GREY_PHOTOMETRIC), (3, _RGB_PHOTOMETRIC), (4, _RGB_PHOTOMETRIC))
        and _one(tags, _EXTRA_SAMPLES, 0) not in _ALPHA
    )
    palette = photometric == _PALETTE_PHOTOMETRIC
    return ImageHeader("TIFF", height, width, bands, f"{kind}{max(bits, 8)}", bits=bits, palette=palette, plain=plain)


def _one(tags: Tags, tag: int, default: int | None = None) -> int:
    """Returns a tag's first value."""
    if tag in tags:
        return int(tags[tag][0])
    if default is None:
        raise _Damaged(f"no tag {tag}")
    return default


def _padded(tags: Tags, width: int, height: int) -> tuple[int, int]:
    """Returns the image's width and height in whole tiles, or strips, which are decoded as a whole."""
    if not (width and height):
        return 0, 0
    strip = min(_one(tags, _ROWS_PER_STRIP, height), height)
    across, down = _one(tags, _TILE_WIDTH, width), _one(tags, _TILE_HEIGHT, strip)
    if not (across and down):
        raise _Damaged("tiles or strips of no size")
    return math.ceil(width / across) * across, math.ceil(height / down) * down


def _check_whole(tags: Tags, length: int) -> None:
    """Raises _Damaged where strips or tiles lie past the end of the file."""
    for offsets, sizes in ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES)):
        if offsets not in tags or sizes not in tags or len(tags[offsets]) != len(tags[sizes]):
            continue
        ends = tags[offsets].astype(np.float64) + tags[sizes].astype(np.float64)
        if ends.max() > length:
            raise _Damaged(f"truncated: pixels up to byte {ends.max():.0f}")
