"""Which pairs a filter throws away, and the change score of what a pair shows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.pairing import ChangeScoreFilter, Pairing
from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores
from pairlab.pairing.extents import reachable_rate
from pairlab.pairing.pair import Filtered, PairList
from pairlab.pairing.policies import Shots
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.index import ChipIndex

Rows = NDArray[np.intp]
_COLUMNS = (
    *("scene", "y", "x", "positive_scene", "positive_y", "positive_x", "shots", "shift", "changed_pixels"),
    *("change_share", "object_change_share", "object_share", "noisy", "mismatched", "unknown", "control", "score"),
)


def scores_shown(
    index: ChipIndex,
    scores: CellScores,
    *,
    rows: Rows,
    shots: Shots,
    mismatched: NDArray[np.bool_],
    dates: int,
) -> NDArray[np.float64]:
    """Returns the change score of what each pair shows, shape (pairs,).

    Of an image with itself it is 0; of both acquisitions in one state, that of the scene rendered without the change or
    with it; NaN of mismatched pairs, of other acquisitions than the first and the last, and where there is none.

    Args:
        index: the chips that may be used.
        scores: of the dataset.
        rows: the places that pairs show.
        shots: what they show of them.
        mismatched: pairs of two places.
        dates: number of acquisitions.
    """
    acquisition, state = shots[:, :, 0], shots[:, :, 1]
    ends = (acquisition.min(axis=1) == 0) & (acquisition.max(axis=1) == dates - 1)
    across = ends & (state == acquisition).all(axis=1)
    one_state = ends & ~across & (state[:, 0] == state[:, 1])
    shown = np.full(len(rows), np.nan)
    for variant, where in (
        (ACROSS, across),
        (BEFORE, one_state & (state[:, 0] == 0)),
        (AFTER, one_state & (state[:, 0] == dates - 1)),
    ):
        if variant in scores.variants and where.any():
            shown[where] = scores.only(variant).of_chips(index.rows(rows[where]))[variant]
    shown[(shots[:, 0] == shots[:, 1]).all(axis=1)] = 0.0
    shown[mismatched] = np.nan
    return shown


def fitted_threshold(chosen: ChangeScoreFilter, index: ChipIndex, scores: CellScores) -> float:
    """Returns the score above which pairs are thrown away.

    A quantile is that of the scores, between first and last acquisition, of all chips with data of the train split.

    Raises:
        PairingRefused: no such chip has a score.
    """
    if chosen.quantile is None:
        return float(chosen.threshold or 0.0)
    trains = np.array([scene.split == "train" for scene in index.scenes], dtype=bool)
    rows = np.flatnonzero(trains[index.scene] & (index.valid_pixels > 0))
    chips = index if len(rows) == len(index) else index.rows(rows)
    found = scores.only(ACROSS).of_chips(chips)[ACROSS]
    found = found[~np.isnan(found)]
    if not len(found):
        raise PairingRefused(
            f"filter.quantile {chosen.quantile:g} is fitted on the train split, and none of its {len(rows)} chips with "
            "data has a change score: give a threshold, or take another score"
        )
    return float(np.quantile(found, chosen.quantile))


def filtered(pairs: PairList, pairing: Pairing, *, threshold: float | None) -> PairList:
    """Returns the pairs that the pairing's filter keeps, in their order; those without a score are kept.

    Args:
        pairs: with scores, where the filter goes by them.
        pairing: of the pairs.
        threshold: of a change score.

    Raises:
        PairingRefused: fewer than 2 pairs are left.
    """
    if pairing.filter.by == "none":
        return pairs
    kept = ~pairs.noisy if threshold is None else ~(pairs.score > threshold)
    facts = Filtered(
        drawn=len(pairs),
        thrown_away=int(np.count_nonzero(~kept)),
        noisy_thrown_away=int(np.count_nonzero(pairs.noisy & ~kept)),
        threshold=threshold,
    )
    if facts.drawn - facts.thrown_away < 2:
        raise PairingRefused(_too_few(pairs, pairing, facts))
    warnings = pairs.warnings
    unscored = 0 if threshold is None else int(np.count_nonzero(np.isnan(pairs.score)))
    if unscored:
        warnings += (f"{unscored} of {len(pairs)} pairs have no change score: the filter kept them",)
    return replace(
        pairs,
        exposure_matched=pairs.exposure_matched and not facts.thrown_away,
        filtered=facts,
        kept=np.flatnonzero(kept) if facts.thrown_away else None,
        warnings=warnings,
        **({name: getattr(pairs, name)[kept] for name in _COLUMNS} if facts.thrown_away else {}),
    )


def _too_few(pairs: PairList, pairing: Pairing, facts: Filtered) -> str:
    left = facts.drawn - facts.thrown_away
    told = f"the filter throws away {facts.thrown_away} of {facts.drawn} pairs and leaves {left}"
    if facts.threshold is None:
        rate = reachable_rate(max(facts.drawn - 2, 0), facts.drawn)
        remedy = "draw more pairs" if pairing.noise.rate is None else f"set noise.rate to at most {rate:g}"
        return f"{told}, for the others are noisy by the labels; training needs 2 at least: {remedy}"
    scores = np.sort(np.where(np.isnan(pairs.score), -np.inf, pairs.score))
    second = float(scores[1])
    digits = 6 - int(np.ceil(np.log10(abs(second)))) if second else 6
    rounded_up = float(np.ceil(second * 10.0**digits) / 10.0**digits)
    return (
        f"{told}, at a threshold of {facts.threshold:g}; training needs 2 at least: set the threshold to "
        f"{max(rounded_up, second):.7g} or more, or a higher quantile"
    )
