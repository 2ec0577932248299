"""Requests get the nearest offers of their group, each once."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.pairing.offers import NONE, in_turn, nearest_once

values = st.tuples(st.integers(0, 3), st.integers(0, 20).map(lambda tenth: tenth / 20))
sides = st.lists(values, max_size=25)


def split(of: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([group for group, _ in of], dtype=np.intp), np.array([value for _, value in of], dtype=np.float64)


@settings(deadline=None, max_examples=300)
@given(wanted=sides, offered=sides)
def test_each_offer_goes_to_one_and_none_is_kept_back(
    wanted: list[tuple[int, float]], offered: list[tuple[int, float]]
) -> None:
    (wanted_group, wants), (offered_group, offers) = split(wanted), split(offered)
    chosen = nearest_once(wants, offers, wanted_group=wanted_group, offered_group=offered_group)
    served = np.flatnonzero(chosen != NONE)
    assert len(set(chosen[served].tolist())) == len(served)
    assert (offered_group[chosen[served]] == wanted_group[served]).all()
    for group in range(4):
        here = np.flatnonzero(wanted_group == group)
        supply = int((offered_group == group).sum())
        assert (chosen[here] != NONE).tolist() == [turn < supply for turn in range(len(here))]


def test_the_distances_are_nearly_the_least_there_can_be() -> None:
    rng = np.random.default_rng(0)
    found = least = 0.0
    for _ in range(300):
        wanted, offered = rng.random(4), rng.random(rng.integers(4, 8))
        zeros = np.zeros(len(wanted), dtype=np.intp), np.zeros(len(offered), dtype=np.intp)
        chosen = nearest_once(wanted, offered, wanted_group=zeros[0], offered_group=zeros[1])
        found += np.abs(offered[chosen] - wanted).sum()
        ways = permutations(range(len(offered)), len(wanted))
        least += np.abs(offered[np.array(list(ways))] - wanted).sum(axis=1).min()
    assert least <= found <= 1.08 * least


@pytest.mark.parametrize("seed", range(5))
def test_equal_ones_and_many_to_choose_from_are_met_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    offered = rng.integers(0, 40, 4000) / 40
    wanted = rng.integers(0, 41, 400) / 40
    zeros = np.zeros(400, dtype=np.intp), np.zeros(4000, dtype=np.intp)
    chosen = nearest_once(wanted, offered, wanted_group=zeros[0], offered_group=zeros[1])
    assert np.abs(offered[chosen] - wanted).max() <= 1 / 40 + 1e-9
    assert np.abs(offered[chosen] - wanted)[wanted < 1].max() == 0


@settings(deadline=None)
@given(wanted=sides, offered=sides, again=st.booleans())
def test_offers_are_dealt_in_turn(
    wanted: list[tuple[int, float]], offered: list[tuple[int, float]], again: bool
) -> None:
    (wanted_group, _), (offered_group, _) = split(wanted), split(offered)
    dealt = in_turn(wanted_group, offered_group, again=again).tolist()
    for group in range(4):
        offers = np.flatnonzero(offered_group == group).tolist()
        for turn, request in enumerate(np.flatnonzero(wanted_group == group).tolist()):
            repeated = offers[turn % len(offers)] if offers and (again or turn < len(offers)) else NONE
            assert dealt[request] == repeated
