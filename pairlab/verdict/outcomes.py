"""The five outcomes, read off one interval per endpoint; each word keeps its own error rate over the whole family.

What each word claims of an arm's true differences Δ, one per endpoint:

    robust       every Δ lies in (−δ, +δ)
    not harmed   every Δ > −δ
    benefits     some Δ > +δ, and every Δ > −δ
    harmed       some Δ < −δ

“Every” needs each endpoint's test at the full level (intersection–union: no correction). “Some” has two chances to be
wrong, so it needs both endpoints at the full level or one at half of it (Simes; the endpoints depend positively, as
mIoU holds the state classes). Over the arms of a family the p-values of each word are adjusted by
`pairlab.verdict.multiplicity.adjusted`: words of safety climb ladders in order, words of an effect take every arm by
itself.

Schuirmann 1987, J. Pharmacokinet. Biopharm. 15 (two one-sided tests); Berger 1982, Technometrics 24
(intersection–union); Simes 1986, Biometrika 73.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from pairlab.verdict.intervals import Figures, Sample
from pairlab.verdict.multiplicity import Units, adjusted

Word = Literal["harmed", "benefits", "robust", "not_harmed"]
Outcome = Word | Literal["undecided"]
WORDS: tuple[Word, ...] = ("harmed", "benefits", "robust", "not_harmed")
"""The stronger first: the first that is shown is the outcome."""
SAFETY: tuple[Word, ...] = ("robust", "not_harmed")
UNDECIDED = len(WORDS)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a family of arms has shown, of as many experiments at once as the sample has leading axes."""

    p_values: Mapping[Word, Figures]
    """Shape (..., arms)."""
    adjusted: Mapping[Word, Figures]
    outcomes: NDArray[np.intp]
    """Places in WORDS, or UNDECIDED; shape (..., arms)."""
    low: Figures
    """Bounds of the simultaneous intervals as they are shown, in points; shape (..., arms, endpoints)."""
    high: Figures


def judge(sample: Sample, *, margin: float, alpha: float, units: Units) -> Judged:
    """Returns each arm's outcome and intervals that are simultaneous over the arms and never contradict it.

    Args:
        sample: means of shape (..., arms, endpoints), NaN of an arm that has not come so far: it keeps its share of α.
        margin: δ, points.
        alpha: error rate of each word over the family at this look, one-sided.
        units: the family's arms; ladders in their order.
    """
    p_values = word_p_values(sample, margin)
    alone = [[arm] for unit in units for arm in unit]
    over_family = {word: adjusted(p_values[word], units if word in SAFETY else alone) for word in WORDS}
    shown = np.stack([over_family[word] <= alpha for word in WORDS] + [np.ones_like(p_values["harmed"], dtype=bool)])
    outcomes = shown.argmax(axis=0)
    low, high = _shown(sample, outcomes, margin=margin, alpha=alpha / len(alone))
    return Judged(p_values, over_family, outcomes, low, high)


def word_p_values(sample: Sample, margin: float) -> dict[Word, Figures]:
    """Returns each word's p-value, not adjusted, shape (..., arms), from means of shape (..., arms, endpoints)."""
    above_low, below_high = sample.p_above(-margin), sample.p_below(margin)
    not_harmed = above_low.max(axis=-1)
    return {
        "harmed": _some(sample.p_below(-margin)),
        "benefits": np.maximum(_some(sample.p_above(margin)), not_harmed),
        "robust": np.maximum(not_harmed, below_high.max(axis=-1)),
        "not_harmed": not_harmed,
    }


def outcome_name(place: int) -> Outcome:
    """Returns the outcome at a place of `Judged.outcomes`."""
    return cast(Outcome, (*WORDS, "undecided")[place])


def _some(p_values: Figures) -> Figures:
    """Returns Simes' p-value of “none of them”: min over k of (endpoints / k) · p_(k)."""
    ordered = np.sort(p_values, axis=-1)
    endpoints = ordered.shape[-1]
    return cast(Figures, (ordered * endpoints / np.arange(1, endpoints + 1)).min(axis=-1))


def _shown(sample: Sample, outcomes: NDArray[np.intp], *, margin: float, alpha: float) -> tuple[Figures, Figures]:
    """Returns Bonferroni's intervals, brought to the margin's lines where a word rests on more than its own interval.

    An end that step-down alone decides is drawn in to the line it was shown to lie beyond (Strassburger & Bretz 2008,
    Stat. Med. 27); an end that would say more than the word is drawn out to the line, which only widens the interval.
    """
    low, high = (bound.copy() for bound in sample.interval(alpha))
    is_word = {word: (outcomes == place)[..., None] for place, word in enumerate(WORDS)}
    undecided = (outcomes == UNDECIDED)[..., None]
    every = np.arange(low.shape[-1])

    def worst(p_values: Figures) -> NDArray[np.bool_]:
        return np.asarray(every == p_values.argmax(axis=-1)[..., None])

    def best(p_values: Figures) -> NDArray[np.bool_]:
        return np.asarray(every == p_values.argmin(axis=-1)[..., None])

    safe = is_word["robust"] | is_word["not_harmed"] | is_word["benefits"]
    high = np.where(is_word["harmed"], high, np.maximum(high, -margin))
    one_alone = sample.p_above(-margin).max(axis=-1, keepdims=True) > alpha  # the other endpoint withholds the word
    low = np.where(is_word["benefits"] | one_alone, low, np.minimum(low, margin))
    low = np.where(safe, np.maximum(low, -margin), low)
    high = np.where(is_word["robust"], np.minimum(high, margin), high)
    high = np.where(is_word["harmed"] & best(sample.p_below(-margin)), np.minimum(high, -margin), high)
    low = np.where(is_word["benefits"] & best(sample.p_above(margin)), np.maximum(low, margin), low)
    looks_safe = (low > -margin).all(axis=-1, keepdims=True)
    low = np.where(undecided & looks_safe & worst(sample.p_above(-margin)), np.minimum(low, -margin), low)
    looks_robust = ((low >= -margin) & (high < margin)).all(axis=-1, keepdims=True)
    extend = is_word["not_harmed"] & looks_robust & worst(sample.p_below(margin))
    return low, np.where(extend, np.maximum(high, margin), high)
