"""Requests and offers, in groups: who gets which."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]
Shares = NDArray[np.float64]
NONE = -1


def nearest_once(wanted: Shares, offered: Shares, *, wanted_group: Indices, offered_group: Indices) -> Indices:
    """Returns for each request an offer of its group with about the nearest value, each offer once; NONE without.

    Where a group has fewer offers than requests, its first requests get them all. Both in order of their values, each
    request takes the offer nearest to it; a run of requests that would take the same ones moves up, down or both ways.

    Args:
        wanted: values of the requests in [0, 1], shape (requests,).
        offered: values of the offers in [0, 1], shape (offers,). Of equal ones, the first are taken first.
        wanted_group: from 0, shape (requests,).
        offered_group: from 0, shape (offers,).
    """
    chosen = np.full(len(wanted), NONE, dtype=np.intp)
    groups = 1 + max(int(each.max(initial=0)) for each in (wanted_group, offered_group))
    supply = np.bincount(offered_group, minlength=groups)
    by_group = np.argsort(wanted_group, kind="stable")
    demand = np.bincount(wanted_group, minlength=groups)
    turn = np.arange(len(wanted)) - (np.cumsum(demand) - demand)[wanted_group[by_group]]
    served = by_group[turn < supply[wanted_group[by_group]]]
    requests, offers = 2.0 * wanted_group[served] + wanted[served], 2.0 * offered_group + offered
    by_request, by_offer = np.argsort(requests, kind="stable"), np.argsort(offers, kind="stable")
    served, requests, offers = served[by_request], requests[by_request], offers[by_offer]
    group = wanted_group[served]
    demand = np.minimum(demand, supply)
    # A request's offer, less its own rank: what may not fall from one request to the next if each is to get its own.
    # Within these bounds all of a group get one, and the bounds of a group begin where those of the one before end.
    rank = np.arange(len(served))
    low = ((np.cumsum(supply) - supply) - (np.cumsum(demand) - demand))[group]
    ahead = np.clip(_closest(requests, offers) - rank, low, low + (supply - demand)[group])
    chosen[served] = by_offer[rank + _risen(ahead, rank, requests, offers)]
    return chosen


def _risen(ahead: Indices, rank: Indices, requests: Shares, offers: Shares) -> Indices:
    """Returns `ahead` made so that it never falls: run by run upwards, downwards or half way, whichever is nearest."""
    if not len(ahead):
        return ahead
    up, down = np.maximum.accumulate(ahead), np.minimum.accumulate(ahead[::-1])[::-1]
    ways = np.stack([(up + down) // 2, up, down])
    runs = np.flatnonzero(np.concatenate([[True], up[:-1] <= down[1:]]))  # nothing before one is above what follows
    distances = np.add.reduceat(np.abs(offers[rank + ways] - requests), runs, axis=1)
    best = np.repeat(distances.argmin(axis=0), np.diff(np.append(runs, len(ahead))))
    return np.asarray(ways[best, rank])


def in_turn(wanted_group: Indices, offered_group: Indices, *, again: bool) -> Indices:
    """Returns for each request the next offer of its group; NONE where there is none.

    Args:
        wanted_group: from 0, shape (requests,).
        offered_group: from 0, shape (offers,).
        again: whether the offers of a group begin anew when they are used up.
    """
    groups = 1 + max(int(each.max(initial=0)) for each in (wanted_group, offered_group))
    supply, demand = (np.bincount(each, minlength=groups) for each in (offered_group, wanted_group))
    requests, offers = (np.argsort(each, kind="stable") for each in (wanted_group, offered_group))
    group = wanted_group[requests]
    turn = np.arange(len(requests)) - (np.cumsum(demand) - demand)[group]
    served = supply[group] > (0 if again else turn)
    requests, group, turn = requests[served], group[served], turn[served]
    dealt = np.full(len(wanted_group), NONE, dtype=np.intp)
    dealt[requests] = offers[(np.cumsum(supply) - supply)[group] + turn % np.maximum(supply[group], 1)]
    return dealt


def _closest(requests: Shares, offers: Shares) -> Indices:
    """Returns the place of the closest offer; equal requests take equal offers one after the other."""
    left, right = (np.searchsorted(offers, requests, side=side) for side in ("left", "right"))
    turn = np.arange(len(requests)) - np.searchsorted(requests, requests, side="left")
    before, after = np.maximum(left - 1, 0), np.minimum(left, max(len(offers) - 1, 0))
    if not len(offers):
        return left
    closest = np.where(requests - offers[before] < offers[after] - requests, before, after)
    return np.where(right > left, left + np.minimum(turn, right - left - 1), closest)
