import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from pairlab.scenes.offset import estimate_offset
from pairlab.scenes.scene import Pixels

MARGIN = 64
CONFIDENT = 0.1


def ground(height: int, width: int, *, seed: int = 0, bands: int = 3) -> NDArray[np.uint8]:
    """Returns blocks, fields and noise, wider than an image by MARGIN on every side."""
    rng = np.random.default_rng(seed)
    shape = height + 2 * MARGIN, width + 2 * MARGIN
    image = np.zeros((*shape, bands), np.float32)
    for scale, strength in ((5, 25), (17, 40), (60, 50)):
        fields = rng.uniform(-1, 1, (shape[0] // scale + 2, shape[1] // scale + 2, bands)).astype(np.float32)
        grown = cv2.resize(fields, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST).reshape(*shape, bands)
        image += strength * grown
    return np.clip(image + 128, 0, 255).astype(np.uint8)


def seen(ground: Pixels, *, y: int = 0, x: int = 0) -> Pixels:
    """Returns the image in which what lies at a place of the first one lies y farther down and x farther right."""
    height, width = ground.shape[0] - 2 * MARGIN, ground.shape[1] - 2 * MARGIN
    return ground[MARGIN - y : MARGIN - y + height, MARGIN - x : MARGIN - x + width]


@settings(deadline=None, max_examples=40)
@given(
    size=st.sampled_from([(256, 256), (512, 512), (1024, 1024), (700, 460), (96, 320)]),
    y=st.integers(-20, 20),
    x=st.integers(-20, 20),
    seed=st.integers(0, 1000),
)
def test_a_shift_is_found_within_a_pixel(size: tuple[int, int], y: int, x: int, seed: int) -> None:
    image = ground(*size, seed=seed)
    found_y, found_x, confidence = estimate_offset(seen(image), seen(image, y=y, x=x))
    assert (found_y, found_x) == pytest.approx((y, x), abs=1.0)
    assert CONFIDENT < confidence <= 1


def test_positive_is_down_and_right() -> None:
    first, last = np.zeros((2, 128, 128, 3), np.uint8)
    first[40:60, 40:60], last[46:66, 43:63] = 200, 200
    assert estimate_offset(first, last)[:2] == pytest.approx((6, 3), abs=0.5)
    assert estimate_offset(last, first)[:2] == pytest.approx((-6, -3), abs=0.5)


def test_light_haze_and_noise_do_not_matter() -> None:
    image = ground(512, 512)
    first, last = seen(image), seen(image, y=9, x=-14)
    darker = cv2.convertScaleAbs(np.ascontiguousarray(last), alpha=0.5, beta=60)
    noisy = cv2.add(darker, np.random.default_rng(1).integers(0, 25, darker.shape, dtype=np.uint8))
    y, x, confidence = estimate_offset(first, noisy)
    assert (y, x) == pytest.approx((9, -14), abs=1.0)
    assert confidence > CONFIDENT


@pytest.mark.parametrize("strip", [np.s_[:150], np.s_[:, 300:], np.s_[100:330, 60:300]])
def test_the_edge_of_a_black_strip_is_no_content(strip: tuple[slice, ...]) -> None:
    image = ground(512, 512)
    first, last = seen(image).copy(), seen(image, y=9, x=-14).copy()
    first[strip] = last[strip] = 0
    valid = np.ones((512, 512), bool)
    valid[strip] = False
    y, x, confidence = estimate_offset(first, last, valid=valid)
    assert (y, x) == pytest.approx((9, -14), abs=1.0)
    assert confidence > CONFIDENT
    assert estimate_offset(first, last, valid=np.zeros_like(valid)) == (0.0, 0.0, 0.0)


def test_numbers_beyond_reason_give_no_offset() -> None:
    wild = np.full((64, 64, 1), np.finfo(np.float32).max, np.float32)
    wild[::2] = np.finfo(np.float32).min
    assert estimate_offset(wild, seen(ground(64, 64, bands=1)).astype(np.float32)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("bands", [1, 3, 4, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_of_any_kind(bands: int, dtype: DTypeLike) -> None:
    image = ground(256, 256, bands=bands).astype(dtype)
    if dtype == np.uint16:
        image = image * 20
    if dtype == np.float32:
        image[100:120, 90:140] = np.nan
    assert estimate_offset(seen(image), seen(image, y=-7, x=11))[:2] == pytest.approx((-7, 11), abs=1.0)


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_unrelated_images_give_no_confidence(size: int) -> None:
    confidences = [
        estimate_offset(seen(ground(size, size, seed=seed)), seen(ground(size, size, seed=seed + 100)))[2]
        for seed in range(6)
    ]
    related = [
        estimate_offset(seen(image), seen(image, y=4, x=3))[2]
        for image in (ground(size, size, seed=seed) for seed in range(6))
    ]
    assert max(confidences) < min(related) / 3
    noise = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    assert estimate_offset(*noise)[2] < 0.1


@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_image_without_content_has_no_offset(value: int) -> None:
    flat = np.full((128, 128, 3), value, np.uint8)
    assert estimate_offset(flat, seen(ground(128, 128))) == (0.0, 0.0, 0.0)
    assert estimate_offset(flat, flat) == (0.0, 0.0, 0.0)
    assert estimate_offset(np.full((64, 64, 1), np.nan, np.float32), np.ones((64, 64, 1), np.float32)) == (0, 0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 3), (33, 1000), (3, 6000), (6000, 1)])
def test_small_and_narrow_images_are_no_trouble(size: tuple[int, int]) -> None:
    image = ground(*size)
    y, x, confidence = estimate_offset(seen(image), seen(image, x=2))
    assert np.isfinite([y, x]).all()
    assert 0 <= confidence <= 1


def test_images_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the same shape, found \(8, 8, 3\) and \(8, 9, 3\)"):
        estimate_offset(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8))
