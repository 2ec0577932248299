"""PNG files from unknown hands: looked at before they are decoded, so that a header alone can never fill the memory."""

import zlib
from pathlib import Path

import cv2
import numpy as np

from pairlab.scenes.scene import SceneError, UInt8Array

MAX_SIDE = 8192
"""Greatest height and width that is read, pixels (201 MB decoded)."""
MAX_FILE_BYTES = 256 * 2**20

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 33
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_COLOURS = {2, 6}
"""Colour types of 8-bit RGB, without and with alpha (PNG specification, section 11.2.1)."""


def png_size(path: Path, *, name: str) -> tuple[int, int]:
    """Returns (height, width) of an 8-bit RGB PNG from its first 33 bytes, and checks that its last 12 are there.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        SceneError: not a PNG, truncated, larger than MAX_SIDE, or other than 8-bit RGB.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
            length = file.seek(0, 2)
            file.seek(max(length - len(_END), 0))
            end = file.read(len(_END))
    except OSError as error:
        raise SceneError(f"{name} cannot be read ({error.strerror}): check that it may be read") from error
    return _checked_size(header, end, length, name=name)


def decode_png(path: Path, *, name: str) -> UInt8Array:
    """Returns the image as uint8 RGB of shape (height, width, 3).

    Args:
        path: an 8-bit RGB PNG.
        name: what messages call it.

    Raises:
        SceneError: as `png_size`, or the pixels cannot be decoded.
    """
    height, width = png_size(path, name=name)
    try:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    except (OSError, cv2.error) as error:
        raise SceneError(f"{name} cannot be decoded ({error}): copy the file again") from error
    if image is None or image.shape != (height, width, 3):
        raise SceneError(f"{name} is a damaged PNG: its header is sound, its pixels are not; copy the file again")
    return np.asarray(image, dtype=np.uint8)


def _checked_size(header: bytes, end: bytes, length: int, *, name: str) -> tuple[int, int]:
    if not header.startswith(_SIGNATURE):
        found = "an empty file" if not header else f"a file that starts with {header[:8]!r}"
        raise SceneError(f"{name} is not a PNG, but {found}: put the original image in its place")
    if len(header) < _HEADER_BYTES:
        raise SceneError(f"{name} is a truncated PNG of {length} bytes: copy the file again")
    if header[8:16] != b"\x00\x00\x00\x0dIHDR" or zlib.crc32(header[12:29]) != int.from_bytes(header[29:33], "big"):
        raise SceneError(f"{name} is a damaged PNG: its header does not match its checksum; copy the file again")
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise SceneError(
            f"{name} claims {width} × {height} pixels; 1 to {MAX_SIDE} a side are read: cut larger images into tiles"
        )
    bits, colour = header[24], header[25]
    if bits != 8 or colour not in _COLOURS:
        raise SceneError(f"{name} is not 8-bit RGB (bit depth {bits}, colour type {colour}): convert it to 8-bit RGB")
    if end != _END:
        raise SceneError(f"{name} is a truncated PNG: {length} bytes, no IEND chunk at the end; copy the file again")
    if length > MAX_FILE_BYTES:
        raise SceneError(f"{name} has {length} bytes, more than the {MAX_FILE_BYTES} that are read: compress it again")
    return height, width
