import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.views.geometry import (
    UNMATCHED,
    cell_centres,
    covered_cells,
    displaced,
    draw_points,
    draw_views,
    match_cells,
    mean_in_cells,
    to_chip,
    to_view,
    without_change,
)

SIZE, GRID = 64, 16


def views(seed: int, count: int = 8, *, flips: bool = True) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return draw_views(count, size=SIZE, crop_scale=(0.2, 1.0), flips=flips, rng=np.random.default_rng(seed))


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_views_stay_inside_the_chip_and_invert(seed: int) -> None:
    matrices = views(seed)
    corners = np.array([[0.0, 0.0], [SIZE, 0.0], [0.0, SIZE], [SIZE, SIZE]])
    ground = to_chip(matrices, corners)
    assert (ground >= -1e-9).all()
    assert (ground <= SIZE + 1e-9).all()
    assert to_view(matrices, ground) == pytest.approx(np.broadcast_to(corners, ground.shape), abs=1e-9)


def test_crop_area_is_in_the_asked_range() -> None:
    matrices = draw_views(2000, size=SIZE, crop_scale=(0.3, 0.6), flips=True, rng=np.random.default_rng(0))
    area = np.abs(np.linalg.det(matrices[:, :, :2]))
    assert area.min() >= 0.3 - 1e-9
    assert area.max() <= 0.6 + 1e-9
    assert area.mean() == pytest.approx(0.45, abs=0.01)


def test_all_eight_orientations_come_up() -> None:
    linear = views(0, 400)[:, :, :2]
    assert len({tuple(np.sign(np.round(each, 6)).ravel()) for each in linear}) == 8
    assert len({tuple(np.sign(np.round(each, 6)).ravel()) for each in views(0, 400, flips=False)[:, :, :2]}) == 1


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_matched_cells_hold_the_same_ground_point(seed: int) -> None:
    a, b = views(seed), views(seed + 1)
    matches = match_cells(a, b, grid=GRID, size=SIZE)
    ground = to_chip(a, cell_centres(GRID, SIZE))
    in_b = to_view(b, ground)
    half = SIZE / GRID / 2
    for pair in range(len(a)):
        matched = matches[pair] != UNMATCHED
        centres = cell_centres(GRID, SIZE)[matches[pair][matched]]
        assert np.abs(in_b[pair][matched] - centres).max(initial=0) <= half + 1e-9
        outside = ((in_b[pair] < 0) | (in_b[pair] >= SIZE)).any(axis=1)
        assert np.array_equal(outside, ~matched)


def test_identical_views_match_every_cell_to_itself() -> None:
    a = views(3)
    matches = match_cells(a, a, grid=GRID, size=SIZE)
    assert np.array_equal(matches, np.broadcast_to(np.arange(GRID * GRID), matches.shape))


def test_covered_cells_see_the_marked_pixels() -> None:
    identity = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    where = np.zeros((1, SIZE, SIZE), bool)
    where[0, 9, 33] = True
    covered = covered_cells(where, identity, grid=GRID)
    assert np.flatnonzero(covered[0]).tolist() == [(9 // 4) * GRID + 33 // 4]


def test_points_are_matched_and_without_replacement() -> None:
    a, b = views(5), views(6)
    matches = match_cells(a, b, grid=GRID, size=SIZE)
    matches[0] = UNMATCHED
    cells_a, cells_b, valid = draw_points(matches, count=40, keys=np.random.default_rng(0).random(matches.shape))
    assert cells_a.shape == cells_b.shape == valid.shape == (8, 40)
    assert not valid[0].any()
    for pair in range(8):
        chosen = cells_a[pair][valid[pair]]
        assert len(set(chosen.tolist())) == len(chosen) == min(40, int((matches[pair] != UNMATCHED).sum()))
        assert np.array_equal(matches[pair][chosen], cells_b[pair][valid[pair]])


def test_more_points_than_cells_are_invalid() -> None:
    matches = np.zeros((2, 4), np.int64)
    _, _, valid = draw_points(matches, count=6, keys=np.random.default_rng(0).random((2, 4)))
    assert valid.tolist() == [[True] * 4 + [False] * 2] * 2


def test_the_least_keys_are_taken_in_their_order() -> None:
    matches = np.array([[4, UNMATCHED, 6, 7]])
    cells_a, cells_b, valid = draw_points(matches, count=3, keys=np.array([[0.9, 0.0, 0.5, 0.7]]))
    assert (cells_a.tolist(), cells_b.tolist(), valid.tolist()) == ([[2, 3, 0]], [[6, 7, 4]], [[True] * 3])


def test_displaced_content_is_shown_further_down_and_right() -> None:
    matrices = views(2)
    shift = np.random.default_rng(0).normal(0, 5, (8, 2))
    points = np.random.default_rng(1).uniform(0, SIZE, (8, 30, 2))  # places in the chip
    moved = points + shift[:, None, ::-1]  # where their content would be
    assert to_view(displaced(matrices, shift), points) == pytest.approx(to_view(matrices, moved), abs=1e-9)
    assert np.array_equal(displaced(matrices, np.zeros((8, 2))), matrices)


def test_the_mean_in_a_cell_is_that_of_the_pixels_it_sees() -> None:
    matrices, values = views(4), np.random.default_rng(0).random((8, SIZE, SIZE)).astype(np.float32)
    cells = np.random.default_rng(1).integers(GRID * GRID, size=(8, 5))
    found = mean_in_cells(values, matrices, cells, grid=GRID)
    block = SIZE // GRID
    for view in range(8):
        for point in range(5):
            row, column = divmod(int(cells[view, point]), GRID)
            seen = []
            for down in range(block):
                for right in range(block):
                    x, y = to_chip(
                        matrices[view : view + 1],
                        np.array([[column * block + right + 0.5, row * block + down + 0.5]]),
                    )[0, 0]
                    seen.append(values[view, min(int(y), SIZE - 1), min(int(x), SIZE - 1)])
            assert found[view, point] == pytest.approx(np.mean(seen), abs=1e-6)


def test_matches_are_lost_where_either_view_sees_change() -> None:
    identity = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    matches = match_cells(identity, identity, grid=GRID, size=SIZE)
    changed = np.zeros((1, SIZE, SIZE), bool)
    changed[0, 9, 33] = True
    cell = (9 // 4) * GRID + 33 // 4
    assert np.flatnonzero(without_change(matches, changed, identity, identity) == UNMATCHED).tolist() == [cell]
    # Content displaced by one cell to the right: the positive shows the changed pixel in the next cell.
    moved = displaced(identity, np.array([[0.0, 4.0]]))
    assert np.flatnonzero(without_change(matches, changed, identity, moved) == UNMATCHED).tolist() == [cell, cell + 1]
