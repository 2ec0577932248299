"""JPEG files from unknown hands: what their frame header claims (ITU T.81, section B.2.2)."""

from typing import BinaryIO

from pairlab.scenes.image_header import ImageHeader, check_claims
from pairlab.scenes.scene import SceneError

SIGNATURE = b"\xff\xd8\xff"

_MAX_SEGMENTS = 1000
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame; the other three are tables."""
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN, _END = 0xDA, 0xD9


def jpeg_header(file: BinaryIO, *, name: str) -> ImageHeader:
    """Returns what a JPEG claims to be: grey or RGB of 8 bits.

    Args:
        file: opened for reading at its start; segments before the frame are skipped, not read.
        name: what messages call it.

    Raises:
        SceneError: damaged, too large, or of another kind (CMYK, 12 bits).
    """
    length = file.seek(0, 2)
    file.seek(2)
    for _ in range(_MAX_SEGMENTS):
        marker = _marker(file)
        if marker in _WITHOUT_LENGTH:
            continue
        size = int.from_bytes(file.read(2), "big")
        if marker is None or marker in (_SCAN, _END) or size < 2:
            break
        if marker not in _FRAMES:
            file.seek(size - 2, 1)
            continue
        frame = file.read(6)
        if len(frame) < 6:
            break
        bits, bands = frame[0], frame[5]
        height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
        if bits != 8 or bands not in (1, 3):
            raise SceneError(
                f"{name} is no grey or RGB JPEG of 8 bits ({bands} components of {bits} bits): convert it to 8-bit RGB"
            )
        check_claims(name=name, length=length, width=width, height=height, pixel_bytes=bands)
        return ImageHeader("JPEG", height, width, bands, "uint8")
    raise SceneError(f"{name} is a damaged JPEG of {length} bytes without a frame header: copy the file again")


def _marker(file: BinaryIO) -> int | None:
    """Returns the next marker's second byte; None where there is no marker."""
    if file.read(1) != b"\xff":
        return None
    for _ in range(_MAX_SEGMENTS):  # any number of fill bytes
        byte = file.read(1)
        if byte != b"\xff":
            return byte[0] if byte else None
    return None
