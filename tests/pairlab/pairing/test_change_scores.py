"""Change scores of constructed images whose answers are known, and against a plain implementation of the paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pairlab.pairing import change_scores
from pairlab.pairing.change_scores import LEAST_PIXELS_PER_BAND, cva, irmad, no_change_probability
from pairlab.scenes.scene import BoolArray, Pixels

SIDE = 64
BLOCK = (slice(20, 32), slice(40, 52))
DTYPES = (np.uint8, np.uint16, np.float32)
BANDS = (1, 3, 4, 13)


def everywhere(side: int = SIDE) -> BoolArray:
    return np.ones((side, side), dtype=bool)


def scene(bands: int, *, seed: int = 0, side: int = SIDE) -> NDArray[np.float64]:
    """Bands that are correlated with each other, as those of a camera are; 40 to 200."""
    rng = np.random.default_rng([seed, bands])
    ground = rng.normal(0, 1, (side, side, 1))
    return np.clip(120 + 18 * ground + 14 * rng.normal(0, 1, (side, side, bands)), 40, 200)


def with_block(image: NDArray[np.float64], *, seed: int = 1) -> NDArray[np.float64]:
    changed = image.copy()
    there = changed[BLOCK]
    changed[BLOCK] = np.random.default_rng(seed).uniform(40, 200, there.shape)[::-1]
    return changed


def noise(image: NDArray[np.float64], *, deviation: float, seed: int = 2) -> NDArray[np.float64]:
    return image + np.random.default_rng(seed).normal(0, deviation, image.shape)


def plain_irmad(x: NDArray[np.float64], y: NDArray[np.float64], *, iterations: int) -> NDArray[np.float64]:
    """Nielsen (2007) as it is written: the unsymmetric eigenproblem, and weights from the chi-squared distribution.

    What the weights take from the variance of unchanged pixels is found by drawing such.
    """
    bands = x.shape[1]
    weights, before = np.ones(len(x)), np.full(bands, np.inf)
    drawn = np.random.default_rng(0).chisquare(bands, (2, 4_000_000))
    left, kept = drawn.min(axis=0).mean() / bands, 1.0
    scores = np.zeros(len(x))
    for _ in range(iterations):
        joint = np.cov(np.hstack([x, y]).T, aweights=weights, bias=True)
        xx, xy, yy = joint[:bands, :bands], joint[:bands, bands:], joint[bands:, bands:]
        squared, a = np.linalg.eig(np.linalg.inv(xx) @ xy @ np.linalg.inv(yy) @ xy.T)
        a = a[:, np.argsort(squared)[::-1]]
        b = np.linalg.inv(yy) @ xy.T @ a
        a, b = a / np.sqrt(np.diag(a.T @ xx @ a)), b / np.sqrt(np.diag(b.T @ yy @ b))
        correlations = np.diag(a.T @ xy @ b)
        means = (np.average(each, axis=0, weights=weights) for each in (x, y))
        mad = (x - next(means)) @ a - (y - next(means)) @ b
        chi_squared = (mad**2 / (2 * (1 - correlations) / kept)).sum(axis=1)
        scores = chi_squared / bands
        if np.abs(correlations - before).max() < 1e-3:
            break
        before, kept = correlations, left
        half = torch.from_numpy(chi_squared / 2)
        weights = torch.special.gammaincc(torch.full_like(half, bands / 2), half).numpy()
    return scores


def test_cva_by_hand() -> None:
    first = np.array([[[1.0], [3.0]], [[1.0], [3.0]]], dtype=np.float32)
    last = np.array([[[10.0], [20.0]], [[20.0], [10.0]]], dtype=np.float32)
    valid = np.ones((2, 2), dtype=bool)
    assert cva(first, last, valid=valid).tolist() == [[0, 0], [2, 2]]
    twice = cva(np.repeat(first, 2, axis=2), np.repeat(last, 2, axis=2), valid=valid)
    np.testing.assert_allclose(twice, [[0, 0], [np.sqrt(8), np.sqrt(8)]], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", BANDS)
def test_identical_images_score_0(bands: int, dtype: type) -> None:
    image: Pixels = scene(bands).astype(dtype)
    assert (cva(image, image.copy(), valid=everywhere()) == 0).all()
    np.testing.assert_allclose(irmad(image, image.copy(), valid=everywhere()), 0, atol=1e-9)


@pytest.mark.parametrize("bands", BANDS)
def test_a_change_of_light_in_each_band_scores_0(bands: int) -> None:
    image = scene(bands).astype(np.float32)
    brighter = (image * np.linspace(0.5, 2.0, bands, dtype=np.float32) + 30).astype(np.float32)
    np.testing.assert_allclose(cva(image, brighter, valid=everywhere()), 0, atol=1e-4)
    np.testing.assert_allclose(irmad(image, brighter, valid=everywhere()), 0, atol=1e-4)


def test_a_change_of_colour_that_mixes_bands_moves_cva_and_not_irmad() -> None:
    image = scene(3)
    mixed = image @ np.array([[0.6, 0.3, 0.1], [0.0, 1.2, 0.2], [-0.3, 0.1, 0.9]]) + 5
    assert np.median(cva(image.astype(np.float32), mixed.astype(np.float32), valid=everywhere())) > 0.1
    np.testing.assert_allclose(irmad(image, mixed, valid=everywhere()), 0, atol=1e-9)  # type: ignore[arg-type]


@pytest.mark.parametrize("bands", [1, 3, 13])
def test_a_linear_change_on_top_leaves_irmad_as_it_is(bands: int) -> None:
    first, last = scene(bands), noise(with_block(scene(bands)), deviation=4)
    rng = np.random.default_rng(5)
    mixed = last @ (np.eye(bands) + 0.2 * rng.normal(0, 1, (bands, bands))) + 100
    plain, other = (
        irmad(first.astype(np.float32), each.astype(np.float32), valid=everywhere()) for each in (last, mixed)
    )
    np.testing.assert_allclose(other, plain, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", BANDS)
def test_a_planted_block_scores_highest(bands: int, dtype: type) -> None:
    first = scene(bands)
    last = noise(0.8 * with_block(first) + 20, deviation=2).clip(0, 255)
    outside = everywhere()
    outside[BLOCK] = False
    for score in (cva, irmad):
        found = score(first.astype(dtype), last.astype(dtype), valid=everywhere())
        assert np.median(found[BLOCK]) > 2 * np.quantile(found[outside], 0.95)
    unchanged = irmad(first.astype(dtype), last.astype(dtype), valid=everywhere())[outside]
    assert 0.5 < unchanged.mean() < 1.5  # chi-squared over its degrees of freedom


@pytest.mark.parametrize("bands", [1, 2, 3, 5])
@pytest.mark.parametrize("iterations", [1, 2, 30])
def test_irmad_is_what_the_paper_says(bands: int, iterations: int) -> None:
    first, last = scene(bands), noise(0.9 * with_block(scene(bands)) + 10, deviation=6)
    expected = plain_irmad(first.reshape(-1, bands), last.reshape(-1, bands), iterations=iterations)
    found = irmad(first, last, valid=everywhere(), iterations=iterations)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.ravel(), expected, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 13])
def test_irmad_is_about_1_where_nothing_changed(bands: int) -> None:
    first = scene(bands, side=160)
    last = noise(0.8 * first + 20, deviation=4)
    found = irmad(first.astype(np.float32), last.astype(np.float32), valid=everywhere(160))
    assert found.mean() == pytest.approx(1, abs=0.1)


def test_reweighting_keeps_what_changed_out_of_the_fit() -> None:
    first, last = scene(3), noise(with_block(scene(3)), deviation=6)
    outside = everywhere()
    outside[BLOCK] = False
    once, often = (
        irmad(first.astype(np.float32), last.astype(np.float32), valid=everywhere(), iterations=count)
        for count in (1, 30)
    )
    expected = 0.789  # median of chi-squared over its 3 degrees of freedom
    assert np.median(once[outside]) < 0.4
    assert np.median(often[outside]) == pytest.approx(expected, abs=0.08)
    assert np.median(often[BLOCK]) > 2 * np.median(once[BLOCK])


@pytest.mark.parametrize("freedom", range(1, 14))
def test_no_change_probabilities_are_those_of_chi_squared(freedom: int) -> None:
    values = np.concatenate([[0.0], np.geomspace(1e-9, 500, 2000)])
    half = torch.from_numpy(values / 2)
    expected = torch.special.gammaincc(torch.full_like(half, freedom / 2), half).numpy()
    np.testing.assert_allclose(no_change_probability(values, freedom=freedom), expected, atol=1e-6)


def test_a_fit_on_some_pixels_is_that_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene(3, side=256).astype(np.float32)
    last = noise(first.astype(np.float64), deviation=6).astype(np.float32)
    last[100:140, 30:90] = 255 - last[100:140, 30:90]
    some = irmad(first, last, valid=everywhere(256))
    monkeypatch.setattr(change_scores, "FITTED_PIXELS", 10**6)
    every = irmad(first, last, valid=everywhere(256))
    assert not np.array_equal(some, every)
    assert np.corrcoef(some.ravel(), every.ravel())[0, 1] > 0.999
    assert np.median(np.abs(some - every) / every) < 0.05


@pytest.mark.parametrize("score", [cva, irmad])
def test_pixels_without_data_have_no_score_and_move_no_other(score: object) -> None:
    assert callable(score)
    first, last = scene(3).astype(np.float32), noise(scene(3), deviation=5).astype(np.float32)
    valid = everywhere()
    valid[:10] = False
    expected = score(first, last, valid=valid)
    first[:10], last[3:7] = 1e30, np.nan
    assert np.array_equal(score(first, last, valid=valid), expected, equal_nan=True)
    assert np.isnan(expected[:10]).all()
    assert np.isfinite(expected[10:]).all()
    first[30, 30, 1] = np.nan  # one band of a pixel that has data in the others
    last[31, 31, 0] = np.inf
    found = score(first, last, valid=valid)
    assert np.isnan(found[[30, 31], [30, 31]]).all()
    assert np.isnan(found).sum() == 10 * SIDE + 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_bands_take_no_part(dtype: type) -> None:
    first, last = scene(3), with_block(noise(scene(3), deviation=3))
    constant = np.full((SIDE, SIDE, 1), 77.0)
    plain = irmad(first.astype(dtype), last.astype(dtype), valid=everywhere())
    more = irmad(
        np.concatenate([first, constant], axis=2).astype(dtype),
        np.concatenate([last, constant + 9], axis=2).astype(dtype),
        valid=everywhere(),
    )
    np.testing.assert_allclose(more, plain, rtol=1e-4, atol=1e-6)
    flat: Pixels = np.repeat(constant, 3, axis=2).astype(dtype)
    ground: Pixels = first.astype(dtype)
    for pair in ((flat, flat), (flat, ground), (ground, flat)):
        assert (irmad(*pair, valid=everywhere()) == 0).all()
    assert (cva(flat, (flat + 3).astype(dtype), valid=everywhere()) == 0).all()
    spread = cva(ground, flat, valid=everywhere())
    assert (spread**2).mean() == pytest.approx(3, rel=1e-4)  # each band's own deviation


def test_a_band_given_twice_counts_once() -> None:
    first, last = scene(2), with_block(noise(scene(2), deviation=3))
    twice = [np.concatenate([image, image[..., :1]], axis=2).astype(np.float32) for image in (first, last)]
    plain = irmad(first.astype(np.float32), last.astype(np.float32), valid=everywhere())
    np.testing.assert_allclose(irmad(*twice, valid=everywhere()), plain, rtol=1e-3, atol=1e-5)


def test_few_pixels_give_no_irmad_and_none_give_no_score() -> None:
    first, last = scene(3).astype(np.uint8), with_block(scene(3)).astype(np.uint8)
    valid = np.zeros_like(everywhere())
    valid.ravel()[: 3 * LEAST_PIXELS_PER_BAND - 1] = True
    assert np.isnan(irmad(first, last, valid=valid)).all()
    assert np.isfinite(cva(first, last, valid=valid)[valid]).all()
    valid.ravel()[3 * LEAST_PIXELS_PER_BAND - 1] = True
    assert np.isfinite(irmad(first, last, valid=valid)[valid]).all()
    valid[:] = False
    assert np.isnan(irmad(first, last, valid=valid)).all()
    assert np.isnan(cva(first, last, valid=valid)).all()
    valid[5, 5] = True
    assert cva(first, last, valid=valid)[5, 5] == 0


def test_saturated_ground_does_not_take_all_the_weight() -> None:
    first = scene(3)
    last = noise(with_block(first), deviation=5)
    for image in (first, last):
        image[:, :16] = 255  # a quarter of the image, equal in both
    found = irmad(first.astype(np.uint8), last.astype(np.uint8), valid=everywhere())
    ground = np.delete(found[:, 16:], np.s_[20:32], axis=0)
    assert np.isfinite(found).all()
    assert np.median(found[BLOCK]) > 3 * np.quantile(ground, 0.9)
    assert np.median(ground) < 10


@settings(deadline=None, max_examples=60)
@given(
    bands=st.integers(1, 13),
    dtype=st.sampled_from(DTYPES),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    levels=st.integers(1, 200),
    missing=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_images_score_0_or_more_where_they_have_data(
    bands: int, dtype: type, height: int, width: int, levels: int, missing: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images: list[Pixels] = [rng.integers(0, levels, (height, width, bands)).astype(dtype) for _ in range(2)]
    valid = rng.random((height, width)) >= missing
    for found in (cva(*images, valid=valid), irmad(*images, valid=valid)):
        assert found.dtype == np.float32
        assert found.shape == (height, width)
        assert np.isnan(found[~valid]).all()
        scored = found[valid]
        assert np.isnan(scored).all() or (np.isfinite(scored).all() and (scored >= 0).all())
