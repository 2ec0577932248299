import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlab.engine.shares import Shares


def test_the_first_parts_have_a_pair_more() -> None:
    shares = Shares(pairs=11, parts=4, processes=2)
    assert [shares.pairs_of_part(part) for part in range(4)] == [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 11)]
    assert [shares.parts_of(rank) for rank in range(2)] == [range(2), range(2, 4)]
    assert [shares.pairs_of(rank) for rank in range(2)] == [slice(0, 6), slice(6, 11)]


def test_processes_that_cannot_share_the_parts_are_refused() -> None:
    with pytest.raises(ValueError, match="6 parts cannot be shared equally by 4 processes"):
        Shares(pairs=20, parts=6, processes=4)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(2, 9), st.integers(0, 7), st.integers(1, 20))
def test_every_pair_is_in_one_part_and_no_group_of_keys_is_within_a_part(
    processes: int, each: int, fewest: int, more: int, wanted: int
) -> None:
    parts = processes * each
    shares = Shares(pairs=parts * fewest + more % parts, parts=parts, processes=processes)
    pairs = list(range(shares.pairs))
    assert [pair for part in range(parts) for pair in pairs[shares.pairs_of_part(part)]] == pairs
    assert [pair for rank in range(processes) for pair in pairs[shares.pairs_of(rank)]] == pairs
    groups = shares.groups(wanted, images=len(pairs))
    part_of = [part for part in range(parts) for _ in pairs[shares.pairs_of_part(part)]]
    assert groups % parts == 0
    assert groups >= wanted or groups > len(pairs) // 2 - parts
    for group in range(groups):
        members = part_of[group::groups]
        assert len(members) >= 2
        assert parts == 1 or len(set(members)) > 1
