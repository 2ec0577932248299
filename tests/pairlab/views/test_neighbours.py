"""Cells near each other on the ground, against every pair of cells measured one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.views.geometry import BoolArray, Float64Array, Int64Array, draw_views
from pairlab.views.neighbours import Reach, limits, matching_cells, near_cells, positives_of_points, scales

SIZE, PAIRS = 32, 3
UPRIGHT = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
"""The whole chip as it is."""


def drawn(seed: int) -> tuple[Float64Array, Float64Array]:
    rng = np.random.default_rng(seed)
    both = draw_views(2 * PAIRS, size=SIZE, crop_scale=(0.2, 1.0), flips=True, rng=rng)
    return both[:PAIRS], both[PAIRS:]


def centre(view: Float64Array, cell: int, grid: int) -> Float64Array:
    row, column = divmod(cell, grid)
    stride = SIZE / grid
    return np.asarray(view @ [(column + 0.5) * stride, (row + 0.5) * stride, 1.0])


def distances(view_a: Float64Array, view_b: Float64Array, grid: int) -> Float64Array:
    """Source pixels between the centres of all cells of two views, (cells of A, cells of B)."""
    first, second = ([centre(view, cell, grid) for cell in range(grid**2)] for view in (view_a, view_b))
    return np.array([[np.hypot(*(a - b)) for b in second] for a in first])


def side(view: Float64Array, grid: int) -> float:
    """Source pixels along a cell: the distance of two neighbours."""
    return float(np.hypot(*(centre(view, 1, grid) - centre(view, 0, grid))))


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    grid=st.sampled_from([2, 4, 8]),
    reach=st.builds(Reach, diagonals=st.sampled_from([0.0, 0.7, 1.5]), pixels=st.sampled_from([0.0, 3.0, 40.0])),
    share=st.sampled_from([0.0, 0.2]),
)
def test_matching_cells_are_all_that_lie_within_reach(seed: int, grid: int, reach: Reach, share: float) -> None:
    views_a, views_b = drawn(seed)
    excluded = np.random.default_rng(seed).random((2 * PAIRS, grid**2)) < share
    found = matching_cells(views_a, views_b, reach, excluded=excluded, size=SIZE)
    expected = []
    for pair in range(PAIRS):
        larger = max(side(views_a[pair], grid), side(views_b[pair], grid))
        within = max(reach.diagonals * 2**0.5 * larger, reach.pixels)
        assert limits(reach, views_a, views_b, grid=grid, size=SIZE)[pair] == pytest.approx(within)
        near = distances(views_a[pair], views_b[pair], grid) <= within + 1e-6
        near &= ~excluded[pair][:, None] & ~excluded[PAIRS + pair]
        expected += [(pair * grid**2 + a, pair * grid**2 + b) for a, b in np.argwhere(near)]
    assert list(map(tuple, found.tolist())) == expected


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), reach=st.builds(Reach, diagonals=st.just(0.7), pixels=st.floats(0, 20)))
def test_matching_is_the_same_from_either_view(seed: int, reach: Reach) -> None:
    views_a, views_b = drawn(seed)
    nothing = np.zeros((2 * PAIRS, 64), dtype=bool)
    there = matching_cells(views_a, views_b, reach, excluded=nothing, size=SIZE)
    back = matching_cells(views_b, views_a, reach, excluded=nothing, size=SIZE)
    assert sorted(map(tuple, there.tolist())) == sorted((a, b) for b, a in back.tolist())


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1), within=st.sampled_from([1.0, 4.0, 9.5, 100.0]), share=st.sampled_from([0.0, 0.3])
)
def test_positives_of_points_are_all_cells_within_the_tolerance_and_their_own(
    seed: int, within: float, share: float
) -> None:
    grid, rng = 8, np.random.default_rng(seed)
    views_a, views_b = drawn(seed)
    cells, partners = rng.integers(grid**2, size=(2, PAIRS, 5))
    valid, excluded = rng.random((PAIRS, 5)) < 0.8, rng.random((PAIRS, grid**2)) < share
    found = positives_of_points(
        cells, partners, valid, views=views_a, others=views_b, excluded=excluded, within=within, size=SIZE
    )
    for pair in range(PAIRS):
        near = (distances(views_a[pair], views_b[pair], grid) <= within + 1e-6) & ~excluded[pair]
        for point in range(5):
            expected = near[cells[pair, point]] & valid[pair, point]
            expected[partners[pair, point]] = valid[pair, point]
            assert np.array_equal(found[pair, point], expected)


def numbers(where: BoolArray) -> list[int]:
    return np.flatnonzero(where).tolist()


def test_neighbours_at_the_very_limit_count_by_hand() -> None:
    # Cells of 4 pixels in a grid of 8: the four next ones are 4 pixels away, the diagonal ones 5.66.
    def positives(cell: int, within: float) -> list[int]:
        cells, valid, nothing = np.array([[cell]]), np.ones((1, 1), dtype=bool), np.zeros((1, 64), dtype=bool)
        return numbers(
            positives_of_points(
                cells, cells, valid, views=UPRIGHT, others=UPRIGHT, excluded=nothing, within=within, size=SIZE
            )
        )

    assert positives(0, 4.0) == [0, 1, 8]
    assert positives(27, 4.0) == [19, 26, 27, 28, 35]
    assert (positives(0, 3.99), positives(27, 3.99)) == ([0], [27])
    assert positives(27, 5.7) == [18, 19, 20, 26, 27, 28, 34, 35, 36]


def test_views_that_lie_apart_have_no_matches() -> None:
    corner, other = UPRIGHT * 0.25, UPRIGHT * 0.25
    other[:, :, 2] = 24.0
    nothing = np.zeros((2, 64), dtype=bool)
    assert matching_cells(corner, other, Reach(diagonals=0.7), excluded=nothing, size=SIZE).shape == (0, 2)
    # The nearest cells, 17 pixels apart both ways: half a cell of 1 pixel at each border, and 16 between the views.
    assert len(matching_cells(corner, other, Reach(pixels=17 * 2**0.5), excluded=nothing, size=SIZE)) == 1


def test_points_far_outside_a_view_have_no_near_cells() -> None:
    ground = np.array([[[-50.0, 3.0], [10.0, 90.0], [2.0, 2.0]]])
    found = near_cells(ground, np.array([3.0]), UPRIGHT, grid=8, size=SIZE)
    assert [each.tolist() for each in found] == [[0], [2], [0]]


def test_scales_are_source_pixels_along_a_view() -> None:
    views: Float64Array = drawn(3)[0]
    along = [np.hypot(*(view @ [1.0, 0.0, 1.0] - view @ [0.0, 0.0, 1.0])) for view in views]
    assert scales(views) == pytest.approx(along)


def test_cells_are_numbered_row_by_row() -> None:
    cells: Int64Array = near_cells(np.array([[[14.0, 6.0]]]), np.array([0.0]), UPRIGHT, grid=8, size=SIZE)[2]
    assert cells.tolist() == [1 * 8 + 3]
