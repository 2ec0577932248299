"""Mismatched pairs: whose place the positive shows, and how often each image is seen then."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.experiment.pairing import Places
from pairlab.pairing.drawing import PairingRefused
from pairlab.pairing.pair import PairList
from pairlab.scenes.index import ChipIndex
from tests.pairlab.pairing.invented_chips import (
    anchor_of,
    anchors,
    drawn,
    index_of,
    indices,
    positive_of,
    row_of,
    temporal,
)

SEEDS = st.integers(0, 2**31 - 1)
FROM = ("same_event", "other_event", "similar")


def images(pairs: PairList) -> Counter[tuple[object, ...]]:
    """Returns how often each image of each place is seen."""
    return Counter(
        (shot.scene, shot.y, shot.x, shot.acquisition) for pair in pairs for shot in (pair.anchor, pair.positive)
    )


def mixed(scenes: int = 12, chips_per_scene: int = 10, *, seed: int = 0) -> ChipIndex:
    rng = np.random.default_rng(seed)
    count = scenes * chips_per_scene
    objects = rng.integers(50, 1024, count)
    return index_of(
        (objects * rng.uniform(0.1, 1, count)).astype(int).clip(16).tolist(),
        objects=objects.tolist(),
        events=[f"event-{number % 3}" for number in range(scenes)],
        chips_per_scene=chips_per_scene,
    )


@settings(deadline=None, max_examples=300)
@given(
    index=indices(splits=True),
    origin=st.sampled_from(FROM),
    rate=st.floats(0.05, 1),
    pairs=st.integers(2, 40),
    seed=SEEDS,
)
def test_the_positive_shows_another_place_of_the_kind_asked_for(
    index: ChipIndex, origin: str, rate: float, pairs: int, seed: int
) -> None:
    scenes = {scene.name: scene for scene in index.scenes}
    valid = np.flatnonzero(index.valid_pixels > 0)
    assume(pairs <= len(valid))
    try:
        found = drawn(index, temporal(pairs=pairs, mismatch_rate=rate, mismatch_from=origin), Places(), seed=seed)
    except PairingRefused as refusal:
        check_refusal(index, str(refusal), origin)
        return
    of_event: dict[tuple[str, str], set[str]] = {}
    for row in valid.tolist():
        scene = index.scenes[index.scene[row]]
        of_event.setdefault((scene.split, scene.event), set()).add(scene.name)
    for pair in found:
        one, other = scenes[pair.anchor.scene], scenes[pair.positive.scene]
        assert one.split == other.split
        if not pair.mismatched:
            assert anchor_of(pair) == positive_of(pair)
            continue
        assert anchor_of(pair) != positive_of(pair)
        if origin == "same_event":
            assert one.event == other.event
            assert one.name != other.name or of_event[one.split, one.event] == {one.name}
        elif origin == "other_event":
            assert one.event != other.event
        else:
            assert one.name != other.name


@settings(deadline=None, max_examples=150)
@given(index=indices(), origin=st.sampled_from(FROM), rate=st.floats(0.2, 1), pairs=st.integers(4, 40), seed=SEEDS)
def test_no_more_places_are_added_than_have_to_be(
    index: ChipIndex, origin: str, rate: float, pairs: int, seed: int
) -> None:
    """Of one scene (or event) that has more than all others together, the surplus alone finds nobody to exchange."""
    scenes = {scene.name: scene for scene in index.scenes}
    assume(pairs <= int(np.count_nonzero(index.valid_pixels)))
    try:
        found = drawn(index, temporal(pairs=pairs, mismatch_rate=rate, mismatch_from=origin), Places(), seed=seed)
    except PairingRefused:
        assume(False)
    groups: dict[str, Counter[str]] = {}
    for pair in found:
        if pair.mismatched:
            scene = scenes[pair.anchor.scene]
            kind = scene.event if origin == "other_event" else scene.name
            groups.setdefault(scene.event if origin == "same_event" else "all", Counter())[kind] += 1
    surplus = sum(max(0, 2 * max(kinds.values()) - kinds.total()) for kinds in groups.values())
    told = [re.match(r"(\d+) of (\d+) mismatched pairs show a place that is", warning) for warning in found.warnings]
    added = [int(each[1]) for each in told if each is not None]
    if origin == "same_event":  # an event of one scene exchanges its own places
        assert sum(added) <= surplus
    else:
        assert added == [surplus] * (surplus > 0)


def check_refusal(index: ChipIndex, text: str, origin: str) -> None:
    """Checks that what a refusal says of the data is true."""
    valid = [index.scenes[scene] for scene in index.scene[index.valid_pixels > 0].tolist()]
    if origin == "same_event":
        told = re.search(r"event '(\S+)' has one chip with data in the (\S+) split", text)
        assert told is not None
        assert sum((scene.event, scene.split) == told.groups() for scene in valid) == 1
        return
    told = re.search(r"another (event|scene), and all (\d+) chips with data in the (\S+) split are of \1 '(\S+)'", text)
    assert told is not None
    kind, count, split, name = told.groups()
    names = [scene.event if kind == "event" else scene.name for scene in valid if scene.split == split]
    assert set(names) == {name}
    assert len(names) == int(count)


@settings(deadline=None)
@given(low=st.floats(0, 0.6), high=st.floats(0, 0.6), origin=st.sampled_from(FROM), seed=SEEDS)
def test_a_higher_mismatch_rate_contains_a_lower_ones_pairs(low: float, high: float, origin: str, seed: int) -> None:
    low, high = sorted((low, high))
    lower, higher = (
        drawn(mixed(), temporal(0.4, pairs=60, mismatch_rate=rate, mismatch_from=origin), seed=seed)
        for rate in (low, high)
    )
    assert (higher.mismatched | ~lower.mismatched).all()
    assert np.array_equal(higher.noisy, lower.noisy)
    assert anchors(higher) == anchors(lower)
    noisier = drawn(mixed(), temporal(1 - high, pairs=60, mismatch_rate=high, mismatch_from=origin), seed=seed)
    assert (noisier.mismatched <= higher.mismatched).all()  # by rounding, one less may be left to it
    assert int(noisier.mismatched.sum()) >= int(higher.mismatched.sum()) - 1


@settings(deadline=None)
@given(rate=st.floats(0.05, 1), origin=st.sampled_from(FROM), seed=SEEDS)
def test_places_are_exchanged_so_that_each_is_seen_as_often_as_before(rate: float, origin: str, seed: int) -> None:
    index = mixed()
    found = drawn(index, temporal(pairs=100, mismatch_rate=rate, mismatch_from=origin), Places(), seed=seed)
    plain = drawn(index, temporal(pairs=100), Places(), seed=seed)
    places = Counter(place for pair in found for place in (anchor_of(pair), positive_of(pair)))
    if not found.warnings:
        assert set(places.values()) == {2}
        assert found.exposure_matched
    of_dates = Counter(shot.acquisition for pair in found for shot in (pair.anchor, pair.positive))
    assert of_dates == {"pre": 100, "post": 100}
    differing = sum((images(found) - images(plain)).values())
    assert differing <= 2 * 3 * 2 + len(found) // 10  # at most what is left over in each event and direction


@pytest.mark.parametrize("origin", FROM)
def test_with_many_places_every_image_is_seen_once(origin: str) -> None:
    index = mixed(60, 20)
    found = drawn(index, temporal(pairs=1000, mismatch_rate=0.6, mismatch_from=origin), Places(), seed=3)
    assert not found.warnings
    seen = images(found)
    assert sum(count != 1 for count in seen.values()) <= 8
    assert set(Counter(place for pair in found for place in (anchor_of(pair), positive_of(pair))).values()) == {2}


def test_similar_places_are_near_in_their_share_of_objects() -> None:
    index, row = mixed(40, 20), row_of(mixed(40, 20))
    distance = {}
    for origin in FROM:
        found = drawn(index, temporal(pairs=600, mismatch_rate=0.5, mismatch_from=origin), Places(), seed=1)
        shares = [
            (index.object_pixels[row[anchor_of(pair)]], index.object_pixels[row[positive_of(pair)]])
            for pair in found
            if pair.mismatched
        ]
        distance[origin] = float(np.mean([abs(one - other) for one, other in shares])) / 1024
    assert distance["similar"] < 0.01
    assert min(distance["same_event"], distance["other_event"]) > 0.2


def test_similar_places_have_like_objects_where_their_shares_are_equal() -> None:
    index = index_of([0] * 40, objects=300)
    objects = np.array([[number % 2, 1 - number % 2] for number in range(40)], np.int32) * 7
    index = ChipIndex(**{**vars(index), "objects": objects})
    found = drawn(index, temporal(pairs=40, mismatch_rate=1.0, mismatch_from="similar"), Places())
    row = row_of(index)
    same = [objects[row[anchor_of(pair)], 0] == objects[row[positive_of(pair)], 0] for pair in found]
    assert sum(same) >= 36


def test_one_scene_with_most_places_takes_others_without_repeating_them() -> None:
    """Of 20 mismatched pairs of one scene and none of another, the positives come from the rest of the data."""
    index = index_of([50] * 30 + [0] * 40, chips_per_scene=10, events=["flood"] * 3 + ["flood"] * 4)
    index.changed_pixels[10:30] = 0
    pairing = temporal(0.0, pairs=10, mismatch_rate=1.0)
    found = drawn(index, pairing)
    assert {pair.anchor.scene for pair in found} == {"scene-0"}
    assert len({positive_of(pair) for pair in found}) == 10
    assert "scene-0" not in {pair.positive.scene for pair in found}
    assert not found.exposure_matched
    assert "10 of 10 mismatched pairs show a place that is thereby seen more often" in found.warnings[-1]


def test_a_single_scene_exchanges_its_own_places() -> None:
    found = drawn(index_of([50] * 9, chips_per_scene=9), temporal(pairs=9, mismatch_rate=1.0), Places())
    assert Counter(map(positive_of, found)) == Counter(map(anchor_of, found))
    assert found.exposure_matched


def test_a_mismatched_pair_is_counted_apart() -> None:
    index = index_of([50] * 30)
    found = drawn(index, temporal(0.5, pairs=20, mismatch_rate=0.5))
    assert found.realised_mismatch == 0.5
    assert found.realised_rate == 0.5
    assert not found.object_change[found.mismatched].any()
    assert not found.unknown.any()
    natural = drawn(index, temporal(pairs=20, mismatch_rate=0.25), Places())
    assert natural.realised_mismatch == 0.25
    assert natural.realised_rate == 0.75


def test_two_halves_that_round_up_leave_the_odd_pair_to_the_noise() -> None:
    found = drawn(index_of([50] * 9), temporal(0.5, pairs=5, mismatch_rate=0.5))
    assert (int(found.noisy.sum()), int(found.mismatched.sum())) == (3, 2)
