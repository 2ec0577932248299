"""Images, labels and change maps of scenes as PNG, whole or cut, scaled down on the server."""

from typing import Self

import cv2
import numpy as np
from pydantic import BaseModel, Field, model_validator

from backend.datasets.sources import OpenDataset
from backend.errors import InvalidError, NotFoundError
from pairlab.experiment.model import content_hash
from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes.bands import to_rgb
from pairlab.scenes.scene import IGNORE, ChangeMaps, Scene, UInt8Array

RENDER_VERSION = 2
"""Part of every ETag: raised whenever the same request would give other bytes."""
PNG_LEVEL = 1
"""Half the time of the default level for a tenth more bytes."""

CHANGED, UNCHANGED_OBJECT = 1, 2


class Cut(BaseModel):
    """Which part of a scene, how large, and of which redraw."""

    size: int | None = Field(default=None, ge=8, le=8192, description="Longest side after scaling down, pixels.")
    y: int | None = Field(default=None, ge=0, description="Upper edge of a chip, pixels; with `x` and `chip`.")
    x: int | None = Field(default=None, ge=0, description="Left edge of a chip, pixels; with `y` and `chip`.")
    chip: int | None = Field(default=None, ge=1, le=8192, description="Height and width of a chip, pixels.")
    draw: int = Field(
        default=0,
        ge=0,
        le=2**31 - 1,
        description="Which redraw of synthetic scenes: the seed of a run. Files ignore it.",
    )

    @model_validator(mode="after")
    def _whole_chip(self) -> Self:
        given = [name for name in ("y", "x", "chip") if getattr(self, name) is not None]
        if given and len(given) < 3:
            raise ValueError(f"a chip needs y, x and chip together, got {' and '.join(given)} alone")
        return self


class ImageCut(Cut):
    """As `Cut`, and whose object states are shown."""

    state: str | None = Field(
        default=None, max_length=60, description="Acquisition whose object states are shown (synthetic scenes alone)."
    )


class MaskCut(Cut):
    """As `Cut`, and which classes."""

    scheme: LabelScheme = Field(default="intact_damaged", description="Label scheme; the dataset lists those it has.")
    unclassified: Unclassified = Field(
        default="ignore", description="What becomes of xBD's un-classified buildings: 255, intact, or a last class."
    )


def entity_tag(opened: OpenDataset, scene: Scene, what: str, cut: Cut) -> str:
    """Returns the ETag of a rendering, known before anything is rendered."""
    asked = {"dataset": content_hash(opened.reference), "scene": scene.name, "what": what, "version": RENDER_VERSION}
    if isinstance(cut, ImageCut):
        asked["bands"] = repr(opened.source.bands)  # their limits become known while the dataset is indexed
    return f'"{content_hash({**asked, "cut": cut.model_dump(mode="json")})[:32]}"'


def render_image(opened: OpenDataset, scene: Scene, acquisition: str, cut: ImageCut) -> bytes:
    """Returns an acquisition as RGB PNG, scaled down by area; of other bands, the first three or grey."""
    for name in (acquisition, cut.state):
        if name is not None:
            check_acquisition(scene, name)
    rows, cols = _window(scene, cut)
    image = to_rgb(opened.source.image(scene, acquisition, state=cut.state)[rows, cols], opened.source.bands)
    shape = _scaled_shape(image, cut.size)
    if shape is not None:
        image = np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return _encode(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def render_mask(opened: OpenDataset, scene: Scene, acquisition: str, cut: MaskCut) -> bytes:
    """Returns an acquisition's label as class-index PNG (mode L), 255 ignored, scaled down by nearest pixel."""
    check_acquisition(scene, acquisition)
    mask = opened.source.mask(scene, acquisition, cut.scheme, unclassified=cut.unclassified)
    return _render_indices(mask, scene, cut)


def render_change(opened: OpenDataset, scene: Scene, cut: Cut) -> bytes:
    """Returns where a scene changed: 0 unchanged ground, 1 relevant change, 2 object without change, 255 unknown."""
    return _render_indices(change_indices(opened.source.change(scene)), scene, cut)


def change_indices(maps: ChangeMaps) -> UInt8Array:
    """Returns a change map as class indices; pixels without data are unknown too."""
    indices = np.zeros(maps.changed.shape, dtype=np.uint8)
    indices[maps.objects] = UNCHANGED_OBJECT
    indices[maps.changed] = CHANGED
    indices[(maps.unknown & ~maps.changed) | ~maps.valid] = IGNORE
    return indices


def check_acquisition(scene: Scene, acquisition: str) -> None:
    """Raises NotFoundError unless the scene has an acquisition of that name."""
    if acquisition not in scene.acquisitions:
        raise NotFoundError(
            f"scene {scene.name!r} has no acquisition {acquisition[:60]!r}; there are: {', '.join(scene.acquisitions)}"
        )


def _render_indices(indices: UInt8Array, scene: Scene, cut: Cut) -> bytes:
    indices = indices[_window(scene, cut)]
    shape = _scaled_shape(indices, cut.size)
    if shape is not None:
        indices = np.asarray(cv2.resize(indices, shape, interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
    return _encode(indices)


def _window(scene: Scene, cut: Cut) -> tuple[slice, slice]:
    """Returns rows and columns of the part that is asked for; raises InvalidError where the scene ends before it."""
    if cut.y is None or cut.x is None or cut.chip is None:
        return slice(None), slice(None)
    if cut.y + cut.chip > scene.height or cut.x + cut.chip > scene.width:
        raise InvalidError(
            f"a chip of {cut.chip} pixels at y {cut.y}, x {cut.x} does not lie within scene {scene.name!r} "
            f"({scene.height} × {scene.width} pixels)"
        )
    return slice(cut.y, cut.y + cut.chip), slice(cut.x, cut.x + cut.chip)


def _scaled_shape(pixels: UInt8Array, size: int | None) -> tuple[int, int] | None:
    """Returns (width, height) after scaling down, or None where nothing is to be done."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    if size is None or size >= longest:
        return None
    return max(1, round(width * size / longest)), max(1, round(height * size / longest))


def _encode(pixels: UInt8Array) -> bytes:
    done, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image of shape {pixels.shape}")
    return bytes(encoded)
