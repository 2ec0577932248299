"""Several arms, one error rate: Holm's step-down, and ladders that are climbed in a fixed order."""

from collections.abc import Sequence

import numpy as np

from pairlab.verdict.intervals import Figures

Units = Sequence[Sequence[int]]
"""Places of the arms of a family: an arm by itself is a unit of one, a ladder is a unit of its rungs in order."""


def adjusted(p_values: Figures, units: Units) -> Figures:
    """Returns adjusted p-values: what is at most α may be claimed of all arms at once with an error of α at most.

    Only the first hypothesis of each unit that is not claimed yet stands open. The smallest of the u open ones is
    claimed at α/u; then its ladder's next rung stands open, or, at its end, the unit is done and u falls by one. With
    units of one arm this is Holm's procedure, with a single ladder the fixed-sequence test without any correction; in
    between it is a graphical procedure whose error over the whole family is α whatever the arms' dependence.

    Holm 1979, Scand. J. Stat. 6; Maurer, Hothorn & Lehmacher 1995 (fixed sequence); Bretz et al. 2009, Stat. Med. 28.

    Args:
        p_values: shape (..., arms).
        units: each arm's place once.
    """
    found = np.ones(p_values.shape)
    lengths = np.array([len(unit) for unit in units])
    rungs = np.full((len(units), lengths.max(initial=1)), -1)
    for number, unit in enumerate(units):
        rungs[number, : len(unit)] = unit
    done = np.zeros((*p_values.shape[:-1], len(units)), dtype=np.intp)
    running = np.zeros((*p_values.shape[:-1], 1))
    every = np.arange(len(units))
    for _ in range(lengths.sum()):
        open_ = done < lengths
        heads = rungs[every, np.minimum(done, lengths - 1)]
        p_heads = np.where(open_, np.take_along_axis(p_values, heads, axis=-1), np.inf)
        chosen = p_heads.argmin(axis=-1)[..., None]
        p_chosen = np.take_along_axis(p_heads, chosen, axis=-1)
        running = np.maximum(running, np.minimum(1.0, p_chosen * open_.sum(axis=-1, keepdims=True)))
        np.put_along_axis(found, np.take_along_axis(heads, chosen, axis=-1), running, axis=-1)
        np.put_along_axis(done, chosen, np.take_along_axis(done, chosen, axis=-1) + 1, axis=-1)
    return found
