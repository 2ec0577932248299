"""Scores per square become scores of chips of every size."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores, mean_per_cell
from pairlab.scenes.index import CELL, ChipIndex
from pairlab.scenes.measuring import build_index
from tests.pairlab.pairing.cell_score_cases import drawn_scores
from tests.pairlab.scenes.counted_scenes import CountedScenes

SIZES = [(96, 160), (64, 64), (130, 70), (20, 300), (128, 128)]


def plain_scores(scores: CellScores, chips: ChipIndex) -> list[float]:
    """The score of each chip, square by square."""
    starts = dict(zip(scores.scenes, np.concatenate([[0], np.cumsum(scores.cells.prod(axis=1))]), strict=False))
    found = []
    for position in range(len(chips)):
        name = chips.scenes[chips.scene[position]].name
        if name not in starts:
            found.append(float("nan"))
            continue
        down, across = scores.cells[scores.scenes.index(name)]
        grid = scores.values[0, starts[name] : starts[name] + down * across].reshape(down, across)
        y, x, per = chips.y[position] // CELL, chips.x[position] // CELL, chips.chip_size // CELL
        squares = grid[y : y + per, x : x + per].astype(np.float64)
        found.append(float(np.nanmean(squares)) if np.isfinite(squares).any() else float("nan"))
    return found


@pytest.mark.parametrize("chip_size", [32, 64, 96])
def test_a_chip_scores_the_mean_of_its_squares(chip_size: int) -> None:
    scores = drawn_scores(SIZES, missing=0.4)
    chips = build_index(CountedScenes(SIZES)).chips(chip_size)
    found = scores.of_chips(chips)
    assert set(found) == {ACROSS}
    np.testing.assert_allclose(found[ACROSS], plain_scores(scores, chips), rtol=1e-12)


def test_chips_of_scenes_without_scores_have_none() -> None:
    scores = drawn_scores(SIZES, missing=0.0)
    chips = build_index(CountedScenes([*SIZES, (96, 96)])).chips(32)
    found = scores.of_chips(chips)[ACROSS]
    unknown = np.array([chips.scenes[row].name == "scene-0005" for row in chips.scene])
    assert unknown.sum() == 9
    assert np.array_equal(np.isnan(found), unknown)
    np.testing.assert_allclose(found, plain_scores(scores, chips), rtol=1e-12)


def test_scenes_may_stand_in_any_order_and_be_chosen() -> None:
    scores, index = drawn_scores(SIZES, seed=3), build_index(CountedScenes(SIZES))
    whole = scores.of_chips(index.chips(64))[ACROSS]
    chosen = index.select(np.array([4, 0]))
    rows = [np.flatnonzero(index.chips(64).scene == row) for row in (4, 0)]
    found = scores.of_chips(chosen.chips(64))[ACROSS]
    np.testing.assert_array_equal(found, np.concatenate([whole[each] for each in rows]))


def test_variants_are_kept_apart() -> None:
    scores = drawn_scores(SIZES, rendered=True)
    chips = build_index(CountedScenes(SIZES)).chips(64)
    found = scores.of_chips(chips)
    assert list(found) == [ACROSS, BEFORE, AFTER]
    for variant, values in found.items():
        np.testing.assert_array_equal(scores.only(variant).of_chips(chips)[variant], values)
    assert not np.array_equal(found[BEFORE], found[AFTER])


def test_scores_without_a_single_square_give_none() -> None:
    scores = drawn_scores([(20, 20)])
    chips = build_index(CountedScenes([(64, 64)])).chips(64)
    assert np.isnan(scores.of_chips(chips)[ACROSS]).all()


def test_parts_join_to_the_whole() -> None:
    whole = drawn_scores(SIZES, rendered=True)
    ends = np.concatenate([[0], np.cumsum(whole.cells.prod(axis=1))])
    parts = [
        replace(
            whole,
            scenes=whole.scenes[start:stop],
            cells=whole.cells[start:stop],
            values=whole.values[:, ends[start] : ends[stop]],
            seconds=0.5,
        )
        for start, stop in ((0, 2), (2, 3), (3, 5))
    ]
    joined = CellScores.joined(parts)
    assert joined.scenes == whole.scenes
    assert joined.seconds == 1.5
    np.testing.assert_array_equal(joined.cells, whole.cells)
    np.testing.assert_array_equal(joined.values, whole.values)


@settings(deadline=None)
@given(height=st.integers(0, 100), width=st.integers(0, 100), missing=st.floats(0, 1), seed=st.integers(0, 999))
def test_squares_score_the_mean_of_their_pixels(height: int, width: int, missing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.random((height, width), dtype=np.float32)
    scores[rng.random((height, width)) < missing] = np.nan
    found = mean_per_cell(scores)
    assert found.dtype == np.float32
    assert found.shape == (height // CELL, width // CELL)
    for (row, column), value in np.ndenumerate(found):
        square = scores[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL].astype(np.float64)
        known = square[np.isfinite(square)]
        assert value == pytest.approx(known.mean(), rel=1e-6) if len(known) else np.isnan(value)
