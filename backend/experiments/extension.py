"""More seeds for an experiment, up to its next planned look: what was declared stays, and what is done is kept."""

from dataclasses import dataclass
from itertools import count

from sqlalchemy.orm import Session

from backend.context import Context
from backend.errors import ConflictError, InvalidError, UnavailableError
from backend.experiments import repository, service
from backend.experiments.needed_jobs import check_datasets, queue_jobs
from backend.experiments.planning import Plan, plan_experiment
from backend.experiments.results import results_of
from backend.experiments.schemas import ExperimentRead, ExperimentSubmit
from backend.experiments.tables import ExperimentRow
from backend.experiments.verdict_schemas import ExtendRequest, ExtensionRead
from backend.jobs import queue
from backend.jobs import repository as jobs_repository
from pairlab.experiment.experiment import Experiment, ExperimentError, dump_experiment
from pairlab.experiment.jobs import PlannedJob
from pairlab.experiment.model import content_hash

ATTEMPTS = 3
"""Tries where others extend the same experiment at the same moment."""


@dataclass(frozen=True, slots=True)
class _Added:
    """Seeds that an experiment does not have yet."""

    seeds: tuple[int, ...]
    to: int
    reason: str | None


def plan_extension(context: Context, experiment_id: str, request: ExtendRequest) -> ExtensionRead:
    """Returns what further seeds would take, and queues nothing; raises what `extend` raises."""
    before, added = _asked(context, experiment_id, request)
    look = next((each for each in before.looks if each == added.to), None)
    if not added.seeds:
        return ExtensionRead(
            seeds=[],
            to=added.to,
            look=look,
            jobs=0,
            estimated_seconds=0.0,
            estimate_basis="nothing would be added",
            reason=added.reason,
        )
    plan = _planned(context, experiment_id, before, added)
    with context.database.read() as session:
        done = service.done_of(plan, jobs_repository.find_live(session, [job.key for job in plan.jobs]))
    to_run = [job for job in _of_seeds(plan, added.seeds) if job.key not in done]
    time = service.time_of(context, plan, to_run)
    return ExtensionRead(
        seeds=list(added.seeds),
        to=added.to,
        look=look,
        jobs=len(to_run),
        estimated_seconds=time.seconds,
        estimate_basis=time.basis,
        reason=None,
    )


def extend(context: Context, experiment_id: str, request: ExtendRequest) -> ExperimentRead:
    """Returns the experiment with its further seeds queued; a repeated request adds nothing.

    Margin, looks, arms and all else stay as they were declared. Seeds that are scored keep their jobs.

    Args:
        context: the application's.
        experiment_id: of the experiment.
        request: how many, or which; without either as many as the next look needs beyond what is scored or under way.

    Raises:
        NotFoundError: there is no such experiment.
        ConflictError: it was cancelled, or its seeds would train otherwise today: the numbers could not be paired.
        InvalidError: more seeds than the last planned look has.
    """
    for _ in range(ATTEMPTS):
        before, added = _asked(context, experiment_id, request)
        if not added.seeds:
            return service.get_summary(context, experiment_id)
        plan = _planned(context, experiment_id, before, added)
        with context.database.write() as session:
            row = service.find(session, experiment_id)
            if Experiment.model_validate(row.spec).seeds != before.seeds:
                continue  # someone else was faster
            _check_open(row)
            check_datasets(session, plan)
            row.spec = plan.experiment.model_dump(mode="json")
            row.yaml = plan.yaml
            row.content_hash = content_hash(plan.experiment)
            queue_jobs(session, row.id, plan, hardware=context.settings.hardware, seeds=added.seeds)
        queue.wake(context.settings, context.settings.hardware)
        return service.get_summary(context, experiment_id)
    raise UnavailableError("others extend this experiment at the same moment; look at it, and try again")


def _asked(context: Context, experiment_id: str, request: ExtendRequest) -> tuple[Experiment, _Added]:
    """Returns the experiment as it is, and the seeds that the request adds to it."""
    with context.database.read() as session:
        row = service.find(session, experiment_id)
        _check_open(row)
        experiment = Experiment.model_validate(row.spec)
    if request.seeds is not None:
        seeds = tuple(seed for seed in dict.fromkeys(request.seeds) if seed not in experiment.seeds)
        added = _Added(seeds, len(experiment.seeds) + len(seeds), None if seeds else "the experiment has these seeds")
    else:
        to = request.to or _next_look(context, experiment_id, experiment)
        missing = max(0, to - len(experiment.seeds))
        new = (seed for seed in count(max(experiment.seeds) + 1) if seed not in experiment.seeds)
        seeds = tuple(next(new) for _ in range(missing))
        added = _Added(seeds, max(to, len(experiment.seeds)), None if seeds else _enough(experiment, to))
    cap = max(experiment.looks)
    if seeds and added.to > cap:
        sentence = (
            f"{added.to} seeds are more than the last planned look has ({cap}; looks planned: "
            f"{', '.join(map(str, experiment.looks))}): no verdict would be read from them. A new experiment may plan "
            "more looks"
        )
        raise InvalidError(sentence, problems=[sentence])
    return experiment, added


def _next_look(context: Context, experiment_id: str, experiment: Experiment) -> int:
    """Returns the first planned look that lies beyond the seeds that are scored; the last one where none does."""
    scored = min((verdict.seeds for verdict in results_of(context, experiment_id).verdicts), default=0)
    return next((look for look in experiment.looks if look > scored), experiment.looks[-1])


def _enough(experiment: Experiment, to: int) -> str:
    seeds = len(experiment.seeds)
    if to >= experiment.looks[-1]:
        return f"the last planned look is {experiment.looks[-1]} seeds, and the experiment has {seeds}"
    return f"the experiment has {seeds} seeds already; those without a score are still to run, or failed (retry them)"


def _check_open(row: ExperimentRow) -> None:
    if row.cancelled_at is not None:
        raise ConflictError(f"experiment {row.name!r} was cancelled: retry it first, then extend it")


def _planned(context: Context, experiment_id: str, before: Experiment, added: _Added) -> Plan:
    """Returns the plan of the experiment with its further seeds.

    Raises:
        ConflictError: seeds that it has would be other jobs today.
    """
    after = before.model_copy(update={"seeds": (*before.seeds, *added.seeds)})
    with context.database.read() as session:
        row = service.find(session, experiment_id)
        text, known = row.yaml, _keys(session, experiment_id)
    plan = plan_experiment(context, ExperimentSubmit(yaml=_written(after, text)), seconds=service.SUBMIT_CHECK_SECONDS)
    if changed := [
        job for job in plan.jobs if any(known.get((*use, job.config.kind)) not in (None, job.key) for use in job.uses)
    ]:
        arm, seed = changed[0].uses[0]
        raise ConflictError(
            f"the {changed[0].config.kind} job of arm {arm!r}, seed {seed} would be another one today: its dataset, a "
            "file of weights or PairLab's training code has changed since. Further seeds could not be compared with "
            "those that are there; submit the experiment anew"
        )
    return plan


def _written(after: Experiment, text: str) -> str:
    """Returns the experiment's text with the further seeds, its comments kept."""
    try:
        return dump_experiment(after, commented=text)
    except ExperimentError:
        return dump_experiment(after)


def _keys(session: Session, experiment_id: str) -> dict[tuple[str, int, str], str]:
    """Returns the key of every job by arm, seed and kind."""
    jobs = {job.id: job for job in repository.jobs_of(session, experiment_id)}
    return {
        (use.arm, use.seed, jobs[use.job_id].kind): jobs[use.job_id].key
        for use in repository.uses_of(session, experiment_id)
    }


def _of_seeds(plan: Plan, seeds: tuple[int, ...]) -> list[PlannedJob]:
    return [job for job in plan.jobs if any(seed in seeds for _, seed in job.uses)]
