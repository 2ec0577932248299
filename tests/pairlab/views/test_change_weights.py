import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.pairing.change_scores import cva
from pairlab.scenes.scene import Pixels
from pairlab.views.change_weights import change_weights, displaced_chip, point_weights
from pairlab.views.geometry import displaced, draw_views, match_cells
from pairlab.views.pixels import crop

SIZE = 32
VALID = np.ones((SIZE, SIZE), dtype=bool)


def chips(dtype: type[np.generic] = np.uint8) -> tuple[Pixels, Pixels]:
    rng = np.random.default_rng(0)
    before = rng.integers(20, 120, (SIZE, SIZE, 3))
    after = before.copy()
    after[8:16, 4:12] = rng.integers(20, 120, (8, 8, 3))
    return before.astype(dtype), after.astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0])
def test_each_pixel_weighs_by_its_change_vector(dtype: type[np.generic], scale: float) -> None:
    before, after = chips(dtype)
    weights = change_weights(before, after, valid=VALID, scale=scale)
    assert weights.dtype == np.float32
    assert weights == pytest.approx(np.exp(-cva(before, after, valid=VALID).astype(float) / scale), abs=1e-6)
    assert weights[8:16, 4:12].mean() < weights[20:].mean() - 0.02 / scale


def test_equal_images_and_another_light_weigh_one() -> None:
    before, _ = chips()
    assert (change_weights(before, before, valid=VALID, scale=0.5) == 1).all()
    brighter = before.astype(np.uint16) * 2 + 30
    assert change_weights(before, brighter, valid=VALID, scale=0.5) == pytest.approx(1, abs=1e-3)


def test_pixels_without_data_weigh_nothing_and_move_no_other() -> None:
    before, after = chips(np.float32)
    valid = VALID.copy()
    valid[:, 20:] = False
    dirty = after.copy()
    dirty[:, 20:] = np.nan
    expected = change_weights(before, after, valid=valid, scale=1.0)
    found = change_weights(before, dirty, valid=valid, scale=1.0)
    np.testing.assert_array_equal(found, expected)
    assert (found[:, 20:] == 0).all()
    assert (found[:, :20] > 0).all()
    assert (change_weights(before, after, valid=~VALID, scale=1.0) == 0).all()


@settings(deadline=None, max_examples=40)
@given(down=st.floats(-20, 20), right=st.floats(-20, 20))
def test_displaced_content_is_what_the_trainer_crops(down: float, right: float) -> None:
    chip, _ = chips()
    identity = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    images = torch.from_numpy(chip).permute(2, 0, 1)[None].float()
    shown = crop(images, displaced(identity, np.array([[down, right]])))[0].permute(1, 2, 0).numpy()
    assert displaced_chip(chip, (down, right)) == pytest.approx(shown, abs=0.02)


def test_a_displacement_by_whole_pixels_moves_them() -> None:
    chip, _ = chips()
    moved = displaced_chip(chip, (3.0, -2.0))
    np.testing.assert_array_equal(moved[3:, :-2], chip[:-3, 2:])
    np.testing.assert_array_equal(moved[0], moved[3])  # the border is repeated
    np.testing.assert_array_equal(moved[:, -1], moved[:, -3])
    np.testing.assert_array_equal(displaced_chip(chip, (0.0, 0.0)), chip)


def test_points_take_the_mean_of_what_both_cells_see() -> None:
    identity = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    half = np.array([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])  # the upper left quarter of the chip
    weights = np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(1, SIZE, SIZE)
    cells_a, cells_b = np.array([[0, 9]]), np.array([[0, 18]])
    found = point_weights(weights, identity, half, cells_a, cells_b, grid=8)
    in_a = [weights[0, :4, :4].mean(), weights[0, 4:8, 4:8].mean()]
    in_b = [weights[0, :2, :2].mean(), weights[0, 4:6, 4:6].mean()]
    assert found.dtype == np.float32
    assert found[0] == pytest.approx((np.array(in_a) + in_b) / 2, abs=1e-6)


def test_views_of_other_scale_and_turn_see_about_the_same_weight() -> None:
    smooth = np.linspace(0, 1, SIZE, dtype=np.float32)[None, :, None].repeat(SIZE, axis=2).repeat(12, axis=0)
    a, b = (draw_views(12, size=SIZE, crop_scale=(0.4, 1.0), flips=True, rng=np.random.default_rng(n)) for n in (0, 1))
    matches = match_cells(a, b, grid=8, size=SIZE)
    pair, cell = np.nonzero(matches >= 0)
    for row in range(12):
        cells = cell[pair == row][None]
        chosen = smooth[row : row + 1], a[row : row + 1], b[row : row + 1]
        both = point_weights(*chosen, cells, matches[row, cells], grid=8)
        alone = point_weights(chosen[0], chosen[1], chosen[1], cells, cells, grid=8)
        assert both == pytest.approx(alone, abs=0.06)
