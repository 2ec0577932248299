"""What the first bytes of an image file claim, and which claims are believed."""

from dataclasses import dataclass
from typing import Literal

from pairlab.scenes.scene import SceneError

MAX_SIDE = 8192
"""Greatest height and width that is read, pixels."""
MAX_FILE_BYTES = 256 * 2**20
MAX_DECODED_BYTES = 256 * 2**20
"""8192² pixels of 8-bit RGB, or 2272² of thirteen bands of float32."""
UNSUSPICIOUS_BYTES = 32 * 2**20
"""Decoded size up to which a file may be as small as it likes."""
MAX_RATIO = 2000
"""Greatest decoded size as a multiple of the file's: Deflate and LZW reach 1,030 and 1,370, Huffman codes 1,024."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """One image file, looked at without decoding a pixel."""

    kind: Literal["PNG", "JPEG", "TIFF"]
    height: int
    width: int
    bands: int
    """Without the alpha channel of a PNG; of a TIFF all samples."""
    dtype: str
    """NumPy's name of the samples' type."""
    bits: int = 8
    """Of a sample; below 8 where several share a byte."""
    palette: bool = False
    """Samples are positions in a table of colours."""
    plain: bool = True
    """OpenCV reads it as it is; False: a TIFF that it would refuse or misread."""

    @property
    def size(self) -> str:
        """Width × height, for sentences."""
        return f"{self.width} × {self.height}"


def check_claims(
    *, name: str, length: int, width: int, height: int, pixel_bytes: int, padded: tuple[int, int] | None = None
) -> None:
    """Raises SceneError where an image is larger than is read, or larger than its file can possibly hold.

    Args:
        name: what messages call the file.
        length: of the file, bytes.
        width: pixels.
        height: pixels.
        pixel_bytes: of all bands of a pixel.
        padded: width and height with all that a decoder allocates around the image.
    """
    across, down = padded or (width, height)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise SceneError(
            f"{name} claims {width} × {height} pixels; 1 to {MAX_SIDE} a side are read: cut larger images into tiles"
        )
    decoded = across * down * pixel_bytes
    if decoded > MAX_DECODED_BYTES:
        raise SceneError(
            f"{name} claims {width} × {height} pixels of {pixel_bytes} bytes, {decoded} bytes decoded; at most "
            f"{MAX_DECODED_BYTES} are read: cut larger images into tiles"
        )
    if length > MAX_FILE_BYTES:
        raise SceneError(f"{name} has {length} bytes, more than the {MAX_FILE_BYTES} that are read: compress it again")
    if decoded > UNSUSPICIOUS_BYTES and decoded > MAX_RATIO * length:
        raise SceneError(
            f"{name} claims {width} × {height} pixels, more than its {length} bytes can hold: copy the file again"
        )
