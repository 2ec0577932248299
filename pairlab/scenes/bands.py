"""What maps the values of a dataset's bands to [0, 1] for networks and eyes: fitted on images of its train split."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pairlab.scenes.no_data import without_data
from pairlab.scenes.scene import RGB, Bands, Pixels, SceneError, SceneSource, UInt8Array

MAX_BANDS = 13
"""As Sentinel-2 has them."""
FITTED_IMAGES = 64
"""Images that statistics are taken from: percentiles of a hundred hardly differ."""
FITTED_PIXELS = 16_384
"""Pixels taken from each."""
PERCENTILES = (1.0, 99.0)
"""Of a band's values, what becomes 0 and 1: a few clouds or dead sensor lines do not darken everything else."""


def default_bands(count: int, dtype: DTypeLike, *, no_data: float | None = None) -> Bands:
    """Returns bands over the whole range of their type: 0 to 255, 0 to 65535, or 0 to 1 for float32.

    Args:
        count: number of bands; 3 are red, green and blue, 1 is grey.
        dtype: uint8, uint16 or float32.
        no_data: value that stands for no data, None without one.
    """
    names = {1: ("grey",), 3: RGB.names}.get(count) or tuple(f"band {number}" for number in range(1, count + 1))
    high = float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0
    return Bands(names=names, low=(0.0,) * count, high=(high,) * count, no_data=no_data)


def fit_bands(source: SceneSource, *, images: int = FITTED_IMAGES, pixels: int = FITTED_PIXELS, seed: int = 0) -> Bands:
    """Returns the source's bands with PERCENTILES of their values in the train split as low and high.

    Grey and RGB pictures of 8 bits keep 0 to 255: they are scaled for the eye already. What has no data is left out,
    and so are images that cannot be used. The same source and seed give the same numbers.

    Args:
        source: the dataset; the scenes of its own train split are looked at.
        images: how many images, drawn from all of them.
        pixels: how many pixels of each.
        seed: of both draws.
    """
    bands = source.bands
    rng = np.random.default_rng([seed, len(bands)])
    values = []
    for image in _drawn_images(source, images, rng):
        if image.dtype == np.uint8 and len(bands) in (1, 3):
            return bands
        chosen = rng.integers(image.shape[0] * image.shape[1], size=pixels)
        drawn = image.reshape(-1, len(bands))[chosen]
        values.append(drawn[np.isfinite(drawn).all(axis=1) & ~source.no_data(image).ravel()[chosen]])
    if not sum(map(len, values)):
        return bands
    low, high = np.percentile(np.concatenate(values).astype(np.float64), PERCENTILES, axis=0)
    high = np.where(high > low, high, low + 1)  # a band of one value becomes 0
    return Bands(bands.names, low=tuple(low.tolist()), high=tuple(high.tolist()), no_data=bands.no_data)


def to_rgb(image: Pixels, bands: Bands) -> UInt8Array:
    """Returns what people see of an image, uint8 RGB of shape (height, width, 3): its first three bands, or grey.

    Args:
        image: shape (height, width, bands).
        bands: of its dataset; low becomes black, high becomes white, no data is black.
    """
    if image.dtype == np.uint8 and bands == RGB:
        return np.asarray(image, dtype=np.uint8)
    shown = [0, 1, 2] if len(bands) >= 3 else [0, 0, 0]
    low, high = (np.array(limits, dtype=np.float32)[shown] for limits in (bands.low, bands.high))
    scaled = (image[..., shown].astype(np.float32) - low) * (255 / (high - low))
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
    if bands.no_data is not None:
        scaled[without_data(image, value=bands.no_data)] = 0
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _drawn_images(source: SceneSource, count: int, rng: np.random.Generator) -> Iterator[Pixels]:
    """Yields images of the train split in a drawn order, those that cannot be used passed over."""
    train = [(scene, date) for scene in source.scenes if scene.split == "train" for date in scene.acquisitions]
    found = 0
    order: NDArray[np.intp] = rng.permutation(len(train))
    for position in order.tolist():
        if found == count:
            return
        try:
            yield source.image(*train[position])
        except SceneError:  # the index names it among the quarantined
            continue
        found += 1
