"""What stands in for a noisy pair: the same place without its change, or a clean one."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.pairing.drawing import PairingRefused
from pairlab.scenes.index import ChipIndex
from tests.pairlab.pairing.invented_chips import (
    anchor_of,
    anchors,
    drawn,
    index_of,
    of_extents,
    positive_of,
    rounded,
    row_of,
    temporal,
)

SEEDS = st.integers(0, 2**31 - 1)
RATES = st.floats(0, 1)


def half_clean(*, noisy: int = 60, clean: int = 200, events: int = 3, seed: int = 0) -> ChipIndex:
    """Returns noisy and clean chips, one to a scene, of many shares of objects."""
    rng = np.random.default_rng(seed)
    objects = rng.integers(100, 1024, noisy + clean)
    return index_of(
        [50] * noisy + [0] * clean,
        objects=objects.tolist(),
        events=[f"event-{number}" for number in rng.integers(0, events, noisy + clean)],
    )


@settings(deadline=None)
@given(rate=RATES, seed=SEEDS, high=RATES)
def test_same_acquisition_shows_the_first_and_the_last_equally_often(rate: float, seed: int, high: float) -> None:
    rate, high = sorted((rate, high))
    found, higher = (
        drawn(index_of([50] * 60), temporal(each, pairs=40, control="same_acquisition"), seed=seed)
        for each in (rate, high)
    )
    shown = Counter(pair.anchor.acquisition for pair in found if pair.control)
    assert abs(shown["pre"] - shown["post"]) <= 1
    assert all(pair.anchor == pair.positive for pair in found if pair.control)
    controlled = 40 - rounded(rate, 40)
    told = f"shows {controlled} of 40 pairs as one image with itself"
    assert [told in warning for warning in found.warnings] == [True] * (controlled > 0)
    still = higher.control > 0
    assert np.array_equal(found.shots[still], higher.shots[still])
    assert found.exposure_matched


@settings(deadline=None)
@given(rate=st.floats(0, 0.3), seed=SEEDS, control=st.sampled_from(["same_acquisition", "rerender"]))
def test_states_are_balanced_within_each_extent_too(rate: float, seed: int, control: str) -> None:
    places = of_extents(((0.0, 0.3), 0.3), ((0.3, 0.7), 0.3))
    index = index_of([30] * 60 + [100] * 60)
    for extent in ((0.0, 0.3), (0.3, 0.7)):
        found = drawn(index, temporal(rate, pairs=60, control=control, extent=extent), places, seed=seed)
        states = Counter(pair.anchor.state for pair in found if pair.control)
        assert abs(states["pre"] - states["post"]) <= 2  # one of each part


@settings(deadline=None)
@given(rate=RATES, mismatch=RATES, seed=SEEDS)
def test_replace_takes_clean_places_of_the_event_once(rate: float, mismatch: float, seed: int) -> None:
    index = half_clean()
    index.unknown_pixels[70:90] = 3
    row = row_of(index)
    scenes = {scene.name: scene for scene in index.scenes}
    plain = drawn(index, temporal(rate, pairs=40), seed=seed)
    found = drawn(index, temporal(rate, pairs=40, control="replace", mismatch_rate=mismatch * (1 - rate)), seed=seed)
    assert len(set(anchors(found))) == 40
    for pair, before in zip(found, plain, strict=True):
        if pair.control != "replace":
            assert anchor_of(pair) == anchor_of(before)
            continue
        at = row[anchor_of(pair)]
        assert (index.changed_pixels[at], index.unknown_pixels[at]) == (0, 0)
        assert anchor_of(pair) == positive_of(pair)
        assert {pair.anchor.acquisition, pair.positive.acquisition} == {"pre", "post"}
        assert scenes[pair.anchor.scene].event == scenes[before.anchor.scene].event
        assert abs(index.object_pixels[at] - index.object_pixels[row[anchor_of(before)]]) < 200
        assert pair.object_change_share == 0
    assert not (found.exposure_matched and (found.control > 0).any())
    assert drawn(index, temporal(1.0, pairs=40, control="replace"), seed=seed).exposure_matched
    shares = [index.object_pixels[[row[place] for place in anchors(pairs)]].mean() / 1024 for pairs in (found, plain)]
    assert shares[0] == pytest.approx(shares[1], abs=0.03)


@settings(deadline=None)
@given(low=RATES, high=RATES, seed=SEEDS)
def test_a_place_is_replaced_by_the_same_one_at_every_rate(low: float, high: float, seed: int) -> None:
    low, high = sorted((low, high))
    lower, higher = (
        drawn(half_clean(), temporal(rate, pairs=40, control="replace"), seed=seed) for rate in (low, high)
    )
    still = higher.control > 0
    assert np.array_equal(lower.scene[still], higher.scene[still])


@settings(deadline=None)
@given(rate=st.floats(0, 0.9), mismatch=st.floats(0, 0.3), clean=st.integers(0, 30), seed=SEEDS)
def test_too_few_clean_chips_are_refused_with_what_can_be_reached(
    rate: float, mismatch: float, clean: int, seed: int
) -> None:
    index = half_clean(clean=clean, events=2)

    def draw(rate: float, pairs: int) -> int:
        share = min(mismatch, 1 - rate)
        return len(drawn(index, temporal(rate, pairs=pairs, control="replace", mismatch_rate=share), seed=seed))

    share = min(mismatch, 1 - rate)
    noisy = rounded(rate, 50)
    needed = 50 - noisy - min(rounded(share, 50), 50 - noisy)
    if needed <= clean:
        assert draw(rate, 50) == 50
        return
    with pytest.raises(PairingRefused) as refusal:
        draw(rate, 50)
    text = str(refusal.value)
    assert f"needs {needed} clean chips" in text
    assert f"the train split has {clean}:" in text
    told = re.search(r"noise.rate to at least (\d\.?\d*)", text)
    assert told is not None
    reachable = float(told[1])
    if reachable + mismatch <= 1:
        assert draw(reachable, 50) == 50
    with pytest.raises(PairingRefused):
        draw(reachable - 0.0001 - 1 / 50, 50)
    if told := re.search(r"set pairs to at most (\d+)", text):
        assert draw(rate, int(told[1])) == int(told[1])
        with pytest.raises(PairingRefused):
            draw(rate, int(told[1]) + 1)


def test_places_of_another_event_are_taken_where_its_own_has_too_few_and_told() -> None:
    index = index_of([50] * 20 + [0] * 30, events=["fire"] * 10 + ["flood"] * 10 + ["fire"] * 4 + ["flood"] * 26)
    found = drawn(index, temporal(0.0, pairs=20, control="replace"))
    scenes = {scene.name: scene.event for scene in index.scenes}
    assert Counter(scenes[pair.anchor.scene] for pair in found) == {"fire": 4, "flood": 16}
    assert any(
        warning.startswith("6 of 20 places in the stead of noisy ones are of another") for warning in found.warnings
    )


def test_among_very_many_clean_chips_every_event_finds_its_own() -> None:
    rng = np.random.default_rng(0)
    noisy, clean = 20, 9000
    objects = rng.integers(100, 1024, noisy + clean)
    rare = noisy + np.arange(12)
    events = np.full(noisy + clean, "flood", dtype=object)
    events[:10] = events[rare] = "fire"
    index = index_of([50] * noisy + [0] * clean, objects=objects.tolist(), events=events.tolist())
    row = row_of(index)
    plain = drawn(index, temporal(0.0, pairs=noisy))
    found = drawn(index, temporal(0.0, pairs=noisy, control="replace"))
    for pair, before in zip(found, plain, strict=True):
        at, stood = row[anchor_of(pair)], row[anchor_of(before)]
        assert events[at] == events[stood]
        assert events[at] == "fire" or abs(objects[at] - objects[stood]) < 30
    assert len(set(anchors(found))) == noisy
