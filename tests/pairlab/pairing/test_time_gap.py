"""Which two acquisitions a pair shows, where there are more than two."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.pairing import Noise, Pairing, Places, TimeGap
from pairlab.pairing.drawing import PairingRefused
from pairlab.pairing.pair import PairList
from tests.pairlab.pairing.invented_chips import anchors, drawn, index_of, temporal

FIVE = ("2019-01-01", "2019-01-11", "2020-01-01", "2020-01-02", "2021-01-01")
STEPS = st.tuples(st.integers(0, 4), st.integers(1, 4)).map(lambda two: (min(two), max(two)))


def gapped(gap: TimeGap | None, *, dates: tuple[str, ...] = FIVE, seed: int = 0, **noise: object) -> PairList:
    index = index_of([0] * 40 + [50] * 30 + [5] * 10, unknown=[1] * 10 + [0] * 70, acquisitions=dates)
    pairing = Pairing(policy="temporal", pairs=80, time_gap=gap, noise=Noise.model_validate(noise))
    return drawn(index, pairing, Places(), seed=seed)


def dates_of(pairs: PairList) -> Counter[tuple[int, int]]:
    numbers = np.sort(pairs.shots[:, :, 0].astype(int), axis=1)
    return Counter((int(first), int(last)) for first, last in numbers)


@settings(deadline=None)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_every_two_dates_so_many_steps_apart_are_drawn_equally_often(steps: tuple[int, int], seed: int) -> None:
    found = gapped(TimeGap(steps=steps), seed=seed)
    allowed = {(i, j) for i, j in combinations(range(5), 2) if steps[0] <= j - i <= steps[1]}
    counts = dates_of(found)
    assert set(counts) == allowed
    assert max(counts.values()) - min(counts.values()) <= 1
    assert all(pair.anchor.acquisition != pair.positive.acquisition for pair in found)
    assert all(shot.state == shot.acquisition for pair in found for shot in (pair.anchor, pair.positive))
    assert int((found.shots[:, 0, 0] < found.shots[:, 1, 0]).sum()) == 40
    assert anchors(found) == anchors(gapped(None, seed=seed))


@settings(deadline=None)
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_change_is_known_between_the_first_and_the_last_alone(steps: tuple[int, int], seed: int) -> None:
    found = gapped(TimeGap(steps=steps), seed=seed)
    between = 0
    for pair, numbers in zip(found, np.sort(found.shots[:, :, 0], axis=1).tolist(), strict=True):
        number = int(pair.anchor.scene.removeprefix("scene-"))
        ends = numbers == [0, 4]
        assert pair.noisy == (ends and pair.changed_pixels >= 16)
        assert pair.unknown == (number < 10 or (pair.changed_pixels > 0 and not ends))
        between += pair.changed_pixels > 0 and not ends
    assert np.array_equal(found.object_change > 0, (found.changed_pixels > 0) & ~found.unknown)
    told = [warning for warning in found.warnings if "by two others" in warning]
    assert [warning.startswith(f"{between} of 80 pairs") for warning in told] == [True] * (between > 0)


def test_days_are_read_from_the_names() -> None:
    assert set(dates_of(gapped(TimeGap(days=(0, 10))))) == {(0, 1), (2, 3)}
    assert set(dates_of(gapped(TimeGap(days=(365, 366))))) == {(0, 2), (0, 3), (2, 4), (3, 4)}
    hours = ("2020-01-01T06:00", "2020-01-01T18:00", "2020-01-03T06:00")
    assert set(dates_of(gapped(TimeGap(days=(0.4, 0.6)), dates=hours))) == {(0, 1)}


def test_names_that_are_no_dates_are_refused() -> None:
    with pytest.raises(PairingRefused, match="named by date, as 2021-06-30, and before, after are none"):
        gapped(TimeGap(days=(1, 30)), dates=("before", "2020-01-01", "after"))
    with pytest.raises(PairingRefused, match="and spring is none: name them so, or give time_gap in steps"):
        gapped(TimeGap(days=(1, 30)), dates=("2020-01-01", "spring"))


def test_a_gap_that_no_two_have_is_refused_with_those_there_are() -> None:
    with pytest.raises(PairingRefused, match=r"5 to 9 steps apart; those of the dataset .* lie 1 to 4 steps apart"):
        gapped(TimeGap(steps=(5, 9)))
    with pytest.raises(PairingRefused, match=r"11 to 300 days apart; those of the dataset .* lie 1 to 731 days apart"):
        gapped(TimeGap(days=(11, 300)))


def test_without_a_gap_the_first_and_the_last_are_paired() -> None:
    assert dates_of(gapped(None)) == {(0, 4): 80}
    assert gapped(None).realised_rate == 30 / 80


def test_controls_take_the_first_and_the_last_of_several_dates() -> None:
    index = index_of([50] * 40, acquisitions=FIVE)
    for control, shown in (("rerender", {0, 4}), ("same_acquisition", {0, 4})):
        found = drawn(index, temporal(0.0, pairs=40, control=control))
        assert Counter(found.shots[:, 0, 1].tolist()) == dict.fromkeys(shown, 20)


def test_mismatch_and_shift_go_with_a_gap() -> None:
    found = gapped(TimeGap(steps=(1, 2)), mismatch_rate=0.5, shift_px=2.0)
    assert found.realised_mismatch == 0.5
    assert not found.unknown[found.mismatched].any()
    assert found.shift.std() > 1
