"""The pairs that every arm would draw, seed by seed: what is refused shows before anything is queued."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backend.context import Context
from backend.datasets.drawn_pairs import DrawnPairs, ScoreMissingError, draw_pairs_of, score_in_words
from backend.datasets.preview import filtered_of, read_balance
from backend.datasets.preview_schemas import Balance, Filtered
from backend.experiments.contrasts import exposure_differences
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import PlannedJob, PretrainJob, score_job
from pairlab.experiment.pairing import NoFilter
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.scene import SceneError

MOST_NAMED = 10
"""Seeds named in a sentence."""


@dataclass(frozen=True, slots=True)
class ArmDraw:
    """What an arm draws with the first seed."""

    realised_noise: float
    realised_mismatch: float
    exposure_matched: bool
    filtered: Filtered | None
    balance: Balance


@dataclass
class ArmDraws:
    """What drawing all arms has shown."""

    arms: dict[str, ArmDraw | None]
    """None of arms that are not pretrained, are refused, or filter by a score that is not computed yet."""
    problems: list[str] = field(default_factory=list)
    """What is refused; each sentence names the arm."""
    warnings: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Arms that a problem names; one sentence each is enough."""


def draw_arms(context: Context, experiment: Experiment, jobs: Sequence[PlannedJob], *, seconds: float) -> ArmDraws:
    """Returns what the arms draw with the first seed, and what is refused with any.

    Args:
        context: the application's.
        experiment: what is asked.
        jobs: what it becomes, by seed.
        seconds: how long further seeds than the first are drawn: none is begun that would take longer, if it takes as
            long as the slowest so far. A warning names the seeds that were not checked.
    """
    draws = ArmDraws(dict.fromkeys(experiment.arms))
    began, slowest = time.monotonic(), 0.0
    for job in jobs:
        if not isinstance(job.config, PretrainJob):
            continue
        first, now = job.config.seed == experiment.seeds[0], time.monotonic()
        if not first and now - began + slowest > seconds:
            left = experiment.seeds[experiment.seeds.index(job.config.seed) :]
            draws.warnings.append(_unchecked(left))
            break
        arms = tuple(arm for arm in dict.fromkeys(arm for arm, _ in job.uses) if arm not in draws.refused)
        if arms:
            _draw_one(context, experiment, job.config, arms, draws, first=first)
        slowest = max(slowest, time.monotonic() - now)
    return draws


def named_arms(arms: Iterable[str]) -> str:
    """Returns the beginning of a sentence about arms: each once, in quotes."""
    each = list(dict.fromkeys(arms))
    return f"arm{'s' * (len(each) > 1)} {', '.join(map(repr, each))}"


def _draw_one(
    context: Context,
    experiment: Experiment,
    config: PretrainJob,
    arms: tuple[str, ...],
    draws: ArmDraws,
    *,
    first: bool,
) -> None:
    named = named_arms(arms)
    of_seed = "" if first else f", seed {config.seed}"
    try:
        (pairs, scenes), whole = _drawn(context, config)
    except (PairingRefused, SceneError) as error:
        draws.problems.append(f"{named}{of_seed}: {error}")
        draws.refused.update(arms)
        return
    if not first:
        return
    draws.warnings.extend(f"{named}: {warning}" for warning in pairs.warnings)
    score = score_job(config)
    if not whole and score is not None:
        draws.warnings.append(
            f"{named}: change score {score_in_words(score)} of dataset {config.dataset.name!r} is not computed yet; "
            "it is computed first, and how many pairs its filter throws away shows then"
        )
        return
    balance = read_balance(pairs, scenes)
    for arm in arms:
        draws.arms[arm] = ArmDraw(
            realised_noise=pairs.realised_rate,
            realised_mismatch=pairs.realised_mismatch,
            exposure_matched=pairs.exposure_matched and not exposure_differences(experiment, arm),
            filtered=filtered_of(pairs),
            balance=balance,
        )


def _drawn(context: Context, config: PretrainJob) -> tuple[DrawnPairs, bool]:
    """Returns the pairs, and whether the filter was applied: without its score, what comes before it is checked."""
    try:
        return draw_pairs_of(context, config), True
    except ScoreMissingError:
        unfiltered = config.pairing.model_copy(update={"filter": NoFilter()})
        return draw_pairs_of(context, config.model_copy(update={"pairing": unfiltered})), False


def _unchecked(seeds: Sequence[int]) -> str:
    named = ", ".join(map(str, seeds[:MOST_NAMED])) + (", …" if len(seeds) > MOST_NAMED else "")
    return (
        f"seed{'s' * (len(seeds) > 1)} {named} {'were' if len(seeds) > 1 else 'was'} not checked, which would take "
        "longer: a job of theirs may still be refused when it starts"
    )
