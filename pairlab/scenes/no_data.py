"""Where images have no data: NaN, a declared value, or black areas too large for a shadow."""

from collections.abc import Callable

import cv2
import numpy as np

from pairlab.scenes.scene import BoolArray, Pixels

MIN_BLACK_PIXELS = 256
"""Smallest connected black area that counts as no data; smaller ones are shadows and dark roofs."""


def without_data(image: Pixels, *, value: float | None = None) -> BoolArray:
    """Returns where an image has no data in any band, bool of shape (height, width).

    Args:
        image: shape (height, width, bands), any type; NaN and infinity are never data.
        value: stands for no data; None takes connected areas of at least MIN_BLACK_PIXELS that are exactly 0.
    """
    empty = large_areas(_all_bands_are(image, 0.0)) if value is None else _all_bands_are(image, value)
    return empty | _no_band_is_finite(image) if image.dtype == np.float32 else empty


def _all_bands_are(image: Pixels, value: float) -> BoolArray:
    with np.errstate(over="ignore"):  # a value beyond float32 is infinite, which no finite pixel equals
        wanted = np.float64(value).astype(np.float32 if image.dtype == np.float32 else np.float64)
    return _in_every_band(image, lambda band: np.asarray(band == wanted))


def _no_band_is_finite(image: Pixels) -> BoolArray:
    return _in_every_band(image, lambda band: ~np.isfinite(band))


def _in_every_band(image: Pixels, holds: Callable[[Pixels], BoolArray]) -> BoolArray:
    """Returns where something holds in all bands; most images are done after the first one."""
    where = np.ones(image.shape[:2], dtype=np.bool_)
    for band in np.moveaxis(image, 2, 0):
        where &= holds(band)
        if not where.any():
            break
    return where


def large_areas(where: BoolArray) -> BoolArray:
    """Returns those of the marked pixels that lie in connected areas of at least MIN_BLACK_PIXELS."""
    if np.count_nonzero(where) < MIN_BLACK_PIXELS:
        return np.zeros_like(where)
    _, areas, statistics, _ = cv2.connectedComponentsWithStats(where.view(np.uint8))
    large = np.asarray(statistics[:, cv2.CC_STAT_AREA] >= MIN_BLACK_PIXELS)
    large[0] = False  # everything that is not black
    return np.asarray(large[areas], dtype=np.bool_)
