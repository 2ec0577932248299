import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.training import Augmentation
from pairlab.views.steps import Steps
from tests.pairlab.views.known_geometry import CoordinateScenes, pair_list

SCENES = CoordinateScenes(count=3).scenes


def steps(*, count: int = 10, batch_size: int = 4, seed: int = 0, shift_px: float = 0.0) -> Steps:
    pairs = pair_list(SCENES, size=32, count=count, shift_px=shift_px)
    return Steps(pairs, Augmentation(), batch_size=batch_size, seed=seed)


@settings(deadline=None)
@given(count=st.integers(2, 40), batch_size=st.integers(2, 50), seed=st.integers(0, 2**32 - 1))
def test_every_pair_comes_once_before_any_comes_again(count: int, batch_size: int, seed: int) -> None:
    drawn = steps(count=count, batch_size=batch_size, seed=seed)
    shown = np.concatenate([drawn.positions(step) for step in range(3 * count // batch_size + 1)])
    for begin in range(0, len(shown) - count + 1, count):
        assert sorted(shown[begin : begin + count]) == list(range(count))


@settings(deadline=None)
@given(count=st.integers(2, 40), batch_size=st.integers(2, 50), seed=st.integers(0, 2**32 - 1))
def test_where_a_pair_is_shown_first_is_where_it_is(count: int, batch_size: int, seed: int) -> None:
    drawn = steps(count=count, batch_size=batch_size, seed=seed)
    wanted = np.random.default_rng(seed).permutation(count)[:7]
    for position, step, place in zip(wanted, *drawn.first_shown(wanted), strict=True):
        assert drawn.positions(int(step))[place] == position
        assert all(position not in drawn.positions(earlier) for earlier in range(int(step)))


def test_rounds_come_in_other_orders() -> None:
    drawn = steps(count=10, batch_size=10)
    assert drawn.positions(0).tolist() != drawn.positions(1).tolist()
    assert drawn.positions(0).tolist() != steps(count=10, batch_size=10, seed=1).positions(0).tolist()


def test_one_row_of_point_keys_is_that_of_the_whole_batch() -> None:
    drawn = steps(batch_size=6)
    keys = drawn.point_keys(3, cells=64)
    assert keys.shape == (6, 64)
    for place in range(6):
        assert np.array_equal(drawn.point_keys_of(3, place, cells=64), keys[place : place + 1])


def test_a_displacement_moves_no_other_draw() -> None:
    plain, shifted = steps(), steps(shift_px=3.0)
    for one, other in zip(plain.views(2)[:2], shifted.views(2)[:2], strict=True):
        assert np.array_equal(one, other)
    positions = shifted.positions(2)
    assert np.array_equal(positions, plain.positions(2))
    nominal = shifted.views(2)[1]
    moved = shifted.as_cropped(nominal, positions)
    assert np.allclose((nominal - moved)[:, :, 2], shifted.pairs.shift[positions][:, ::-1])
    assert np.array_equal(plain.as_cropped(nominal, positions), nominal)


def test_views_depend_on_seed_and_step_alone() -> None:
    first = steps().views(5)[0]
    assert np.array_equal(first, steps().views(5)[0])
    assert not np.array_equal(first, steps().views(6)[0])
    assert not np.array_equal(first, steps(seed=1).views(5)[0])
