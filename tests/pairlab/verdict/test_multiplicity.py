import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pairlab.verdict.multiplicity import adjusted

PValues = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(PValues)
def test_arms_by_themselves_are_adjusted_as_holm_has_it(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert adjusted(np.array(p_values), [[arm] for arm in range(len(p_values))]) == pytest.approx(expected)


@given(PValues)
def test_a_single_ladder_is_climbed_without_any_correction(p_values: list[float]) -> None:
    found = adjusted(np.array(p_values), [list(range(len(p_values)))])
    assert found == pytest.approx(np.maximum.accumulate(p_values))


def test_a_ladder_and_an_arm_share_alpha_until_one_of_them_is_done() -> None:
    p_values = np.array([0.02, 0.03, 0.011, 0.9])  # rungs 0, 1; arms 2, 3
    # three open: 0.011 · 3; then rung 0: 0.02 · 2 = 0.04; rung 1: 0.03 · 2 = 0.06; the ladder is done: 0.9 · 1
    assert adjusted(p_values, [[2], [3], [0, 1]]) == pytest.approx([0.04, 0.06, 0.033, 0.9])


@given(st.lists(PValues.filter(lambda each: len(each) >= 3), min_size=2, max_size=4))
def test_many_families_at_once_are_adjusted_as_each_alone(families: list[list[float]]) -> None:
    p_values = np.array([each[:3] for each in families])
    units = [[0], [2, 1]]
    assert adjusted(p_values, units) == pytest.approx(np.array([adjusted(each, units) for each in p_values]))


@given(PValues)
def test_the_order_of_the_arms_does_not_matter(p_values: list[float]) -> None:
    order = np.random.default_rng(len(p_values)).permutation(len(p_values))
    units = [[arm] for arm in range(len(p_values))]
    assert adjusted(np.array(p_values)[order], units) == pytest.approx(adjusted(np.array(p_values), units)[order])
