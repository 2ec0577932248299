import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.weightstats import ttost_paired

from pairlab.verdict.intervals import Figures, Sample
from pairlab.verdict.outcomes import Judged, judge, outcome_name, word_p_values

MARGIN = 1.0


def family(*arms: tuple[tuple[float, float], ...]) -> Sample:
    """Means and standard errors of each arm's endpoints, of 10 seeds."""
    figures = np.array(arms)
    return Sample(figures[..., 0], figures[..., 1], 10)


def outcomes(judged: Judged) -> list[str]:
    return [outcome_name(int(place)) for place in judged.outcomes]


def judged(*arms: tuple[tuple[float, float], ...], ladder: bool = False) -> Judged:
    units = [list(range(len(arms)))] if ladder else [[arm] for arm in range(len(arms))]
    return judge(family(*arms), margin=MARGIN, alpha=0.05, units=units)


@pytest.mark.parametrize(
    ("endpoints", "outcome"),
    [
        (((0.0, 0.1),), "robust"),
        (((0.9, 0.1),), "not_harmed"),
        (((1.5, 0.1),), "benefits"),
        (((-1.5, 0.1),), "harmed"),
        (((-0.9, 0.1),), "undecided"),
        (((0.0, 0.1), (0.0, 0.1)), "robust"),
        (((0.0, 0.1), (0.9, 0.1)), "not_harmed"),
        (((0.0, 0.1), (-0.9, 0.1)), "undecided"),
        (((0.0, 0.1), (-1.5, 0.1)), "harmed"),
        (((0.0, 0.1), (1.5, 0.1)), "benefits"),
        (((1.5, 0.1), (-0.9, 0.1)), "undecided"),
        (((1.5, 0.1), (-1.5, 0.1)), "harmed"),
        (((0.0, 9.0), (0.0, 9.0)), "undecided"),
    ],
)
def test_the_five_outcomes(endpoints: tuple[tuple[float, float], ...], outcome: str) -> None:
    assert outcomes(judged(endpoints)) == [outcome]


def test_tost_is_the_librarys() -> None:
    values = np.random.default_rng(3).normal(0.2, 0.8, 12)
    expected = ttost_paired(values, np.zeros(12), -MARGIN, MARGIN)[0]
    assert word_p_values(Sample.of(values[None, None]), MARGIN)["robust"] == pytest.approx(expected)


def test_an_effect_at_one_endpoint_alone_needs_half_the_level() -> None:
    sample = family(((-1.21, 0.1), (0.0, 0.1)), ((-1.21, 0.1), (-1.21, 0.1)))  # 0.033 of one, and of both
    assert sample.p_below(-MARGIN)[0, 0] == pytest.approx(0.0325, abs=0.001)
    assert word_p_values(sample, MARGIN)["harmed"] == pytest.approx([0.065, 0.0325], abs=0.002)


def test_holm_gives_the_word_that_bonferroni_alone_would_not_and_the_interval_follows() -> None:
    clear, close = ((0.0, 0.05),), ((0.0, 0.5),)  # p = 0 and 0.038
    both = judged(clear, close)
    assert outcomes(both) == ["robust", "robust"]
    low, high = family(clear, close).interval(0.025)
    assert low[1, 0] < -MARGIN
    assert (both.low[1, 0], both.high[1, 0]) == (-MARGIN, MARGIN)
    assert both.low[0, 0] == low[0, 0]
    assert high[0, 0] == both.high[0, 0]


def test_behind_the_rung_where_a_ladder_breaks_no_rung_is_called_safe() -> None:
    broken = judged(((0.0, 0.1),), ((-0.9, 0.1),), ((0.0, 0.1),), ladder=True)
    assert outcomes(broken) == ["robust", "undecided", "undecided"]
    assert broken.low[2, 0] == -MARGIN
    assert outcomes(judged(((0.0, 0.1),), ((-0.9, 0.1),), ((-1.9, 0.1),), ladder=True))[2] == "harmed"


def test_the_rungs_of_a_ladder_share_no_alpha() -> None:
    rungs = [((0.0, 0.5),)] * 4  # p = 0.038 each
    assert outcomes(judged(*rungs, ladder=True)) == ["robust"] * 4
    assert outcomes(judged(*rungs)) == ["undecided"] * 4


def test_an_arm_that_has_not_come_so_far_shows_nothing_and_keeps_its_share() -> None:
    unknown = ((float("nan"), float("nan")),)
    found = judged(unknown, ((0.0, 0.5),))
    assert outcomes(found) == ["undecided", "undecided"]
    assert outcomes(judged(((0.0, 0.5),))) == ["robust"]


def test_equal_differences_are_certain() -> None:
    assert outcomes(judged(((0.0, 0.0),), ((-1.0, 0.0),), ((-2.0, 0.0),))) == ["robust", "undecided", "harmed"]


Differences = arrays(np.float64, (3, 2, 5), elements=st.floats(-4, 4, allow_subnormal=False))


@given(Differences, st.booleans())
def test_displayed_intervals_never_contradict_the_words(differences: Figures, ladder: bool) -> None:
    units = [[0], [2, 1]] if ladder else [[0], [1], [2]]
    found = judge(Sample.of(differences), margin=MARGIN, alpha=0.05, units=units)
    for arm, word in enumerate(outcomes(found)):
        low, high = found.low[arm], found.high[arm]
        above, inside = bool((low > -MARGIN).all()), bool(((low > -MARGIN) & (high < MARGIN)).all())
        if word == "robust":
            assert (low >= -MARGIN).all()
            assert (high <= MARGIN).all()
        elif word == "not_harmed":
            assert (low >= -MARGIN).all()
            assert not inside
        elif word == "benefits":
            assert (low >= MARGIN).any()
            assert (low >= -MARGIN).all()
        elif word == "harmed":
            assert (high <= -MARGIN).any()
        else:
            assert not above
            assert not (high < -MARGIN).any()
        assert (low <= high).all()


@given(Differences)
def test_turning_every_sign_exchanges_benefit_and_harm_of_one_endpoint(differences: Figures) -> None:
    there = judge(Sample.of(differences[:, :1]), margin=MARGIN, alpha=0.05, units=[[0], [1], [2]])
    back = judge(Sample.of(-differences[:, :1]), margin=MARGIN, alpha=0.05, units=[[0], [1], [2]])
    turned = {"harmed": "benefits", "benefits": "harmed", "robust": "robust"}
    for one, other in zip(outcomes(there), outcomes(back), strict=True):
        assert turned.get(one) in (None, other)


def test_one_seed_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 2 differences, got 1"):
        Sample.of(np.zeros((1, 1, 1)))
