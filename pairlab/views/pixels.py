"""Views as tensors: a batch of chips cropped, turned and photometrically varied on the device at once."""

from dataclasses import dataclass, fields

import kornia
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pairlab.experiment.training import Augmentation
from pairlab.scenes.scene import RGB, Bands, Pixels

MEAN, DEVIATION = 0.5, 0.25


@dataclass(frozen=True)
class PhotometricFactors:
    """What each view of a batch is varied by; float32 arrays of shape (views,)."""

    brightness: NDArray[np.float32]
    """Factor; 1 leaves the view alone."""
    contrast: NDArray[np.float32]
    """Factor about the view's mean."""
    saturation: NDArray[np.float32]
    """Factor; 0 is grey. Of RGB alone."""
    hue: NDArray[np.float32]
    """Radians. Of RGB alone."""
    blur: NDArray[np.float32]
    """Deviation of the Gaussian in pixels; 0 is none."""

    def of(self, views: NDArray[np.int64]) -> "PhotometricFactors":
        """Returns the factors of some of the views."""
        return PhotometricFactors(**{each.name: getattr(self, each.name)[views] for each in fields(self)})


def draw_factors(count: int, augmentation: Augmentation, *, rng: np.random.Generator) -> PhotometricFactors:
    """Returns random photometric factors for `count` views."""
    a = augmentation
    gray = rng.random(count) < a.grayscale
    saturation = np.where(gray, 0.0, rng.uniform(1 - a.saturation, 1 + a.saturation, count))
    blur = np.where(rng.random(count) < a.blur, rng.uniform(0.1, 1.0, count), 0.0)
    return PhotometricFactors(
        brightness=rng.uniform(1 - a.brightness, 1 + a.brightness, count).astype(np.float32),
        contrast=rng.uniform(1 - a.contrast, 1 + a.contrast, count).astype(np.float32),
        saturation=saturation.astype(np.float32),
        hue=(rng.uniform(-a.hue, a.hue, count) * 2 * np.pi).astype(np.float32),
        blur=blur.astype(np.float32),
    )


def render_views(
    chips: Pixels,
    views: NDArray[np.float64],
    factors: PhotometricFactors,
    *,
    bands: Bands,
    device: torch.device,
) -> Tensor:
    """Returns the views of a batch as the networks take them, float32 of shape (views, bands, size, size).

    Args:
        chips: as the dataset has them, shape (views, size, size, bands).
        views: matrices as they are cropped, shape (views, 2, 3).
        factors: one of each per view.
        bands: of the dataset.
        device: where to render.
    """
    images = to_unit_range(_copied(torch.from_numpy(chips), device).permute(0, 3, 1, 2), bands)
    return standardise(vary(crop(images, views), factors))


def _copied(chips: Tensor, device: torch.device) -> Tensor:
    """Returns chips on the device; to a GPU they go from locked memory, so that nothing waits for the copy."""
    return chips.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else chips.to(device)


def to_unit_range(images: Tensor, bands: Bands) -> Tensor:
    """Returns images as float32 in [0, 1]: each band's low becomes 0 and its high 1; what has no data becomes 0.

    Args:
        images: uint8, uint16 or float32 as they are in their files, shape (batch, bands, height, width).
        bands: of their dataset.
    """
    values = images.float()
    if images.dtype == torch.uint8 and bands == RGB:
        return values / 255.0
    low, high = (torch.tensor(limits).to(values)[:, None, None] for limits in (bands.low, bands.high))
    known = values.isfinite()
    if bands.no_data is not None:
        known &= (values != bands.no_data).any(dim=1, keepdim=True)
    return torch.where(known, ((values - low) / (high - low)).clamp(0, 1), 0.0)


def standardise(images: Tensor) -> Tensor:
    """Returns images in [0, 1] shifted and scaled as the networks take them; always the last step."""
    return (images - MEAN).div_(DEVIATION)


def crop(images: Tensor, matrices: NDArray[np.float64]) -> Tensor:
    """Returns the views of chips, by bilinear interpolation; beyond the chip its border is repeated.

    Args:
        images: float32 in [0, 1], shape (views, bands, size, size).
        matrices: from `geometry.draw_views`, shape (views, 2, 3).
    """
    size = images.shape[-1]
    # grid_sample wants the map between coordinates that run from −1 to 1 over the image.
    linear = matrices[:, :, :2]
    offset = linear @ np.ones(2) + (matrices[:, :, 2] * 2 / size) - 1
    theta = torch.from_numpy(np.concatenate([linear, offset[:, :, None]], axis=2)).to(images)
    # What affine_grid gives, as a sum of a term per column and one per row instead of a product of small matrices.
    along = (torch.arange(size, device=theta.device, dtype=theta.dtype) * 2 + 1) / size - 1
    columns = theta[:, None, None, :, 0] * along[None, None, :, None]
    rows = theta[:, None, None, :, 1] * along[None, :, None, None] + theta[:, None, None, :, 2]
    grid = columns + rows  # (views, size, size, 2)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def vary(images: Tensor, factors: PhotometricFactors) -> Tensor:
    """Returns images in [0, 1] with light, contrast, colour and sharpness varied, float32 in [0, 1].

    Hue and saturation are a matter of RGB: of any other number of bands they vary nothing.

    Args:
        images: float32 in [0, 1], shape (views, bands, height, width).
        factors: one of each per view.
    """
    brightness, contrast, saturation, hue, blur = (
        torch.from_numpy(values).to(images.device)
        for values in (factors.brightness, factors.contrast, factors.saturation, factors.hue, factors.blur)
    )
    images = (images * brightness[:, None, None, None]).clamp_(0, 1)
    contrast = contrast[:, None, None, None]
    rest = images.mean(dim=(1, 2, 3), keepdim=True) * (1 - contrast)
    images = images.mul_(contrast).add_(rest).clamp_(0, 1)
    if images.shape[1] == len(RGB):
        if factors.hue.any():
            images = shift_hue(images, hue)
        gray = kornia.color.rgb_to_grayscale(images)
        images = torch.lerp(gray, images, saturation[:, None, None, None]).clamp_(0, 1)
    if factors.blur.any():
        blurred = torch.from_numpy(np.flatnonzero(factors.blur)).to(
            images.device
        )  # chosen here: a GPU is not waited for
        sigma = blur[blurred, None].expand(-1, 2)
        images = images.index_copy_(0, blurred, kornia.filters.gaussian_blur2d(images[blurred], (5, 5), sigma))
    return images.clamp_(0, 1)


def shift_hue(images: Tensor, radians: Tensor) -> Tensor:
    """Returns RGB images turned about the colour circle of HSV, at equal value and saturation.

    Channel = value − chroma · (1 − clamp(|(hue + offset) mod 6 − 3| − 1, 0, 1)), hue in sixths of the circle and the
    offsets of red, green and blue 0, 4 and 2 (Smith, Color gamut transform pairs, SIGGRAPH 1978). It takes less than
    half the time of a conversion to HSV and back.

    Args:
        images: float32 in [0, 1], shape (views, 3, height, width).
        radians: one angle per view.
    """
    red, green, blue = images.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    from_red, from_green, from_blue = green - blue, blue - red, red - green
    is_red, is_green = red == value, green == value
    greatest = torch.where(is_red, from_red, torch.where(is_green, from_green, from_blue))
    sector = torch.where(is_red, 0.0, torch.where(is_green, 2.0, 4.0))
    divisor = chroma.clamp_min(torch.finfo(chroma.dtype).tiny)  # where it is 0, so is what it divides
    hue = greatest.div_(divisor).add_(sector).add_((radians * (3 / torch.pi)).to(images)[:, None, None])
    offsets = torch.tensor([0.0, 4.0, 2.0]).to(images)[:, None, None]
    turned = hue[:, None] + offsets
    turned = turned.sub_((turned / 6).floor_().mul_(6)).sub_(3).abs_().sub_(1).clamp_(0, 1)
    return turned.sub_(1).mul_(chroma[:, None]).add_(value[:, None])
