from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes.bands import default_bands, fit_bands, to_rgb
from pairlab.scenes.bitemporal import BitemporalSource, open_bitemporal
from pairlab.scenes.scene import RGB, Bands
from tests.pairlab.scenes.bitemporal_tree import write_image

DATASET = BitemporalDataset(root="data")
pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")


def written(folder: Path, images: Sequence[NDArray[Any]], *, split: str = "train", ending: str = "png") -> None:
    """Writes scenes whose two images are the same."""
    for number, image in enumerate(images):
        for part in "AB":
            write_image(folder / split / part / f"{split}_{number}.{ending}", image)


def noise(seed: int, *, low: int, high: int, bands: int = 3) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(low, high, (64, 64, bands)).astype(np.uint16)


def test_limits_are_percentiles_of_the_train_split_alone(tmp_path: Path) -> None:
    train = [noise(seed, low=1000, high=3000) for seed in range(3)]
    train[0][..., 1] += 500
    written(tmp_path, train)
    written(tmp_path, [noise(9, low=40_000, high=60_000)], split="test")
    fitted = fit_bands(open_bitemporal(tmp_path, DATASET))
    values = np.concatenate([image.reshape(-1, 3) for image in train])
    low, high = np.percentile(values, (1, 99), axis=0)
    assert np.allclose(fitted.low, low, atol=15)
    assert np.allclose(fitted.high, high, atol=15)
    assert fitted.names == ("red", "green", "blue")


def test_the_same_seed_fits_the_same_limits(tmp_path: Path) -> None:
    written(tmp_path, [noise(seed, low=0, high=5000) for seed in range(4)])
    first, again = (fit_bands(open_bitemporal(tmp_path, DATASET)) for _ in range(2))
    assert first == again
    assert fit_bands(open_bitemporal(tmp_path, DATASET), images=2, pixels=50, seed=1) != first


def test_pixels_without_data_and_damaged_images_are_left_out(tmp_path: Path) -> None:
    images = [noise(seed, low=2000, high=3000) for seed in range(3)]
    images[0][:40] = 0
    images[1][:40] = 65_535
    written(tmp_path, images)
    black = fit_bands(open_bitemporal(tmp_path, DATASET))
    assert min(black.low) >= 2000
    assert max(black.high) == 65_535
    source = open_bitemporal(tmp_path, BitemporalDataset(root="data", no_data=65_535))
    assert max(fit_bands(source).high) < 3000
    assert fit_bands(source).no_data == 65_535
    content = bytearray((tmp_path / "train/A/train_0.png").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "train/A/train_0.png").write_bytes(content)
    assert max(fit_bands(open_bitemporal(tmp_path, DATASET)).high) == 65_535


@pytest.mark.parametrize("bands", [1, 3])
def test_pictures_of_eight_bits_keep_their_range(tmp_path: Path, bands: int) -> None:
    written(tmp_path, [noise(0, low=100, high=120, bands=bands).astype(np.uint8)])
    source = open_bitemporal(tmp_path, DATASET)
    assert fit_bands(source) == source.bands
    assert fit_bands(source).high == (255.0,) * bands


def test_eight_bits_of_more_bands_are_fitted(tmp_path: Path) -> None:
    written(tmp_path, [noise(0, low=100, high=121, bands=4).astype(np.uint8)], ending="tif")
    fitted = fit_bands(open_bitemporal(tmp_path, DATASET))
    assert (fitted.low, fitted.high) == ((100.0,) * 4, (120.0,) * 4)


def test_a_band_of_one_value_and_a_dataset_without_train_split(tmp_path: Path) -> None:
    written(tmp_path, [np.full((64, 64, 3), 700, np.uint16)])
    fitted = fit_bands(open_bitemporal(tmp_path, DATASET))
    assert (fitted.low, fitted.high) == ((700.0,) * 3, (701.0,) * 3)
    source = open_bitemporal(tmp_path, DATASET)
    tests = [replace(scene, split="test") for scene in source.scenes]
    untrained = BitemporalSource(tmp_path, DATASET, tests, source.bands)
    assert fit_bands(untrained) == source.bands


def test_ranges_of_types() -> None:
    assert default_bands(3, np.uint8) == RGB
    assert default_bands(1, "uint16") == Bands(names=("grey",), low=(0.0,), high=(65_535.0,))
    assert default_bands(2, np.float32, no_data=-1.0) == Bands(("band 1", "band 2"), (0.0, 0.0), (1.0, 1.0), -1.0)


def test_people_see_the_first_three_bands_stretched() -> None:
    bands = Bands(names=("a", "b", "c", "d"), low=(0, 100, 0, 0), high=(10, 200, 1, 1), no_data=-5.0)
    image = np.zeros((1, 4, 4), np.float32)
    image[0, 0] = 5, 150, 0.5, 99
    image[0, 1] = 20, 50, np.nan, 0
    image[0, 2] = -5
    image[0, 3] = 10, 200, np.inf, 0
    shown = to_rgb(image, bands)
    assert shown.dtype == np.uint8
    assert shown[0].tolist() == [[128, 128, 128], [255, 0, 0], [0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("bands", [1, 2])
def test_fewer_than_three_bands_are_grey(bands: int) -> None:
    image = np.linspace(0, 65_535, 16).astype(np.uint16).reshape(4, 4, 1).repeat(bands, axis=2)
    shown = to_rgb(image, default_bands(bands, np.uint16))
    assert (shown == shown[..., :1]).all()
    assert shown[..., 0].ravel().tolist() == np.rint(np.linspace(0, 255, 16)).tolist()


def test_rgb_of_eight_bits_is_shown_as_it_is() -> None:
    image = noise(0, low=0, high=256).astype(np.uint8)
    np.testing.assert_array_equal(to_rgb(image, RGB), image)
    np.testing.assert_array_equal(to_rgb(image, Bands(no_data=-1.0)), image)  # the general way, to the same end
