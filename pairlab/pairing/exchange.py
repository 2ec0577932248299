"""Positions exchange partners so that each is somebody's partner once, and none meets its like."""

import numpy as np
from numpy.typing import NDArray

from pairlab.pairing.offers import NONE, Shares, in_turn, nearest_once

Indices = NDArray[np.intp]
_REACH = 16
"""How far along the order the two may lie."""


def exchanged(group: Indices, kind: Indices, rng: np.random.Generator) -> Indices:
    """Returns each element's partner in its group, of another kind; NONE for those too many of one kind.

    The partners are the elements themselves, each once. Of a kind that makes up more than half of its group, as many
    remain without partner as have to.

    Args:
        group: shape (elements,).
        kind: shape (elements,), from 0.
        rng: decides who meets whom.
    """
    partner = np.full(len(group), NONE, dtype=np.intp)
    if not len(group):
        return partner
    order = rng.permutation(len(group))
    kinds = rng.permutation(int(kind.max()) + 1)[kind]
    order = order[np.lexsort((kinds[order], group[order]))]
    group_of_run, run = _runs(group[order], kinds[order])
    run_sizes, members = np.bincount(run), np.unique(group_of_run)
    first_run = np.searchsorted(group_of_run, members)
    sizes = np.add.reduceat(run_sizes, first_run)
    largest = np.maximum.reduceat(run_sizes, first_run)
    excess = np.maximum(2 * largest - sizes, 0)
    number = np.searchsorted(members, group[order])
    behind = np.cumsum(run_sizes)[run] - np.arange(len(order))
    left_out = (run_sizes[run] == largest[number]) & (behind <= excess[number])
    kept, number = order[~left_out], number[~left_out]
    # What is left of the largest kind is at most half of its group, so a step from its size to the group's size less
    # it leaves every element's own kind and does not come round to it again.
    sizes, largest = sizes - excess, largest - excess
    starts = np.cumsum(sizes) - sizes
    steps = largest + (rng.random(len(sizes)) * (sizes - 2 * largest + 1)).astype(np.intp)
    within = (np.arange(len(kept)) - starts[number] + steps[number]) % np.maximum(sizes[number], 1)
    partner[kept] = kept[starts[number] + within]
    return partner


def exchanged_with_neighbours(order: Indices, group: Indices, kind: Indices) -> Indices:
    """Returns each element's partner of its group and another kind, close by in an order; NONE where there is none.

    Neighbours in the order exchange. An element whose neighbour may not be its partner, or that is left over, is put
    between two others that lie close.

    Args:
        order: the elements that look for one, each once.
        group: of all elements, shape (elements,).
        kind: of all elements, shape (elements,).
    """
    partner = np.full(len(group), NONE, dtype=np.intp)
    one, other = order[: len(order) // 2 * 2].reshape(-1, 2).T
    fits = (group[one] == group[other]) & (kind[one] != kind[other])
    partner[one[fits]], partner[other[fits]] = other[fits], one[fits]
    for step in range(1, _REACH + 1):
        for apart in (step, -step):
            at = np.flatnonzero(partner[order] == NONE)
            at = at[(at + apart >= 0) & (at + apart < len(order))]
            guests, hosts = order[at], order[at + apart]
            fits = (partner[hosts] != NONE) & (group[hosts] == group[guests]) & (kind[hosts] != kind[guests])
            fits &= kind[partner[hosts]] != kind[guests]
            guests, hosts = guests[fits], hosts[fits]
            partner[guests], partner[hosts] = partner[hosts], guests
    return partner


def spliced(
    partner: Indices, left: NDArray[np.bool_], group: Indices, kind: Indices, *, near: Shares | None = None
) -> Indices:
    """Returns the partners with those left over put between two of their group, neither of which is of their kind.

    Args:
        partner: shape (elements,); NONE without one.
        left: elements that are to be put in, of one kind in each group; each stays without partner where its group has
            no such two.
        group: shape (elements,), from 0.
        kind: shape (elements,), from 0.
        near: values in [0, 1] that should be close to those of the two; None takes any two.
    """
    joined = partner.copy()
    if not left.any():
        return joined
    kind_of_group = np.full(int(group.max()) + 1, NONE, dtype=np.intp)
    kind_of_group[group[left]] = kind[left]
    wanted = kind_of_group[group]
    paired = (partner != NONE) & (wanted != NONE)
    hosts = np.flatnonzero(paired & (kind != wanted) & (kind[partner] != wanted) & (group[partner] == group))
    guests = np.flatnonzero(left)
    if near is None:
        chosen = in_turn(group[guests], group[hosts], again=False)
    else:
        chosen = nearest_once(near[guests], near[hosts], wanted_group=group[guests], offered_group=group[hosts])
    guests, hosts = guests[chosen != NONE], hosts[chosen[chosen != NONE]]
    joined[guests], joined[hosts] = partner[hosts], guests
    return joined


def _runs(group: Indices, kind: Indices) -> tuple[Indices, Indices]:
    """Returns the group of each run of equal neighbours, and each element's run."""
    begins = np.ones(len(group), dtype=bool)
    begins[1:] = (group[1:] != group[:-1]) | (kind[1:] != kind[:-1])
    return group[begins], np.cumsum(begins) - 1
