"""Verdicts of a family of arms: read at planned looks, and only there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pairlab.verdict.companions import SignTest, sign_test, skewness
from pairlab.verdict.differences import LEAST_SEEDS
from pairlab.verdict.intervals import Figures, Sample
from pairlab.verdict.multiplicity import Units
from pairlab.verdict.outcomes import WORDS, Judged, Outcome, Word, judge, outcome_name
from pairlab.verdict.power import seeds_needed, upper_deviation

ALPHA = 0.05
"""Error rate of each word over the family and all looks; one-sided, so that intervals are of 90 %."""
LOPSIDED = 1.0
"""Skewness from which differences are called lopsided: t intervals rest on their symmetry."""


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """One endpoint's differences, points."""

    mean: float
    deviation: float | None
    low: float | None
    """Bounds of the interval, simultaneous over the family; None below two seeds."""
    high: float | None
    sign: SignTest
    lopsided: float | None
    """The skewness of the differences where it is conspicuous."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an arm has shown."""

    arm: str
    outcome: Outcome | None
    """None before the first look that gives words."""
    look: int | None
    """The planned look it was read at."""
    next_look: int | None
    """The next planned one; None after the last."""
    seeds: int
    """Seeds that arm and reference have by now."""
    alpha: float
    """Level of a one-sided test of this family at one look; the displayed intervals share it among the arms."""
    family: int
    """Arms in the family."""
    endpoints: tuple[EndpointFigures, ...]
    """At the look; before the first, of all seeds so far; empty without any."""
    p_values: Mapping[Word, float]
    """Adjusted over the family, at the look; empty before. What is at most `alpha` is shown."""
    seeds_needed: int | None
    """The planned look at which an arm without any difference would be shown robust with a power of 0.8."""
    reachable: bool | None
    """Whether there is such a look; None where it cannot be said yet, or nothing is left to decide."""
    ladder: tuple[str, ...]
    """The rungs it is one of, low rate first."""
    breaks_at: str | None
    """The first rung of its ladder that is not shown to be not harmed, at the look."""
    history: tuple[tuple[int, Outcome], ...]
    """(look, outcome) of this and all earlier looks."""


def word_looks(looks: Sequence[int]) -> tuple[int, ...]:
    """Returns the planned looks that give words: those of at least 5 seeds. They share α equally."""
    return tuple(look for look in looks if look >= LEAST_SEEDS)


def read_verdicts(
    differences: Mapping[str, Figures],
    *,
    margin: float,
    looks: Sequence[int],
    ladders: Sequence[Sequence[str]] = (),
    alpha: float = ALPHA,
) -> dict[str, Verdict]:
    """Returns the verdict of every arm of a family.

    Args:
        differences: per arm of the family, differences to the reference in points, shape (seeds, endpoints), in the
            declared order of the seeds; a look of n seeds takes the first n.
        margin: δ, points.
        looks: numbers of seeds, planned before the run.
        ladders: arms that are tested in fixed order, least disturbed first.
        alpha: error rate of each word over the family and all looks.
    """
    if not differences:
        return {}
    worded = word_looks(looks)
    share = alpha / max(1, len(worded))
    arms = list(differences)
    units = _units(arms, ladders)
    judged = {look: _at_look(differences, look, margin=margin, alpha=share, units=units) for look in worded}
    return {
        arm: _verdict(
            arms.index(arm),
            each,
            judged={look: found for look, found in judged.items() if look <= len(each)},
            margin=margin,
            looks=looks,
            alpha=share,
            arms=arms,
            units=units,
        )
        for arm, each in differences.items()
    }


def _units(arms: Sequence[str], ladders: Sequence[Sequence[str]]) -> Units:
    rungs = set(chain.from_iterable(ladders))
    alone = [[place] for place, arm in enumerate(arms) if arm not in rungs]
    return [*alone, *([arms.index(rung) for rung in ladder] for ladder in ladders)]


def _at_look(differences: Mapping[str, Figures], look: int, *, margin: float, alpha: float, units: Units) -> Judged:
    """Returns what the family shows with the first `look` seeds; an arm with fewer shows nothing, and still counts."""
    endpoints = next(iter(differences.values())).shape[1]
    unknown = np.full((endpoints, look), np.nan)
    taken = [each[:look].T if len(each) >= look else unknown for each in differences.values()]
    return judge(Sample.of(np.stack(taken)), margin=margin, alpha=alpha, units=units)


def _verdict(
    place: int,
    differences: Figures,
    *,
    judged: Mapping[int, Judged],
    margin: float,
    looks: Sequence[int],
    alpha: float,
    arms: Sequence[str],
    units: Units,
) -> Verdict:
    history = tuple((look, outcome_name(int(found.outcomes[place]))) for look, found in judged.items())
    look, outcome = history[-1] if history else (None, None)
    now = None if look is None else judged[look]
    unit = next(unit for unit in units if place in unit)
    later = [each for each in word_looks(looks) if each > len(differences)]
    needed, reachable = None, None
    if len(differences) >= 2 and outcome in (None, "undecided"):
        deviation = max(upper_deviation(float(each), len(differences)) for each in differences.std(axis=0, ddof=1))
        needed = seeds_needed(later, deviation, margin=margin, alpha=alpha / len(units))
        reachable = needed is not None
    return Verdict(
        arm=arms[place],
        outcome=outcome,
        look=look,
        next_look=next((each for each in looks if each > len(differences)), None),
        seeds=len(differences),
        alpha=alpha,
        family=len(arms),
        endpoints=_figures(differences, place, look, now, alpha=alpha / len(arms)),
        p_values={} if now is None else {word: float(now.adjusted[word][place]) for word in WORDS},
        seeds_needed=needed,
        reachable=reachable,
        ladder=tuple(arms[rung] for rung in unit) if len(unit) > 1 else (),
        breaks_at=None if now is None or len(unit) == 1 else _break(now, unit, arms, alpha),
        history=history,
    )


def _break(judged: Judged, ladder: Sequence[int], arms: Sequence[str], alpha: float) -> str | None:
    return next((arms[rung] for rung in ladder if judged.adjusted["not_harmed"][rung] > alpha), None)


def _figures(
    differences: Figures, place: int, look: int | None, judged: Judged | None, *, alpha: float
) -> tuple[EndpointFigures, ...]:
    taken = differences if look is None else differences[:look]
    if not len(taken):
        return ()
    bounds: tuple[Sequence[float | None], Sequence[float | None]] = ([None] * taken.shape[1],) * 2
    if judged is not None:
        bounds = judged.low[place].tolist(), judged.high[place].tolist()
    elif len(taken) >= 2:
        low, high = Sample.of(taken.T).interval(alpha)
        bounds = low.tolist(), high.tolist()
    figures = []
    for number, column in enumerate(taken.T):
        skew = skewness(column) if len(column) >= LEAST_SEEDS else 0.0
        figures.append(
            EndpointFigures(
                mean=float(column.mean()),
                deviation=float(column.std(ddof=1)) if len(column) >= 2 else None,
                low=bounds[0][number],
                high=bounds[1][number],
                sign=sign_test(column),
                lopsided=skew if abs(skew) >= LOPSIDED else None,
            )
        )
    return tuple(figures)
