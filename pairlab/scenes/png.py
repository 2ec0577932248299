"""PNG files from unknown hands: looked at before they are decoded, so that a header alone can never fill the memory."""

import zlib
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from pairlab.scenes.image_header import ImageHeader, check_claims
from pairlab.scenes.scene import SceneError, UInt8Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEADER_BYTES = 33
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_RGB = {2, 6}
"""Colour types of RGB, without and with alpha (PNG specification, section 11.2.1)."""
_GREY, _PALETTE = 0, 3
_MAX_CHUNKS = 100_000
"""Encoders put 8 to 64 kB of pixels into one, or all of them."""
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bit depths of each colour type."""


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
            height, width, bits, colour = _fields(file, name=name)
    except OSError as error:
        raise SceneError(f"{name} cannot be read ({error.strerror}): check that it may be read") from error
    if bits != 8 or colour not in _RGB:
        raise SceneError(f"{name} is not 8-bit RGB (bit depth {bits}, colour type {colour}): convert it to 8-bit RGB")
    return height, width


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
        content = path.read_bytes()
        check_chunks(content, name=name)
        # As the pixels lie in the file: a note on the camera's orientation must not turn one image of a pair.
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except (OSError, cv2.error) as error:
        raise SceneError(f"{name} cannot be decoded ({error}): copy the file again") from error
    if image is None or image.shape != (height, width, 3):
        raise SceneError(f"{name} is a damaged PNG: its header is sound, its pixels are not; copy the file again")
    return np.asarray(image, dtype=np.uint8)


def png_header(file: BinaryIO, *, name: str) -> ImageHeader:
    """Returns what a PNG of any kind claims to be; raises SceneError where it is damaged or too large.

    Args:
        file: opened for reading; its first 33 and last 12 bytes are read.
        name: what messages call it.
    """
    height, width, bits, colour = _fields(file, name=name)
    bands = 3 if colour in _RGB or colour == _PALETTE else 1
    dtype = "uint16" if bits == 16 else "uint8"
    return ImageHeader("PNG", height, width, bands, dtype, bits=bits, palette=colour == _PALETTE)


def check_chunks(content: bytes, *, name: str) -> None:
    """Raises SceneError unless the chunks of a PNG fill its file: OpenCV allocates what a chunk's length asks for."""
    start = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if start >= len(content):
            break
        start += 12 + int.from_bytes(content[start : start + 4], "big")
    if start != len(content):
        raise SceneError(f"{name} is a damaged PNG: its chunks do not end where the file ends; copy the file again")


def palette_as_grey(content: bytes) -> bytes:
    """Returns a palette PNG as a grey one, whose values are the palette's positions.

    The header's colour type becomes grey and the tables of colours go; the pixels are stored alike (PNG specification,
    section 11.2.1), so that nothing is decoded.
    """
    header = content[12:25] + bytes([_GREY]) + content[26:29]
    parts = [content[:12], header, zlib.crc32(header).to_bytes(4, "big")]
    start = _HEADER_BYTES
    for _ in range(_MAX_CHUNKS):
        kind = content[start + 4 : start + 8]
        if kind in (b"IDAT", b""):
            break
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if kind not in (b"PLTE", b"tRNS"):
            parts.append(content[start:end])
        start = end
    return b"".join([*parts, content[start:]])


def _fields(file: BinaryIO, *, name: str) -> tuple[int, int, int, int]:
    """Returns height, width, bit depth and colour type of a PNG that has a sound header and an end."""
    header = file.read(_HEADER_BYTES)
    length = file.seek(0, 2)
    file.seek(max(length - len(_END), 0))
    end = file.read(len(_END))
    if not header.startswith(SIGNATURE):
        found = "an empty file" if not header else f"a file that starts with {header[:8]!r}"
        raise SceneError(f"{name} is not a PNG, but {found}: put the original image in its place")
    if len(header) < _HEADER_BYTES:
        raise SceneError(f"{name} is a truncated PNG of {length} bytes: copy the file again")
    if header[8:16] != b"\x00\x00\x00\x0dIHDR" or zlib.crc32(header[12:29]) != int.from_bytes(header[29:33], "big"):
        raise SceneError(f"{name} is a damaged PNG: its header does not match its checksum; copy the file again")
    if end != _END:
        raise SceneError(f"{name} is a truncated PNG: {length} bytes, no IEND chunk at the end; copy the file again")
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    bits, colour = header[24], header[25]
    if bits not in _BITS.get(colour, ()):
        raise SceneError(f"{name} is a damaged PNG: no colour type {colour} has bit depth {bits}; copy the file again")
    bands = 3 if colour in _RGB or colour == _PALETTE else 1
    check_claims(name=name, length=length, width=width, height=height, pixel_bytes=bands * max(1, bits // 8))
    return height, width, bits, colour
