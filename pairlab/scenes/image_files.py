"""Images and masks as PNG, JPEG or TIFF: their headers looked at first, so that no claim fills the memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.scenes import jpeg, png, tiff
from pairlab.scenes.bands import MAX_BANDS
from pairlab.scenes.folder import open_regular
from pairlab.scenes.image_header import ImageHeader
from pairlab.scenes.scene import Pixels, SceneError

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
IMAGE_TYPES = ("uint8", "uint16", "float32")

_READERS: Mapping[bytes, Callable[..., ImageHeader]] = {
    png.SIGNATURE: png.png_header,
    jpeg.SIGNATURE: jpeg.jpeg_header,
    **dict.fromkeys(tiff.SIGNATURES, tiff.tiff_header),
}


def image_header(path: Path, *, name: str) -> ImageHeader:
    """Returns what an image file claims, read from its header; what it is says its content, not its ending.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        SceneError: no PNG, JPEG or TIFF, damaged, truncated, too large, not 1 to 13 bands, or of another type than
            uint8, uint16 and float32.
    """
    with open_regular(path, name=name) as file:
        return _image_header(file, name=name)


def read_image(path: Path, *, name: str) -> Pixels:
    """Returns an image's bands as they are in the file, shape (height, width, bands); a PNG's alpha is left out.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        SceneError: as `image_header`, or the pixels cannot be decoded.
    """
    with open_regular(path, name=name) as file:
        header = _image_header(file, name=name)
        content = _content(file, name=name)
    if header.kind == "TIFF":
        return tiff.decode_tiff(content, header, name=name)
    if header.kind == "PNG":
        png.check_chunks(content, name=name)
    return _decoded(content, header, colour=header.bands == 3, name=name)


def mask_header(path: Path, *, name: str) -> ImageHeader:
    """Returns what a mask's file claims; raises SceneError as `image_header`, and for files that hold no indices.

    Args:
        path: the file.
        name: what messages call it.
    """
    with open_regular(path, name=name) as file:
        return _mask_header(file, name=name)


def read_mask(path: Path, *, name: str) -> NDArray[Any]:
    """Returns a mask's values, integers of shape (height, width).

    Of a palette image they are the positions in the palette, of fewer than 8 bits the values as stored; a mask saved as
    RGB must have three equal bands.

    Args:
        path: the file.
        name: what messages call it.

    Raises:
        SceneError: as `mask_header`, the pixels cannot be decoded, or the bands differ.
    """
    with open_regular(path, name=name) as file:
        header = _mask_header(file, name=name)
        content = _content(file, name=name)
    if header.kind == "TIFF":
        values: NDArray[Any] = tiff.decode_tiff(content, header, name=name)
    else:
        png.check_chunks(content, name=name)
        if header.palette:
            content = png.palette_as_grey(content)
        colour = header.bands == 3 and not header.palette
        values = _decoded(content, header, colour=colour, name=name)
        if header.bits < 8:
            values = values // (255 // (2**header.bits - 1))  # decoded to the whole range of 8 bits
    if values.shape[2] > 1 and (values != values[..., :1]).any():
        raise SceneError(f"{name} is a picture in colour, no mask: save the class of each pixel as one 8-bit grey band")
    return np.ascontiguousarray(values[..., 0])


def _header(file: BinaryIO, *, name: str) -> ImageHeader:
    start = file.read(8)
    file.seek(0)
    for signature, read in _READERS.items():
        if start.startswith(signature):
            return read(file, name=name)
    found = f"a file that starts with {start!r}" if start else "an empty file"
    raise SceneError(f"{name} is no PNG, JPEG or TIFF, but {found}: put the original image in its place")


def _image_header(file: BinaryIO, *, name: str) -> ImageHeader:
    header = _header(file, name=name)
    if header.kind == "TIFF" and (header.palette or header.bits < 8):
        raise SceneError(f"{name} is a TIFF of {header.bits} bits a pixel or with a palette: convert it to 8-bit RGB")
    if header.dtype not in IMAGE_TYPES:
        raise SceneError(f"{name} holds {header.dtype}: convert it to one of {', '.join(IMAGE_TYPES)}")
    if header.bands > MAX_BANDS:
        raise SceneError(f"{name} has {header.bands} bands; 1 to {MAX_BANDS} are read: leave some out")
    return header


def _mask_header(file: BinaryIO, *, name: str) -> ImageHeader:
    header = _header(file, name=name)
    if header.kind == "JPEG":
        raise SceneError(f"{name} is a JPEG, which blurs the edges between classes: save the mask as PNG or TIFF")
    if np.dtype(header.dtype).kind not in "iu":
        raise SceneError(f"{name} holds {header.dtype}: save the class of each pixel as one 8-bit grey band")
    if header.bands not in (1, 3):
        raise SceneError(f"{name} has {header.bands} bands: save the class of each pixel as one 8-bit grey band")
    return header


def _content(file: BinaryIO, *, name: str) -> bytes:
    file.seek(0)
    try:
        return file.read()
    except OSError as error:
        raise SceneError(f"{name} cannot be read ({error.strerror}): check the disk it lies on") from error


def _decoded(content: bytes, header: ImageHeader, *, colour: bool, name: str) -> Pixels:
    """Returns a PNG's or JPEG's pixels, shape (height, width, 1 or 3)."""
    # As the pixels lie in the file: a note on the camera's orientation must not turn one image of a pair.
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE
    try:
        image = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error as error:
        raise SceneError(f"{name} cannot be decoded ({error}): copy the file again") from error
    if image is None or image.shape[:2] != (header.height, header.width) or image.dtype != header.dtype:
        raise SceneError(
            f"{name} is a damaged {header.kind}: its header is sound, its pixels are not; copy the file again"
        )
    return np.asarray(image.reshape(header.height, header.width, 3 if colour else 1))
