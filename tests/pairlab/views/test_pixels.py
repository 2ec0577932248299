import numpy as np
import pytest
import torch

from pairlab.experiment.methods import Augmentation
from pairlab.views.geometry import draw_views, to_chip
from pairlab.views.pixels import PhotometricFactors, crop, draw_factors, vary

SIZE = 32


def factors(count: int, **changes: float) -> PhotometricFactors:
    values = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, "blur": 0.0} | changes
    return PhotometricFactors(**{name: np.full(count, value, np.float32) for name, value in values.items()})


def test_a_crop_shows_the_ground_its_matrix_names() -> None:
    # An image of its own coordinates: what a view shows at a pixel is where the matrix says it comes from.
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    image = torch.stack([x, y, torch.zeros_like(x)])[None].expand(16, -1, -1, -1) / SIZE
    views = draw_views(16, size=SIZE, crop_scale=(0.3, 0.9), flips=True, rng=np.random.default_rng(1))
    shown = crop(image, views)[:, :2].permute(0, 2, 3, 1).reshape(16, -1, 2).numpy() * SIZE
    along = np.arange(SIZE) + 0.5
    points = np.stack(np.meshgrid(along, along, indexing="xy"), axis=-1).reshape(-1, 2)
    expected = np.clip(to_chip(views, points), 0.5, SIZE - 0.5)  # the border is repeated
    assert shown == pytest.approx(expected, abs=1e-3)


def test_neutral_factors_change_nothing() -> None:
    images = torch.rand(4, 3, SIZE, SIZE)
    assert torch.allclose(vary(images, factors(4)), images, atol=1e-6)


def test_each_factor_does_what_it_says() -> None:
    images = torch.rand(2, 3, SIZE, SIZE) * 0.4 + 0.1
    assert torch.allclose(vary(images, factors(2, brightness=1.5)), images * 1.5, atol=1e-5)
    gray = vary(images, factors(2, saturation=0.0))
    assert torch.allclose(gray[:, 0], gray[:, 1], atol=1e-5)
    flat = vary(images, factors(2, contrast=0.0))
    assert float(flat.std(dim=(1, 2, 3)).max()) < 1e-5
    turned = vary(images, factors(2, hue=1.0))
    assert torch.allclose(turned.amax(dim=1), images.amax(dim=1), atol=1e-4)
    assert not torch.allclose(turned, images, atol=0.01)
    blurred = vary(images, factors(2, blur=1.0))
    assert float(blurred.std()) < float(images.std())


def test_results_stay_in_the_unit_range() -> None:
    augmentation = Augmentation(brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5, blur=1.0)
    images = torch.rand(64, 3, SIZE, SIZE)
    varied = vary(images, draw_factors(64, augmentation, rng=np.random.default_rng(0)))
    assert float(varied.min()) >= 0
    assert float(varied.max()) <= 1


def test_factors_follow_their_ranges_and_probabilities() -> None:
    drawn = draw_factors(4000, Augmentation(grayscale=0.25, blur=0.5, hue=0.1), rng=np.random.default_rng(0))
    assert (drawn.saturation == 0).mean() == pytest.approx(0.25, abs=0.03)
    assert (drawn.blur > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert np.abs(drawn.hue).max() <= 0.1 * 2 * np.pi + 1e-6
    assert drawn.brightness.min() >= 0.6
    assert drawn.brightness.max() <= 1.4
