import numpy as np
import pytest

from pairlab.verdict.intervals import Figures
from pairlab.verdict.reading import Verdict, read_verdicts, word_looks

LOOKS = (5, 10, 20)


def seeds(n: int, *, mean: float = 0.0, deviation: float = 0.2, endpoints: int = 2, seed: int = 0) -> Figures:
    return mean + deviation * np.random.default_rng(seed).standard_normal((n, endpoints))


def read(n: int, **knobs: float) -> Verdict:
    return read_verdicts({"arm": seeds(n, **knobs)}, margin=1.0, looks=LOOKS)["arm"]  # type: ignore[arg-type]


def test_below_two_seeds_there_is_no_interval_and_below_five_no_word() -> None:
    one, four = read(1), read(4)
    assert (one.outcome, one.endpoints[0].low, one.next_look) == (None, None, 5)
    assert one.endpoints[0].deviation is None
    assert four.outcome is None
    assert four.endpoints[0].low is not None
    assert four.p_values == {}
    assert four.history == ()


def test_between_looks_the_last_verdict_stands_as_it_was_read() -> None:
    at, between = (
        read_verdicts({"arm": seeds(5)}, margin=1.0, looks=LOOKS)["arm"],
        read_verdicts({"arm": np.vstack([seeds(5), seeds(4, mean=-9.0)])}, margin=1.0, looks=LOOKS)["arm"],
    )
    assert (between.look, between.seeds, between.next_look) == (5, 9, 10)
    assert between.outcome == at.outcome == "robust"
    assert between.endpoints == at.endpoints


def test_each_look_has_its_share_of_alpha_and_a_history() -> None:
    found = read(25)
    assert (found.look, found.next_look) == (20, None)
    assert found.alpha == pytest.approx(0.05 / 3)
    assert found.history == ((5, "robust"), (10, "robust"), (20, "robust"))
    alone = read_verdicts({"arm": seeds(20)}, margin=1.0, looks=(20,))["arm"]
    assert alone.alpha == pytest.approx(0.05)


def test_a_look_below_five_gives_an_interval_but_no_word_and_spends_nothing() -> None:
    found = read_verdicts({"arm": seeds(3)}, margin=1.0, looks=(3, 10))["arm"]
    assert (found.outcome, found.look, found.next_look) == (None, None, 10)
    assert found.alpha == pytest.approx(0.05)
    assert word_looks((2, 4, 5, 8)) == (5, 8)
    assert read_verdicts({"arm": seeds(3)}, margin=1.0, looks=(3,))["arm"].reachable is False


def test_the_seeds_still_needed_do_not_depend_on_the_difference_seen() -> None:
    near, far = (read(5, mean=mean, deviation=1.2, seed=4) for mean in (0.3, -0.7))
    assert near.outcome == far.outcome == "undecided"
    assert near.seeds_needed == far.seeds_needed
    assert (near.reachable, near.seeds_needed is None) == (False, True)
    assert read(5, mean=-0.9, deviation=0.3, seed=2).seeds_needed in (10, 20)


def test_a_decided_arm_needs_no_more_seeds() -> None:
    found = read(5)
    assert (found.outcome, found.seeds_needed, found.reachable) == ("robust", None, None)


def test_an_arm_that_lags_keeps_its_own_look() -> None:
    found = read_verdicts({"fast": seeds(10), "slow": seeds(6, seed=1)}, margin=1.0, looks=LOOKS)
    assert (found["fast"].look, found["slow"].look) == (10, 5)
    assert all(each.family == 2 for each in found.values())


def test_a_ladder_says_where_it_breaks() -> None:
    arms = {"low": seeds(5), "mid": seeds(5, mean=-1.0, seed=1), "high": seeds(5, seed=2)}
    found = read_verdicts(arms, margin=1.0, looks=LOOKS, ladders=[("low", "mid", "high")])
    assert [each.outcome for each in found.values()] == ["robust", "undecided", "undecided"]
    assert {each.breaks_at for each in found.values()} == {"mid"}
    assert found["high"].ladder == ("low", "mid", "high")


def test_lopsided_differences_are_marked() -> None:
    values = np.array([[0.1], [0.2], [0.0], [0.15], [-3.0]])
    (figures,) = read_verdicts({"arm": values}, margin=1.0, looks=LOOKS)["arm"].endpoints
    assert figures.lopsided == pytest.approx(-1.49, abs=0.02)
    assert read(5).endpoints[0].lopsided is None
