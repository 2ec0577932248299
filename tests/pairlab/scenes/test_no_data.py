import numpy as np
import pytest

from pairlab.scenes.no_data import MIN_BLACK_PIXELS, without_data
from pairlab.scenes.scene import Pixels
from pairlab.scenes.xbd import no_data as no_data_of_xbd


def image(dtype: str = "uint8", *, bands: int = 3) -> Pixels:
    found: Pixels = np.random.default_rng(0).integers(1, 200, (64, 64, bands)).astype(dtype)
    return found


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_large_black_areas_have_no_data(dtype: str) -> None:
    pixels = image(dtype)
    assert not without_data(pixels).any()
    pixels[:16, :16] = 0
    pixels[40:50, 40:50] = 0  # a shadow
    expected = np.zeros((64, 64), bool)
    expected[:16, :16] = True
    assert expected.sum() == MIN_BLACK_PIXELS
    np.testing.assert_array_equal(without_data(pixels), expected)
    pixels[0, 0, 1] = 1  # one pixel less
    assert not without_data(pixels).any()


def test_it_finds_what_xbd_finds() -> None:
    pixels = image()
    pixels[10:40, 20:50] = 0
    pixels[:, 60:] = 0
    np.testing.assert_array_equal(without_data(pixels), no_data_of_xbd(pixels))


def test_a_declared_value_counts_wherever_all_bands_have_it() -> None:
    pixels = image("uint16", bands=5)
    pixels[:20, :20] = 0
    pixels[30, 30] = 65_535
    pixels[31, 31, :4] = 65_535
    found = without_data(pixels, value=65_535)
    assert found.sum() == 1
    assert found[30, 30]


@pytest.mark.parametrize("value", [-9999.9, -3.4028234663852886e38, 1e300])
def test_values_are_compared_as_the_image_holds_them(value: float) -> None:
    pixels = image("float32", bands=2)
    with np.errstate(over="ignore"):
        pixels[5, 5] = np.float32(value)
    assert np.argwhere(without_data(pixels, value=value)).tolist() == [[5, 5]]


def test_pixels_that_are_no_number_in_any_band_have_no_data() -> None:
    pixels = image("float32", bands=13)
    pixels[3, 4] = np.nan
    pixels[5, 6] = np.inf
    pixels[7, 8, 0] = np.nan
    assert np.argwhere(without_data(pixels)).tolist() == [[3, 4], [5, 6]]
