"""How far two images of one place are shifted against each other."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.scene import BoolArray, Pixels

WORKING_SIDE = 256
"""Images are halved down to about so many pixels a side: shifts of many pixels are what matters, and it takes 2 ms."""
NARROWEST = 8
"""Sides are not halved below so many pixels."""

Float64Array = NDArray[np.float64]
DECIMALS = 3
"""OpenCV's Fourier transform may differ in its last bits from call to call; these decimals do not show it."""


def estimate_offset(first: Pixels, last: Pixels, *, valid: BoolArray | None = None) -> tuple[float, float, float]:
    """Returns (y, x, confidence): where content of the first image lies in the last one, relative to its old place.

    Phase correlation (Kuglin and Hines, 1975) of gradient magnitudes, so that light and season matter less. Positive y
    is down, positive x is right; pixels of the full image, precise to about half a pixel at 1024², rounded to DECIMALS
    so that equal images give equal numbers. The confidence is the share of the correlation that lies in the peak's
    neighbourhood, in [0, 1]; below about 0.1 the offset means little.

    Args:
        first: shape (height, width, bands), any dtype.
        last: of the same shape.
        valid: where both have data, shape (height, width); the edge of a black strip is no content. None is everywhere.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != last.shape:
        raise ValueError(f"images must have the same shape, found {first.shape} and {last.shape}")
    short, long = sorted(first.shape[:2])
    halvings = max(0, min(long // WORKING_SIDE, short // NARROWEST).bit_length() - 1)
    edges = [_edges(image, halvings) for image in (first, last)]
    if valid is not None:
        inner = _inner(valid, halvings)
        edges = [(each - each[inner].mean()) * inner if inner.any() else np.zeros_like(each) for each in edges]
    if short < 2 or not (edges[0].any() and edges[1].any()):
        return 0.0, 0.0, 0.0
    (x, y), response = cv2.phaseCorrelate(edges[0], edges[1], _window(edges[0].shape[1], edges[0].shape[0]))
    if not np.isfinite([x, y, response]).all():
        return 0.0, 0.0, 0.0
    y, x, confidence = np.round([y * 2**halvings, x * 2**halvings, min(max(response, 0.0), 1.0)], DECIMALS) + 0.0
    return float(y), float(x), float(confidence)


@lru_cache(maxsize=8)
def _window(width: int, height: int) -> Float64Array:
    return np.asarray(cv2.createHanningWindow((width, height), cv2.CV_64F), dtype=np.float64)


def _edges(image: Pixels, halvings: int) -> Float64Array:
    """Returns the gradient's magnitude of the image's brightness, halved so many times."""
    step = 2**halvings
    height, width = image.shape[0] // step * step, image.shape[1] // step * step
    small = _brightness(image[:height, :width])
    for _ in range(halvings):  # three times as fast as at once, which OpenCV does without vector instructions
        small = cv2.resize(small, (small.shape[1] // 2, small.shape[0] // 2), interpolation=cv2.INTER_AREA)
    exact = small.dtype == np.uint8  # whole numbers up to the square root
    gray = small if exact else np.nan_to_num(np.asarray(small, dtype=np.float32))
    down, across = (cv2.Sobel(gray, cv2.CV_16S if exact else cv2.CV_32F, dx, 1 - dx) for dx in (0, 1))
    down, across = down.astype(np.float32), across.astype(np.float32)
    return np.asarray(np.sqrt(down * down + across * across), dtype=np.float64)


def _inner(valid: BoolArray, halvings: int) -> BoolArray:
    """Returns what lies well within the valid pixels, halved as `_edges` does."""
    step = 2**halvings
    height, width = valid.shape[0] // step, valid.shape[1] // step
    whole = valid[: height * step, : width * step].reshape(height, step, width, step).all(axis=(1, 3))
    return np.asarray(cv2.erode(whole.view(np.uint8), np.ones((5, 5), np.uint8)), dtype=np.bool_)


def _brightness(image: Pixels) -> Pixels:
    bands = image.shape[2]
    if bands == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return np.ascontiguousarray(image[..., 0]) if bands == 1 else np.asarray(image.mean(axis=2, dtype=np.float32))
