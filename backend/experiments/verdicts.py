"""The verdicts of an experiment: the family of its arms under the primary protocol, from the scores of its seeds."""

from collections.abc import Mapping, Sequence
from itertools import takewhile

import numpy as np

from backend.experiments.contrasts import exposure_differences
from backend.experiments.schemas import ArmResult, SeedScore
from backend.experiments.shown_pairs import ShownPairs
from backend.experiments.verdict_schemas import EndpointRead, LookRead, SignTestRead, VerdictRead
from backend.experiments.verdict_words import wording_of
from backend.jobs.schemas import FINAL_STATUSES
from pairlab.experiment.experiment import Experiment
from pairlab.verdict.differences import POINTS
from pairlab.verdict.endpoints import Endpoint, endpoint_scores, state_classes
from pairlab.verdict.intervals import Figures
from pairlab.verdict.ladders import ladders_of
from pairlab.verdict.reading import Verdict, read_verdicts

NAMES: tuple[Endpoint, ...] = ("miou", "state_iou")


def verdicts_of(
    experiment: Experiment,
    rows: Sequence[ArmResult],
    *,
    classes: Sequence[str],
    shown: Mapping[str, ShownPairs],
    fixed: bool,
) -> list[VerdictRead]:
    """Returns a verdict of every arm that is neither a baseline nor the reference, in the order of the arms.

    Args:
        experiment: what was declared.
        rows: the table of results.
        classes: of the labels, the background first.
        shown: what each arm's pairs were.
        fixed: whether all seeds have the same test scenes.
    """
    primary = {row.arm: row for row in rows if row.protocol == experiment.protocols[-1].name}
    reference = primary.pop(experiment.reference)
    states = state_classes(experiment.labels.scheme, classes)
    titles = [
        "mIoU",
        *([f"mean IoU of {' and '.join(states)}" if len(states) <= 2 else "state classes"] if states else []),
    ]
    differences = {
        arm: _differences(experiment, row, reference, states) for arm, row in primary.items() if not row.baseline
    }
    read = read_verdicts(differences, margin=experiment.margin, looks=experiment.looks, ladders=ladders_of(experiment))
    return [
        _read(verdict, experiment, titles, fixed=fixed, caveats=_caveats(experiment, verdict, shown, titles))
        for verdict in read.values()
    ]


def _differences(experiment: Experiment, row: ArmResult, reference: ArmResult, states: Sequence[str]) -> Figures:
    """Returns the differences, shape (seeds, endpoints), of the declared seeds before the first that is still to come.

    A look is read from the first so many seeds in their order; one that ends later than its successors would otherwise
    change what was read.
    """
    scores, theirs = (_by_seed(each, states) for each in (row, reference))

    def is_over(seed: int) -> bool:
        left = [each.missing[seed] for each in (row, reference) if seed in each.missing]
        return all(status in FINAL_STATUSES for status in left)

    ready = [seed for seed in takewhile(is_over, experiment.seeds) if seed in scores and seed in theirs]
    values = [[POINTS * (mine - other) for mine, other in zip(scores[s], theirs[s], strict=True)] for s in ready]
    return np.array(values, dtype=np.float64).reshape(len(ready), 1 + bool(states))


def _by_seed(row: ArmResult, states: Sequence[str]) -> dict[int, tuple[float, ...]]:
    found = {score.seed: _scores(score, states) for score in row.seeds}
    return {seed: scores for seed, scores in found.items() if scores is not None}


def _scores(score: SeedScore, states: Sequence[str]) -> tuple[float, ...] | None:
    return endpoint_scores(score.miou, score.iou, states)


def _caveats(
    experiment: Experiment, verdict: Verdict, shown: Mapping[str, ShownPairs], titles: Sequence[str]
) -> list[str]:
    """Returns what the word does not say by itself, a phrase each."""
    caveats = []
    factors = experiment.factors(verdict.arm)
    if len(factors) > 1:
        caveats.append(f"differs in {' and '.join(factors)}: the verdict is on all of it, and on none of them alone")
    for arm in (verdict.arm, experiment.reference):
        if shown[arm].exposure_matched is False or exposure_differences(experiment, arm):
            whose = "" if arm == verdict.arm else " (the reference)"
            caveats.append(f"not exposure-matched{whose}: the verdict is also one of the images shown")
    if experiment.transductive:
        caveats.append("transductive: pretraining saw the images of the test scenes")
    for title, figures in zip(titles, verdict.endpoints, strict=False):
        if figures.lopsided is not None:
            skew = f"{figures.lopsided:+.1f}".replace("-", "−")
            caveats.append(
                f"the seeds' differences of {title} are lopsided (skewness {skew}): t intervals are too narrow on the "
                "side of the long tail, so look at every seed"
            )
    return caveats


def _read(
    verdict: Verdict, experiment: Experiment, titles: list[str], *, fixed: bool, caveats: list[str]
) -> VerdictRead:
    words = wording_of(
        verdict,
        titles=titles,
        reference=experiment.reference,
        margin=experiment.margin,
        fixed=fixed,
        pairing=experiment.factors(verdict.arm) == ("pairing",),
    )
    endpoints = [
        EndpointRead(
            name=name,
            title=title,
            mean=each.mean,
            deviation=each.deviation,
            low=each.low,
            high=each.high,
            sign_test=SignTestRead(
                below=each.sign.below, above=each.sign.above, equal=each.sign.equal, p_value=each.sign.p_value
            ),
            lopsided=each.lopsided,
        )
        for name, title, each in zip(NAMES, titles, verdict.endpoints, strict=False)
    ]
    return VerdictRead(
        arm=verdict.arm,
        outcome=verdict.outcome,
        word=words.word,
        plain=words.plain,
        shown=words.shown,
        not_shown=words.not_shown,
        caveats=caveats,
        look=verdict.look,
        seeds=verdict.seeds,
        next_look=verdict.next_look,
        seeds_needed=verdict.seeds_needed,
        reachable=verdict.reachable,
        needed=words.needed,
        alpha=verdict.alpha,
        interval_level=1 - 2 * verdict.alpha,
        family=verdict.family,
        p_values=dict(verdict.p_values),
        endpoints=endpoints if verdict.seeds else [],
        ladder=list(verdict.ladder),
        breaks_at=verdict.breaks_at,
        history=[LookRead(look=look, outcome=outcome) for look, outcome in verdict.history],
    )
