"""What the pairs of each arm were, as its pretrainings tell: noise, exposure, and what filtering cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.experiments.contrasts import TRANSDUCTIVE, exposure_differences, several_factors, unmatched_exposure
from backend.experiments.schemas import FilteredMean
from backend.jobs.tables import JobRow
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.pairing import ChangeScoreFilter
from pairlab.verdict import mean

JobsByUse = Mapping[tuple[str, int], JobRow]
"""Jobs of one kind, by arm and seed."""


@dataclass(frozen=True, slots=True)
class ShownPairs:
    """Of one arm; means over the seeds whose pretraining has begun, None before the first has."""

    realised_noise: float | None
    realised_mismatch: float | None
    distinct_pairs: float | None
    exposure_matched: bool | None
    filtered: FilteredMean | None
    score_seconds: float | None


def shown_by(experiment: Experiment, arm: str, pretrain: JobsByUse, score: JobsByUse) -> ShownPairs:
    """Returns what the pairs of an arm were."""
    facts = [job.facts for (name, _), job in pretrain.items() if name == arm]
    matched = [told for each in facts if (told := each.get("exposure_matched")) is not None]
    scored = {job.id: job.results["seconds"] for (name, _), job in score.items() if name == arm and job.results}
    return ShownPairs(
        realised_noise=_mean(facts, "realised_noise"),
        realised_mismatch=_mean(facts, "realised_mismatch"),
        distinct_pairs=_mean(facts, "pairs"),
        exposure_matched=all(matched) and not exposure_differences(experiment, arm) if matched else None,
        filtered=_filtered([told for each in facts if (told := each.get("filtered")) is not None]),
        score_seconds=mean(list(scored.values())) if scored else None,
    )


def notes_on_pairs(experiment: Experiment, shown: Mapping[str, ShownPairs]) -> list[str]:
    """Returns what the arms' pairs allow to conclude and what not, one sentence each."""
    notes = [TRANSDUCTIVE] if experiment.transductive else []
    notes += several_factors(experiment)
    notes += unmatched_exposure(experiment, {arm: pairs.exposure_matched for arm, pairs in shown.items()})
    return notes + [
        _cost(experiment, arm, pairs.filtered, pairs.score_seconds)
        for arm, pairs in shown.items()
        if pairs.filtered is not None
    ]


def _cost(experiment: Experiment, arm: str, filtered: FilteredMean, seconds: float | None) -> str:
    share = _short(100 * filtered.thrown_away / max(filtered.drawn, 1))
    thrown, drawn, noisy = (_short(each) for each in (filtered.thrown_away, filtered.drawn, filtered.noisy_thrown_away))
    sentence = (
        f"filtering for arm {arm!r} threw {thrown} of {drawn} pairs away ({share} %), {noisy} of them noisy by the "
        "labels"
    )
    pairing = experiment.arms[arm].pairing
    if pairing is not None and isinstance(pairing.filter, ChangeScoreFilter) and seconds is not None:
        sentence += f", and its change score {pairing.filter.score.name} took {seconds:,.0f} s to compute"
    return f"{sentence}; means over seeds"


def _short(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")


def _filtered(told: Sequence[Mapping[str, Any]]) -> FilteredMean | None:
    if not told:
        return None
    thresholds = [each["threshold"] for each in told if each["threshold"] is not None]
    return FilteredMean(
        drawn=mean([each["drawn"] for each in told]),
        thrown_away=mean([each["thrown_away"] for each in told]),
        noisy_thrown_away=mean([each["noisy_thrown_away"] for each in told]),
        threshold=mean(thresholds) if thresholds else None,
    )


def _mean(facts: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [each[key] for each in facts if key in each]
    return mean(values) if values else None
