import kornia
import numpy as np
import pytest
import torch

from pairlab.experiment.training import Augmentation
from pairlab.scenes.scene import RGB, Bands
from pairlab.views.geometry import draw_views, to_chip
from pairlab.views.pixels import (
    PhotometricFactors,
    crop,
    draw_factors,
    render_views,
    shift_hue,
    to_unit_range,
    vary,
)

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


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_turned_hues_agree_with_kornia(levels: int) -> None:
    # Few levels make greys, black, white and channels that are equally great come up.
    generator = torch.Generator().manual_seed(levels)
    images = torch.randint(levels, (40, 3, SIZE, SIZE), generator=generator) / (levels - 1)
    radians = torch.linspace(-np.pi, np.pi, 40)
    expected = kornia.enhance.adjust_hue(images, radians)
    torch.testing.assert_close(shift_hue(images, radians), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(shift_hue(images, torch.zeros(40)), images, atol=1e-6, rtol=0)


def test_a_third_of_the_circle_moves_red_to_green_to_blue() -> None:
    colours = torch.eye(3)[:, :, None, None]
    turned = shift_hue(colours, torch.full((3,), 2 * np.pi / 3))
    torch.testing.assert_close(turned, colours.roll(-1, dims=0), atol=1e-6, rtol=0)


def test_a_rendered_batch_is_cropped_varied_and_standardised() -> None:
    rng = np.random.default_rng(0)
    chips = rng.integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)
    views = draw_views(6, size=SIZE, crop_scale=(0.3, 1.0), flips=True, rng=rng)
    drawn = draw_factors(6, Augmentation(), rng=rng)
    images = torch.from_numpy(chips).permute(0, 3, 1, 2) / 255
    expected = (vary(crop(images, views), drawn) - 0.5) / 0.25
    found = render_views(chips, views, drawn, bands=RGB, device=torch.device("cpu"))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


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


def test_rgb_of_eight_bits_is_divided_by_255_and_nothing_else() -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(1, 3, 16, 16)
    assert torch.equal(to_unit_range(images, RGB), images.float() / 255.0)
    # The general way gives the same numbers, bit for bit.
    assert torch.equal(to_unit_range(images, Bands(no_data=-1.0)), images.float() / 255.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_each_band_is_mapped_by_its_own_limits(dtype: type[np.generic]) -> None:
    bands = Bands(names=("a", "b"), low=(50.0, 0.0), high=(150.0, 200.0))
    values = np.array([[0, 0], [50, 50], [100, 100], [150, 150], [250, 250]], dtype=dtype)
    images = torch.from_numpy(values.T.reshape(1, 2, 1, 5).copy())
    expected = torch.tensor([[0.0, 0.0, 0.5, 1.0, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0]])
    assert torch.equal(to_unit_range(images, bands)[0, :, 0], expected)


def test_what_has_no_data_becomes_zero() -> None:
    bands = Bands(names=("a", "b"), low=(-10.0, -10.0), high=(10.0, 10.0), no_data=7.0)
    values = torch.tensor([[7.0, 7.0, float("nan"), float("inf"), -float("inf"), 0.0], [7.0, 0.0, 0.0, 0.0, 7.0, 0.0]])
    found = to_unit_range(values.reshape(1, 2, 1, 6), bands)[0, :, 0]
    # A value counts as no data where all bands have it; what is no number counts by itself.
    assert found[0].tolist() == pytest.approx([0.0, 0.85, 0.0, 0.0, 0.0, 0.5])
    assert found[1].tolist() == pytest.approx([0.0, 0.5, 0.5, 0.5, 0.85, 0.5])


@pytest.mark.parametrize("bands", [1, 2, 5, 13])
def test_other_bands_than_rgb_keep_their_ratios(bands: int) -> None:
    images = torch.rand(2, bands, SIZE, SIZE) * 0.4 + 0.1
    assert torch.allclose(vary(images, factors(2, hue=1.0, saturation=0.0)), images, atol=1e-6)
    assert torch.allclose(vary(images, factors(2, brightness=1.5)), images * 1.5, atol=1e-5)
    flat = vary(images, factors(2, contrast=0.0))
    assert float(flat.std(dim=(1, 2, 3)).max()) < 1e-5
    blurred = vary(images, factors(2, blur=1.0))
    assert blurred.shape == images.shape
    assert float(blurred.std()) < float(images.std())
