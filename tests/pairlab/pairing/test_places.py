"""The list of places that arms share: extents in their shares, and refusals whose numbers are true."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.experiment.pairing import Extent, Places
from pairlab.pairing.drawing import PairingRefused
from pairlab.pairing.pair import PairList
from pairlab.scenes.index import ChipIndex
from tests.pairlab.pairing.invented_chips import (
    NOISY,
    anchors,
    drawn,
    index_of,
    indices,
    of_extents,
    rounded,
    temporal,
)

SEEDS = st.integers(0, 2**31 - 1)
THIRDS: tuple[Extent, ...] = ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0))


def spread(count: int) -> ChipIndex:
    """Returns noisy chips whose object change shares are spread evenly over (0, 1)."""
    shares = (np.arange(count) + 0.5) / count
    return index_of((16 + shares * 984).astype(int).tolist(), objects=1000)


def within(pairs: PairList, extent: Extent) -> int:
    return int(np.count_nonzero((pairs.object_change_share >= extent[0]) & (pairs.object_change_share <= extent[1])))


@st.composite
def asked_extents(draw: st.DrawFn) -> list[tuple[Extent, float]]:
    bounds = st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.6, 0.8, 1.0])
    extents = draw(
        st.lists(st.tuples(bounds, bounds).map(lambda two: (min(two), max(two))), min_size=2, max_size=4, unique=True)
    )
    return [(extent, draw(st.sampled_from([0.1, 0.25, 0.4, 0.7, 1.0]))) for extent in extents]


@settings(deadline=None, max_examples=200)
@given(asked=asked_extents(), pairs=st.integers(2, 30), seed=SEEDS, index=indices(least_noisy=25))
def test_every_extent_has_its_share_of_one_list(
    asked: list[tuple[Extent, float]], pairs: int, seed: int, index: ChipIndex
) -> None:
    places = of_extents(*asked)
    lists = []
    for extent, rate in asked:
        try:
            found = drawn(index, temporal(rate, pairs=pairs, extent=extent), places, seed=seed)
        except PairingRefused:
            assert not can_hold(index, asked, pairs)
            return
        assert int(found.noisy.sum()) == rounded(rate, pairs)
        assert within(found, extent) >= rounded(rate, pairs)
        lists.append(anchors(found))
    assert can_hold(index, asked, pairs)
    assert all(each == lists[0] for each in lists)
    assert len(set(lists[0])) == pairs


def can_hold(index: ChipIndex, asked: list[tuple[Extent, float]], pairs: int) -> bool:
    """Returns whether any list can hold every extent's share, by looking at all numbers of places of each kind."""
    noisy = (index.valid_pixels > 0) & (index.changed_pixels >= 16)
    shares = (index.changed_pixels / np.maximum(index.object_pixels, 1))[noisy]
    kinds: dict[tuple[bool, ...], int] = {}
    for share in shares.tolist():
        kind = tuple(low <= share <= high for (low, high), _ in asked)
        if any(kind):
            kinds[kind] = kinds.get(kind, 0) + 1
    if sum(kinds.values()) < pairs:
        return False
    needs = [rounded(rate, pairs) for _, rate in asked]
    best = {tuple(0 for _ in asked): 0}  # places held per extent, capped → fewest taken
    for kind, count in kinds.items():
        following = dict(best)
        for held, taken in best.items():
            for more in range(1, min(count, pairs - taken) + 1):
                reached = tuple(min(h + more * k, n) for h, k, n in zip(held, kind, needs, strict=True))
                following[reached] = min(following.get(reached, pairs + 1), taken + more)
        best = following
    return tuple(needs) in best


@settings(deadline=None)
@given(rate=st.floats(0.05, 0.33), seed=SEEDS, control=st.sampled_from(["masked", "rerender"]))
def test_an_extent_ladder_rises_in_change_over_the_same_places(rate: float, seed: int, control: str) -> None:
    places = of_extents(*((extent, rate) for extent in THIRDS))
    rungs = [
        drawn(spread(90), temporal(rate, pairs=30, control=control, extent=extent), places, seed=seed)
        for extent in THIRDS
    ]
    assert all(anchors(rung) == anchors(rungs[0]) for rung in rungs)
    assert all(rung.realised_rate == pytest.approx(rounded(rate, 30) / 30) for rung in rungs)
    change = [float(rung.object_change.sum()) for rung in rungs]
    assert all(low < high for low, high in pairwise(change))


@settings(deadline=None)
@given(low=st.floats(0, 0.5), high=st.floats(0, 0.5), seed=SEEDS)
def test_within_an_extent_a_higher_rate_keeps_what_a_lower_one_had(low: float, high: float, seed: int) -> None:
    low, high = sorted((low, high))
    places = of_extents((THIRDS[0], 0.5), (THIRDS[2], 0.4))
    lower, higher = (
        drawn(spread(90), temporal(rate, pairs=30, extent=THIRDS[0]), places, seed=seed) for rate in (low, high)
    )
    assert (higher.noisy | ~lower.noisy).all()
    assert lower.object_change.sum() <= higher.object_change.sum()


def test_the_places_of_one_extent_do_not_depend_on_its_rate() -> None:
    lists = [anchors(drawn(spread(60), temporal(rate, pairs=30), of_extents(((0.1, 0.9), 1.0)))) for rate in (0.2, 1.0)]
    assert lists[0] == lists[1]


def test_overlapping_extents_are_refused_only_where_no_list_holds_them() -> None:
    index = spread(100)
    both = of_extents(((0.0, 0.6), 1.0), ((0.4, 1.0), 1.0))  # only [0.4, 0.6] serves both
    found = drawn(index, temporal(1.0, pairs=20, extent=(0.4, 1.0)), both)
    assert within(found, (0.4, 0.6)) == 20
    with pytest.raises(
        PairingRefused, match=r"need 22 different places, .* has 21 \(pairs\): set them to at most 0.97"
    ):
        drawn(index, temporal(1.0, pairs=21), both)


@settings(deadline=None)
@given(pairs=st.integers(10, 90), rate=st.sampled_from([0.2, 0.35, 0.5, 0.9]), seed=SEEDS, index=indices(least_noisy=8))
def test_what_a_refusal_calls_reachable_can_be_reached(pairs: int, rate: float, seed: int, index: ChipIndex) -> None:
    low, high = (0.0, 0.5), (0.5, 1.0)
    places = of_extents((low, rate), (high, rate))
    assume(not fits(index, places, pairs, seed))
    with pytest.raises(PairingRefused) as refusal:
        drawn(index, temporal(0.0, pairs=pairs), places, seed=seed)
    text = str(refusal.value)
    for word, count in zip(("noisy", "clean", "unknown"), counted(index), strict=True):
        told = re.search(rf"(\d+) {word}(?! chips within)", text)
        assert told is None or int(told[1]) == count
    if told := re.search(r"pairs to at most (\d+)", text):
        most = int(told[1])
        assert fits(index, places, most, seed)
        assert most + 1 == pairs or not fits(index, places, most + 1, seed)
    if told := re.search(r"extent \[(\S+), (\S+)\] needs (\d+) places .* has (\d+) noisy chips within it", text):
        assert int(told[3]) == rounded(rate, pairs)
        assert int(told[4]) == counted(index, (float(told[1]), float(told[2])))[0]
        reachable = re.search(r"noise.rate to at most (\S+),", text)
        assert reachable is not None
        assert rounded(float(reachable[1]), pairs) <= int(told[4])
        assert rounded(float(reachable[1]) + 0.0002 + 0.5 / pairs, pairs) >= int(told[4])
    if told := re.search(r"set them to at most (\S+) of that", text):
        scale = float(told[1])
        assert fits(index, of_extents((low, rate * scale), (high, rate * scale)), pairs, seed)


def fits(index: ChipIndex, places: Places, pairs: int, seed: int) -> bool:
    if pairs < 2:
        return False
    try:
        drawn(index, temporal(0.0, pairs=pairs), places, seed=seed)
    except PairingRefused:
        return False
    return True


def counted(index: ChipIndex, extent: Extent = (0.0, 1.0)) -> tuple[int, int, int]:
    """Returns noisy, clean and unknown chips with data, counted one by one."""
    noisy = clean = unknown = 0
    for row in range(len(index)):
        changed, objects = int(index.changed_pixels[row]), int(index.object_pixels[row])
        if index.valid_pixels[row] == 0:
            continue
        noisy += changed >= 16 and extent[0] <= changed / max(objects, 1) <= extent[1]
        clean += changed == 0 and index.unknown_pixels[row] == 0
        unknown += changed == 0 and index.unknown_pixels[row] > 0
    return noisy, clean, unknown


@settings(deadline=None)
@given(index=indices(), pairs=st.integers(2, 100), seed=SEEDS)
def test_a_budget_beyond_the_data_is_refused_with_true_numbers(index: ChipIndex, pairs: int, seed: int) -> None:
    chips = int(np.count_nonzero(index.valid_pixels))
    assume(pairs > chips)
    noisy, clean, unknown = counted(index)
    with pytest.raises(PairingRefused) as refusal:
        drawn(index, temporal(pairs=pairs), Places(), seed=seed)
    assert f"{pairs} pairs need as many chips; the train split has {chips} with data" in str(refusal.value)
    assert f"({clean} clean, {unknown} unknown)" in str(refusal.value)
    with pytest.raises(PairingRefused) as refusal:
        drawn(index, temporal(0.5, pairs=pairs), NOISY, seed=seed)
    assert f"the train split has {noisy} noisy chips (at least 16 changed pixels" in str(refusal.value)
    assert f"{clean} clean and {unknown} unknown of {chips}" in str(refusal.value)
    if noisy > 1:
        assert f"set pairs to at most {noisy}" in str(refusal.value)
        assert len(drawn(index, temporal(0.5, pairs=noisy), NOISY, seed=seed)) == noisy


def test_an_extent_that_the_list_lacks_is_refused_with_the_reachable_rate() -> None:
    index = index_of([50] * 12 + [0] * 7 + [180] * 5)
    with pytest.raises(
        PairingRefused,
        match=r"needs 10 places with an object change share in \[0.5, 1\], and the list that all arms share has 5 of "
        r"them \(the train split\): set noise.rate to at most 0.3235",
    ):
        drawn(index, temporal(0.6, pairs=17, extent=(0.5, 1.0)), NOISY)
    assert int(drawn(index, temporal(0.3235, pairs=17, extent=(0.5, 1.0)), NOISY).noisy.sum()) == 5
    with pytest.raises(PairingRefused):
        drawn(index, temporal(0.3236, pairs=17, extent=(0.5, 1.0)), NOISY)


def test_chips_without_data_yield_no_pair() -> None:
    index = index_of([0] * 10)
    index.valid_pixels[:] = [1024] * 6 + [0] * 4
    with pytest.raises(PairingRefused, match="the train split has 6 with data"):
        drawn(index, temporal(pairs=7), Places())


@pytest.mark.parametrize(
    ("least", "extent", "expected"),
    [(16, (0.0, 0.5), {50, 70}), (60, (0.0, 0.5), {70}), (16, (0.5, 1.0), {150}), (5, (0.0, 0.2), {10})],
)
def test_places_have_the_change_that_is_asked_for(least: int, extent: Extent, expected: set[int]) -> None:
    places = of_extents((extent, 1.0), min_changed_pixels=least)
    index = index_of([10] * 30 + [50] * 30 + [70] * 30 + [150] * 30)
    found = drawn(index, temporal(0.5, pairs=25, extent=extent, min_changed_pixels=least), places)
    assert set(found.changed_pixels.tolist()) == expected
