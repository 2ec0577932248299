"""The score of the xView2 challenge."""

from dataclasses import dataclass

import numpy as np

from pairlab.metrics.confusion import hits_and_marked
from pairlab.metrics.shares import Counts


@dataclass(frozen=True, slots=True)
class XView2Score:
    """The score of the xView2 challenge and its parts, each in [0, 1]."""

    score: float
    """0.3 · localisation_f1 + 0.7 · damage_f1."""
    localisation_f1: float
    """F1 of buildings against everything else."""
    damage_f1: float
    """Harmonic mean of the four damage levels' F1."""
    per_level: tuple[float, float, float, float]
    """F1 of no-damage, minor-damage, major-damage and destroyed; 0 for a level that was never right."""


def xview2_score(counts: Counts) -> XView2Score:
    """Returns the official xView2 score of one prediction that shows both where buildings are and how damaged.

    As the challenge's own scoring program (github.com/DIUx-xView/xView2_scoring) does it: true and false positives and
    false negatives are summed over the whole set first; damage is scored only where the target has a building; a
    building that is missed is a false negative of its level. The harmonic mean takes 1e-6 more of each F1, so that a
    level that was never right pulls it to 0, also one that the set does not show.

    Args:
        counts: confusion counts of the whole set, integers (C, C), target along rows: background, the four damage
            levels in order, and, if C is 6, un-classified buildings, which count for localisation alone.

    Raises:
        ValueError: other counts.

    Example:
        >>> counts = np.zeros((5, 5), dtype=np.int64)
        >>> counts[1:, 1:], counts[0, 0] = np.diag([8, 4, 2, 2]), 48
        >>> counts[4, 4], counts[4, 0] = 1, 1  # half of what was destroyed is missed
        >>> score = xview2_score(counts)
        >>> round(score.localisation_f1, 3), [round(f1, 3) for f1 in score.per_level], round(score.score, 3)
        (0.968, [1.0, 1.0, 1.0, 0.667], 0.913)
    """
    hits, _ = hits_and_marked(counts)
    if len(hits) not in (5, 6):
        raise ValueError(f"the xView2 score needs background and four damage levels, found {len(hits)} classes")
    buildings = np.asarray(counts, dtype=np.int64)
    found = int(buildings[1:, 1:].sum())
    localisation = _f1(found, int(buildings[0, 1:].sum() + buildings[1:, 0].sum()))
    damage = buildings[1:5]
    levels = [_f1(int(hits[c]), int(damage[:, c].sum() + damage[c - 1].sum() - 2 * hits[c])) for c in range(1, 5)]
    damage_f1 = len(levels) / sum(1 / (f1 + 1e-6) for f1 in levels)
    no, minor, major, destroyed = levels
    return XView2Score(0.3 * localisation + 0.7 * damage_f1, localisation, damage_f1, (no, minor, major, destroyed))


def _f1(hits: int, misses: int) -> float:
    """Returns 2 TP / (2 TP + FP + FN); 0 without a hit, as the challenge counts it."""
    return 2 * hits / (2 * hits + misses) if hits else 0.0
