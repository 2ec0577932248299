from statistics import mean as library_mean
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlab.verdict import mean, paired_difference, sample_deviation

Scores = st.dictionaries(st.integers(0, 50), st.floats(0, 1), max_size=20)


def test_a_hand_computed_difference() -> None:
    difference = paired_difference({2: 0.48, 0: 0.57, 7: 0.1}, {0: 0.56, 2: 0.50, 9: 0.9})
    assert difference is not None
    assert difference.seeds == (0, 2)
    assert difference.values == pytest.approx((1.0, -2.0))
    assert difference.mean == pytest.approx(-0.5)


def test_arms_without_a_common_seed_have_no_difference() -> None:
    assert paired_difference({0: 0.5}, {1: 0.5}) is None
    assert paired_difference({}, {}) is None


@given(Scores, Scores)
def test_exchanging_the_arms_turns_the_sign(scores: dict[int, float], reference: dict[int, float]) -> None:
    there, back = paired_difference(scores, reference), paired_difference(reference, scores)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert there.seeds == back.seeds
        assert there.mean == -back.mean


@given(Scores)
def test_an_arm_does_not_differ_from_itself(scores: dict[int, float]) -> None:
    difference = paired_difference(scores, scores)
    assert difference is None or set(difference.values) == {0.0}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_mean_and_deviation_are_the_librarys(values: list[float]) -> None:
    assert mean(values) == pytest.approx(library_mean(values))
    assert sample_deviation(values) == pytest.approx(stdev(values))


def test_one_value_has_no_deviation() -> None:
    assert sample_deviation([0.5]) is None
    assert sample_deviation([]) is None
