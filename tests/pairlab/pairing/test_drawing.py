"""What every draw keeps to, whichever knobs are turned."""

from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.experiment.pairing import Noise, Pairing, Places, TimeGap
from pairlab.pairing.drawing import PairingRefused, draw_pairs
from pairlab.pairing.pair import PairList
from pairlab.scenes.index import ChipIndex
from tests.pairlab.pairing.invented_chips import (
    DATES,
    NOISY,
    anchor_of,
    anchors,
    drawn,
    index_of,
    indices,
    positive_of,
    rounded,
    row_of,
    temporal,
)

RATES = st.floats(0, 1)
SEEDS = st.integers(0, 2**31 - 1)


@st.composite
def noises(draw: st.DrawFn) -> Noise:
    """Draws every knob of the noise at once."""
    rate = draw(st.none() | RATES)
    share = draw(RATES)
    low, high = sorted((draw(st.sampled_from([0.0, 0.2, 0.5])), draw(st.sampled_from([0.5, 0.9, 1.0]))))
    return Noise(
        rate=rate,
        extent=(low, high),
        control=None if rate is None else draw(st.sampled_from(["rerender", "masked", "same_acquisition", "replace"])),
        mismatch_rate=share * (1 - (rate or 0.0)),
        mismatch_from=draw(st.sampled_from(["same_event", "other_event", "similar"])),
        shift_px=draw(st.sampled_from([0.0, 1.5])),
    )


@settings(deadline=None, max_examples=300)
@given(index=indices(), noise=noises(), pairs=st.integers(2, 40), seed=SEEDS)
def test_what_is_asked_for_is_drawn_or_refused(index: ChipIndex, noise: Noise, pairs: int, seed: int) -> None:
    pairing = Pairing(policy="temporal", noise=noise, pairs=pairs)
    try:
        found = drawn(index, pairing, Places(), seed=seed)
    except PairingRefused:
        assume(False)
    row, rate = row_of(index), noise.rate
    assert len(found) == pairs
    assert len(set(anchors(found))) == pairs  # without replacement
    expected = rounded(noise.mismatch_rate, pairs)
    if rate is None:
        assert int(found.mismatched.sum()) == expected
    else:
        noisy = rounded(rate, pairs)
        assert int(found.noisy.sum()) == noisy
        assert int(found.mismatched.sum()) == min(expected, pairs - noisy)
    assert not (found.noisy & found.mismatched).any()
    assert not (found.control > 0)[found.noisy | found.mismatched].any()
    for pair in found:
        at, to = row[anchor_of(pair)], row[positive_of(pair)]
        assert index.valid_pixels[at] > 0
        assert index.valid_pixels[to] > 0
        assert (at != to) == pair.mismatched
        assert pair.changed_pixels == index.changed_pixels[at]
        if pair.noisy:
            low, high = noise.extent
            assert pair.changed_pixels >= noise.min_changed_pixels
            assert low <= pair.object_change_share <= high
            assert pair.control is None
        if pair.control == "replace":
            assert index.changed_pixels[at] == 0
            assert index.unknown_pixels[at] == 0
        if rate is not None and not pair.mismatched:
            assert pair.noisy == (pair.control is None)
        if pair.control == "rerender":
            assert pair.anchor.state == pair.positive.state
            assert pair.anchor.acquisition != pair.positive.acquisition
        elif pair.control == "same_acquisition":
            assert pair.anchor == pair.positive
        else:
            assert (pair.anchor.state, pair.positive.state) == (pair.anchor.acquisition, pair.positive.acquisition)
            assert {pair.anchor.acquisition, pair.positive.acquisition} == set(DATES)


@settings(deadline=None)
@given(index=indices(least_noisy=12), noise=noises(), seed=SEEDS)
def test_equal_seeds_draw_equal_pairs_and_others_do_not(index: ChipIndex, noise: Noise, seed: int) -> None:
    pairing = Pairing(policy="temporal", noise=noise, pairs=8)
    try:
        one, again = (drawn(index, pairing, Places(), seed=seed) for _ in range(2))
        other = drawn(index, pairing, Places(), seed=seed + 1)
    except PairingRefused:
        assume(False)
    assert all(same(one, again, field.name) for field in fields(PairList))
    assert not all(same(one, other, name) for name in ("scene", "x", "shots", "shift"))


def same(one: PairList, other: PairList, name: str) -> bool:
    mine, theirs = getattr(one, name), getattr(other, name)
    return np.array_equal(mine, theirs, equal_nan=True) if isinstance(mine, np.ndarray) else bool(mine == theirs)


@settings(deadline=None)
@given(
    low=RATES,
    high=RATES,
    control=st.sampled_from(["rerender", "masked", "same_acquisition"]),
    seed=SEEDS,
    index=indices(least_noisy=20),
)
def test_a_rate_ladder_shares_places_and_nests(
    low: float, high: float, control: str, seed: int, index: ChipIndex
) -> None:
    low, high = sorted((low, high))
    lower, higher = (drawn(index, temporal(rate, control=control), seed=seed) for rate in (low, high))
    image = drawn(index, Pairing(policy="same_image", pairs=20), seed=seed)
    assert anchors(lower) == anchors(higher) == anchors(image)
    assert (higher.noisy | ~lower.noisy).all()
    assert lower.object_change.sum() <= higher.object_change.sum()
    kept = lower.noisy | ~higher.noisy
    assert np.array_equal(lower.shots[kept], higher.shots[kept])
    assert not image.noisy.any()
    assert not image.unknown.any()


@settings(deadline=None)
@given(rate=RATES, mismatch=RATES, seed=SEEDS, control=st.sampled_from(["rerender", "masked"]))
def test_every_rate_shows_each_state_and_date_equally_often(
    rate: float, mismatch: float, seed: int, control: str
) -> None:
    pairing = temporal(rate, pairs=40, control=control, mismatch_rate=mismatch * (1 - rate))
    found = drawn(index_of([50] * 60), pairing, seed=seed)
    states = Counter(shot.state for pair in found for shot in (pair.anchor, pair.positive))
    dates = Counter(shot.acquisition for pair in found for shot in (pair.anchor, pair.positive))
    first = Counter(pair.anchor.acquisition for pair in found)
    assert dates == {"pre": 40, "post": 40}
    assert first == {"pre": 20, "post": 20}
    assert abs(states["pre"] - states["post"]) <= 2  # a controlled pair shows one state twice


@settings(deadline=None)
@given(knobs=noises(), index=indices(least_noisy=20), seed=SEEDS)
def test_no_knob_moves_the_draws_of_another(knobs: Noise, index: ChipIndex, seed: int) -> None:
    plain = drawn(index, Pairing(policy="temporal", pairs=10), Places(), seed=seed)
    noise = knobs.model_copy(update={"rate": None, "control": None})
    try:
        found = drawn(index, Pairing(policy="temporal", pairs=10, noise=noise), Places(), seed=seed)
    except PairingRefused:
        assume(False)
    assert anchors(found) == anchors(plain)
    assert np.array_equal(found.shots, plain.shots)


def test_the_places_are_the_first_of_the_seeds_permutation() -> None:
    index = index_of([50] * 30)
    longer, shorter = (drawn(index, temporal(0.5, pairs=pairs)) for pairs in (30, 12))
    assert anchors(longer)[:12] == anchors(shorter)


def test_same_image_draws_equally_from_every_date() -> None:
    found = drawn(index_of([50] * 60), Pairing(policy="same_image", pairs=30), Places(), seed=1)
    assert Counter(pair.anchor.acquisition for pair in found) == {"pre": 15, "post": 15}
    assert all(pair.anchor == pair.positive for pair in found)
    assert found.object_change.tolist() == [0.0] * 30


def test_one_date_can_be_asked_for() -> None:
    pairing = Pairing(policy="same_image", acquisition="post", pairs=30)
    found = drawn(index_of([0] * 60), pairing, Places(), seed=1)
    assert {pair.anchor.acquisition for pair in found} == {"post"}
    with pytest.raises(PairingRefused, match="no acquisition 'may'; the dataset has: balanced, pre, post"):
        drawn(index_of([0] * 60), Pairing(policy="same_image", acquisition="may", pairs=3), Places())


def test_without_a_rate_the_pairs_are_as_the_data_has_them() -> None:
    index = index_of([0] * 30 + [50] * 10 + [10] * 5)
    found = drawn(index, temporal(pairs=45), Places())
    assert found.realised_rate == pytest.approx(10 / 45)
    assert found.pool == {"chips": 45, "noisy": 10, "clean": 30, "unknown": 0}


def test_unknown_chips_are_neither_clean_nor_noisy() -> None:
    index = index_of([0] * 10 + [40] * 10, unknown=[5] * 4 + [0] * 6 + [5] * 10)
    found = drawn(index, temporal(pairs=20), Places())
    assert found.pool == {"chips": 20, "noisy": 10, "clean": 6, "unknown": 4}
    assert int(found.unknown.sum()) == 4
    assert "4 of 20 pairs show un-classified objects" in found.warnings[0]


@settings(deadline=None)
@given(seed=SEEDS, small=st.floats(0.1, 5), large=st.floats(5, 64), rate=st.none() | RATES)
def test_a_shift_has_the_asked_deviation_and_one_direction(
    seed: int, small: float, large: float, rate: float | None
) -> None:
    index = index_of([50] * 4000)
    little, much = (drawn(index, temporal(rate, pairs=4000, shift_px=px), seed=seed) for px in (small, large))
    assert np.allclose(little.shift * (large / small), much.shift)
    assert np.std(much.shift, axis=0) == pytest.approx([large, large], rel=0.08)
    assert np.abs(much.shift.mean(axis=0)).max() < 0.1 * large
    down, right = (much.shift / large).T
    assert abs(float((down * right).mean())) < 0.1
    assert not drawn(index, temporal(rate, pairs=50), seed=seed).shift.any()


def test_temporal_pairs_need_two_dates() -> None:
    with pytest.raises(PairingRefused, match="need two acquisitions; the dataset has post"):
        drawn(index_of([0] * 10, acquisitions=("post",)), temporal(pairs=5), Places())


def test_a_rate_needs_a_control_for_the_other_pairs() -> None:
    with pytest.raises(PairingRefused, match=r"noise.rate 0.5 needs a control"):
        drawn(index_of([50] * 30), temporal(0.5, control=None))
    assert drawn(index_of([50] * 30), temporal(1, control=None)).realised_rate == 1.0


def test_more_acquisitions_than_a_pair_can_tell_are_refused() -> None:
    many = tuple(f"date-{number}" for number in range(128))
    gap = Pairing(policy="temporal", pairs=3, time_gap=TimeGap(steps=(1, 127)))
    with pytest.raises(PairingRefused, match="scenes with 128 acquisitions cannot be paired: leave at most 127"):
        draw_pairs(index_of([0] * 9), acquisitions=many, pairing=gap, places=NOISY, seed=0)
    found = draw_pairs(index_of([0] * 9), acquisitions=many[:127], pairing=gap, places=Places(), seed=0)
    assert {pair.anchor.acquisition for pair in found} <= set(many[:127])
