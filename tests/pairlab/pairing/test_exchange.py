"""Positions exchange partners: each once, none its like, and as many as can."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.pairing.exchange import exchanged, exchanged_with_neighbours, spliced
from pairlab.pairing.offers import NONE

Members = list[tuple[int, int]]
members = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40)


def columns(of: Members) -> tuple[np.ndarray, np.ndarray]:
    both = np.array(of, dtype=np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def surplus(of: Members) -> dict[int, int]:
    """Returns per group by how many its largest kind exceeds all others together."""
    found = {}
    for group in {group for group, _ in of}:
        kinds = Counter(kind for each, kind in of if each == group)
        largest = max(kinds.values())
        found[group] = max(0, 2 * largest - sum(kinds.values()))
    return found


@settings(deadline=None, max_examples=300)
@given(of=members, seed=st.integers(0, 1000))
def test_all_meet_another_kind_but_those_too_many_of_one(of: Members, seed: int) -> None:
    group, kind = columns(of)
    partner = exchanged(group, kind, np.random.default_rng(seed))
    has = np.flatnonzero(partner != NONE)
    assert (group[partner[has]] == group[has]).all()
    assert (kind[partner[has]] != kind[has]).all()
    assert sorted(partner[has].tolist()) == has.tolist()  # each is somebody's once
    left = Counter(group[partner == NONE].tolist())
    assert {group: count for group, count in surplus(of).items() if count} == dict(left)


@settings(deadline=None)
@given(of=members, seed=st.integers(0, 1000))
def test_neighbours_exchange_and_those_left_over_are_put_between_two_others(of: Members, seed: int) -> None:
    group, kind = columns(of)
    order = np.lexsort((np.random.default_rng(seed).random(len(of)), group))
    partner = exchanged_with_neighbours(order, group, kind)
    has = np.flatnonzero(partner != NONE)
    assert sorted(partner[has].tolist()) == has.tolist()
    assert (group[partner[has]] == group[has]).all()
    assert (kind[partner[has]] != kind[has]).all()

    left = np.flatnonzero(partner == NONE)
    found = exchanged(group[left], kind[left], np.random.default_rng(seed))
    partner[left[found != NONE]] = left[found[found != NONE]]
    joined = spliced(partner, partner == NONE, group, kind)
    has = np.flatnonzero(joined != NONE)
    assert (kind[joined[has]] != kind[has]).all()
    assert sorted(joined[has].tolist()) == has.tolist()
    if len(of) and not surplus(of)[int(group[0])]:
        assert (joined[group == group[0]] != NONE).all()


def test_only_those_that_look_for_a_partner_get_one() -> None:
    kind = np.arange(6)
    partner = exchanged_with_neighbours(np.array([4, 1]), np.zeros(6, dtype=np.intp), kind)
    assert partner.tolist() == [NONE, 4, NONE, NONE, 1, NONE]


def test_neighbours_in_the_order_are_preferred() -> None:
    kind = np.array([0, 0, 1, 1, 2, 2])
    order = np.array([0, 2, 4, 1, 3, 5])
    assert exchanged_with_neighbours(order, np.zeros(6, dtype=np.intp), kind).tolist() == [2, 4, 0, 5, 1, 3]
