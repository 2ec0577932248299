"""What the arms of a ladder show is the same, and is told as it is."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.experiment.pairing import Pairing, Places
from pairlab.pairing.balance import Balance, balance_of
from pairlab.pairing.drawing import PairingRefused
from pairlab.scenes.index import ChipIndex
from tests.pairlab.pairing.invented_chips import drawn, index_of, indices, of_extents, temporal

SEEDS = st.integers(0, 2**31 - 1)


def several(seed: int = 0) -> ChipIndex:
    rng = np.random.default_rng(seed)
    objects = rng.integers(100, 1024, 400)
    changed = (objects * rng.uniform(0.1, 1, 400)).astype(int)
    events = [f"event-{number}" for number in rng.integers(0, 4, 100)]
    return index_of(changed.tolist(), objects=objects.tolist(), events=events, chips_per_scene=4)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, low=st.floats(0, 0.5), high=st.floats(0.5, 1))
def test_all_arms_of_a_ladder_show_the_same(seed: int, low: float, high: float) -> None:
    index, pairs = several(), 200
    thirds = ((0.1, 0.4), (0.4, 0.7), (0.7, 1.0))
    ladders = [
        ([temporal(rate, pairs=pairs, control=c) for rate in (0, low, high, 1)], of_extents(((0.0, 1.0), 1.0)))
        for c in ("masked", "rerender", "same_acquisition")
    ]
    ladders += [
        ([temporal(0.3, pairs=pairs, extent=extent) for extent in thirds], of_extents(*((e, 0.3) for e in thirds))),
        ([temporal(0.3, pairs=pairs, shift_px=px) for px in (0, 1, 4)], of_extents(((0.0, 1.0), 1.0))),
        ([temporal(0.2, pairs=pairs, mismatch_rate=rate) for rate in (0, 0.2, 0.7)], of_extents(((0.0, 1.0), 1.0))),
    ]
    for arms, places in ladders:
        same_image = Pairing(policy="same_image", pairs=pairs)
        found = [drawn(index, arm, places, seed=seed) for arm in [*arms, same_image]]
        first, *others = (balance_of(each, index.scenes) for each in found)
        for drawn_arm, other in zip(found[1:], others, strict=True):
            added = next((int(each.split()[0]) for each in drawn_arm.warnings if "seen more often" in each), 0)
            assert other.pairs == first.pairs == pairs
            assert other.object_share == first.object_share
            assert abs(other.places - first.places) <= added
            for name in ("events", "splits", "acquisitions"):
                mine, theirs = getattr(other, name), getattr(first, name)
                assert mine == pytest.approx(theirs, abs=(added + 1) / pairs)
            if not added:
                assert other.shown == first.shown == (2, 2)


def test_what_is_told_is_what_the_pairs_show() -> None:
    index = index_of(
        [50] * 6 + [0] * 6,
        objects=[100] * 3 + [500] * 9,
        events=["fire"] * 3 + ["flood"] * 9,
        splits=["train"] * 6 + ["test"] * 6,
    )
    told = balance_of(drawn(index, temporal(pairs=12), Places()), index.scenes)
    assert told == Balance(
        pairs=12,
        places=12,
        events={"fire": 0.25, "flood": 0.75},
        splits={"test": 0.5, "train": 0.5},
        object_share=(400 / 1024, 400 / 1024, 500 / 1024, 500 / 1024),
        acquisitions={"pre": 0.5, "post": 0.5},
        shown=(2, 2),
    )
    names = {scene.name: "validation" for scene in index.scenes}
    told = balance_of(drawn(index, temporal(pairs=12), Places()), index.scenes, splits=names)
    assert told.splits == {"validation": 1.0}


@settings(deadline=None)
@given(index=indices(least_noisy=20, splits=True), mismatch=st.floats(0, 1), seed=SEEDS)
def test_shares_are_counted_shot_by_shot(index: ChipIndex, mismatch: float, seed: int) -> None:
    scenes = {scene.name: scene for scene in index.scenes}
    try:
        found = drawn(index, temporal(pairs=20, mismatch_rate=mismatch), Places(), seed=seed)
    except PairingRefused:  # an event with a single chip
        assume(False)
    shots = [shot for pair in found for shot in (pair.anchor, pair.positive)]
    places = [(shot.scene, shot.y, shot.x) for shot in shots]
    told = balance_of(found, tuple(reversed(index.scenes)))
    for name, values in (
        ("events", [scenes[shot.scene].event for shot in shots]),
        ("splits", [scenes[shot.scene].split for shot in shots]),
        ("acquisitions", [shot.acquisition for shot in shots]),
    ):
        assert getattr(told, name) == pytest.approx({each: values.count(each) / 40 for each in set(values)})
    assert told.places == len(set(places))
    assert told.shown == (min(map(places.count, places)), max(map(places.count, places)))
