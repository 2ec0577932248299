"""Experiments: plan, submit, list, cancel, retry."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.context import Context
from backend.cursor import decode_cursor, encode_cursor
from backend.database import now
from backend.datasets.schemas import Page
from backend.datasets.service import find as find_dataset
from backend.datasets.service import summary_of
from backend.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from backend.experiments import repository
from backend.experiments.estimate import Estimate, Measured, estimate
from backend.experiments.needed_jobs import check_datasets, keep_running, queue_jobs
from backend.experiments.planning import Plan, plan_experiment
from backend.experiments.repository import Tally
from backend.experiments.schemas import ExperimentDetail, ExperimentRead, ExperimentStatus, ExperimentSubmit, PlanRead
from backend.experiments.tables import ExperimentRow
from backend.jobs import queue
from backend.jobs import repository as jobs_repository
from backend.jobs.schemas import FINAL_STATUSES, JobStatus
from backend.jobs.service import read_jobs
from backend.jobs.tables import JobRow
from backend.jobs.workers import known_slots
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.jobs import PlannedJob, PretrainJob
from pairlab.experiment.model import content_hash

LIST_NAME = "experiments"
SUBMIT_CHECK_SECONDS = 10.0
"""How long further seeds than the first are drawn before jobs are queued: a refusal should come now, not in a job."""
ATTEMPTS = 10
"""Tries where others create equal jobs at the same moment; SQLite's lock lets them wait, PostgreSQL lets one fail."""


def validate(context: Context, request: ExperimentSubmit) -> PlanRead:
    """Returns what an experiment would run; raises what `plan_experiment` raises."""
    plan = plan_experiment(context, request)
    with context.database.read() as session:
        live = jobs_repository.find_live(session, [job.key for job in plan.jobs])
    done = done_of(plan, live)
    kinds = Counter(job.config.kind for job in plan.jobs)
    shared = sum(len(job.uses) - (job.key not in live) for job in plan.jobs if isinstance(job.config, PretrainJob))
    time = time_of(context, plan, [job for job in plan.jobs if job.key not in done], shared=shared)
    return PlanRead(
        experiment=plan.experiment,
        yaml=plan.yaml,
        content_hash=content_hash(plan.experiment),
        jobs=len(plan.jobs),
        pretrain_jobs=kinds["pretrain"],
        segment_jobs=kinds["segment"],
        score_jobs=kinds["score"],
        already_done=len(done),
        shared_pretrainings=shared,
        estimated_seconds=time.seconds,
        estimate_basis=time.basis,
        realised_noise={name: draw and draw.realised_noise for name, draw in plan.arms.items()},
        realised_mismatch={name: draw and draw.realised_mismatch for name, draw in plan.arms.items()},
        exposure_matched={name: draw and draw.exposure_matched for name, draw in plan.arms.items()},
        filtered={name: draw and draw.filtered for name, draw in plan.arms.items()},
        balance={name: draw and draw.balance for name, draw in plan.arms.items()},
        factors={name: list(plan.experiment.factors(name)) for name in plan.experiment.arms},
        warnings=plan.warnings,
    )


def done_of(plan: Plan, live: Mapping[str, JobRow]) -> set[str]:
    """Returns the keys of a plan's jobs whose result exists and is taken over."""
    return {key for key, row in live.items() if row.status == JobStatus.SUCCEEDED} - plan.missing_scores


def time_of(context: Context, plan: Plan, jobs: Sequence[PlannedJob], *, shared: int = 0) -> Estimate:
    """Returns how long jobs of a plan will take; `shared` pretrainings are saved."""
    with context.database.read() as session:
        measured = Measured(*(repository.newest_succeeded(session, kind) for kind in ("pretrain", "segment", "score")))
        slots = known_slots(session)
    scenes = {
        dataset.name: summary_of(context, find_dataset(context, dataset.name)).scenes for dataset in plan.datasets
    }
    return estimate(jobs, measured=measured, slots=slots, scenes=scenes, shared=shared)


def submit(context: Context, request: ExperimentSubmit, *, idempotency_key: str | None) -> ExperimentRead:
    """Returns the experiment whose jobs are queued; equal work that is done or under way is taken over.

    Args:
        context: the application's.
        request: the experiment.
        idempotency_key: a repeated request with the same key and body gets the first one's answer.

    Raises:
        InvalidError: the key came with another body before; and what `plan_experiment` raises.
    """
    body_hash = content_hash(request)
    with context.database.read() as session:
        earlier = _answered(session, idempotency_key, body_hash)
    if earlier is not None:
        return get_summary(context, earlier)
    plan = plan_experiment(context, request, seconds=SUBMIT_CHECK_SECONDS)
    experiment_id = _create_once(context, plan, idempotency_key=idempotency_key, body_hash=body_hash)
    queue.wake(context.settings, context.settings.hardware)
    return get_summary(context, experiment_id)


def list_experiments(context: Context, *, cursor: str | None, limit: int) -> Page[ExperimentRead]:
    """Returns a page of experiments, newest first."""
    after = None if cursor is None else _decode(cursor)
    with context.database.read() as session:
        rows = repository.page(session, after=after, limit=limit + 1)
        total = repository.count(session)
        tallies = repository.tallies(session, [row.id for row in rows[:limit]])
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=[_read(row, tallies[row.id]) for row in rows[:limit]],
        next_cursor=None if last is None else encode_cursor(LIST_NAME, last.created_at.isoformat(), last.id),
        total=total,
    )


def get_summary(context: Context, experiment_id: str) -> ExperimentRead:
    """Returns an experiment as lists show it."""
    with context.database.read() as session:
        row = find(session, experiment_id)
        return _read(row, repository.tallies(session, [row.id])[row.id])


def get(context: Context, experiment_id: str) -> ExperimentDetail:
    """Returns an experiment with its file and its jobs."""
    with context.database.read() as session:
        row = find(session, experiment_id)
        summary = _read(row, repository.tallies(session, [row.id])[row.id])
        jobs = read_jobs(session, repository.jobs_of(session, row.id))
    return ExperimentDetail(
        **summary.model_dump(), experiment=Experiment.model_validate(row.spec), yaml=row.yaml, job_list=jobs
    )


def cancel(context: Context, experiment_id: str) -> ExperimentRead:
    """Asks all jobs to stop that no other experiment needs; raises ConflictError where everything has ended."""
    with context.database.write() as session:
        row = find(session, experiment_id)
        jobs = repository.jobs_of(session, row.id)
        if row.cancelled_at is None and all(job.status in FINAL_STATUSES for job in jobs):
            raise ConflictError(f"experiment {row.name!r} has ended; there is nothing left to cancel")
        row.cancelled_at = row.cancelled_at or now()
        needed = repository.needed_elsewhere(session, row.id)
        # What waits goes before what it waits for, or it would fail for its pretraining's sake.
        for job in reversed(jobs):
            if job.status not in FINAL_STATUSES and job.id not in needed:
                jobs_repository.request(session, job.id, "cancel")
    return get_summary(context, experiment_id)


def retry(context: Context, experiment_id: str) -> ExperimentRead:
    """Queues all failed and cancelled jobs again; raises ConflictError where there are none."""
    with context.database.write() as session:
        row = find(session, experiment_id)
        jobs = repository.jobs_of(session, row.id)
        ended = [job for job in jobs if job.status in (JobStatus.FAILED, JobStatus.CANCELLED)]
        if not ended and row.cancelled_at is None:
            raise ConflictError(f"experiment {row.name!r} has no failed or cancelled job; there is nothing to retry")
        row.cancelled_at = None
        for job in ended:
            live = jobs_repository.find_live(session, [job.key]).get(job.key)
            if live is None:
                jobs_repository.retry(session, job.id)
            elif live.id != job.id:
                repository.replace_job(session, row.id, job.id, live.id)
        keep_running(session, jobs)
    queue.wake(context.settings, context.settings.hardware)
    return get_summary(context, experiment_id)


def find(session: Session, experiment_id: str) -> ExperimentRow:
    """Returns the experiment of that id; raises NotFoundError."""
    row = repository.find(session, experiment_id)
    if row is None:
        raise NotFoundError(f"no experiment {experiment_id[:100]!r}; the list of experiments has all ids")
    return row


def status_of(row: ExperimentRow, tallies: Iterable[Tally]) -> ExperimentStatus:
    """Returns an experiment's state, as its jobs' states have it."""
    counts = {tally.status: tally for tally in tallies}
    if counts.keys() <= {JobStatus.SUCCEEDED}:
        return "succeeded"
    if row.cancelled_at is not None:
        return "cancelled"
    if counts.keys() <= FINAL_STATUSES:
        return "failed" if JobStatus.FAILED in counts else "cancelled"
    started = (tally.last_started_at for tally in counts.values())
    if JobStatus.RUNNING in counts or any(time is not None and time >= row.created_at for time in started):
        return "running"
    return "queued"


def _read(row: ExperimentRow, tallies: list[Tally]) -> ExperimentRead:
    ended = all(tally.status in FINAL_STATUSES for tally in tallies)
    finished = [tally.last_finished_at for tally in tallies if tally.last_finished_at is not None]
    experiment = Experiment.model_validate(row.spec)
    return ExperimentRead(
        id=row.id,
        name=row.name,
        dataset=row.dataset,
        status=status_of(row, tallies),
        content_hash=row.content_hash,
        arms=list(experiment.arms),
        seeds=list(experiment.seeds),
        jobs={tally.status: tally.jobs for tally in tallies},
        created_at=row.created_at,
        finished_at=max([row.created_at, *finished]) if ended else None,
    )


def _create_once(context: Context, plan: Plan, *, idempotency_key: str | None, body_hash: str) -> str:
    """Returns the id of the new experiment, or of the one an equal request made in the meantime."""
    for _ in range(ATTEMPTS):
        with suppress(IntegrityError), context.database.write() as session:
            earlier = _answered(session, idempotency_key, body_hash)
            if earlier is not None:
                return earlier
            experiment = _create(session, plan, hardware=context.settings.hardware)
            if idempotency_key is not None:
                repository.remember_answer(
                    session, key=idempotency_key, body_hash=body_hash, experiment_id=experiment.id
                )
            return experiment.id
    raise UnavailableError("too many experiments with equal jobs were submitted at once; try again in a moment")


def _create(session: Session, plan: Plan, *, hardware: str) -> ExperimentRow:
    check_datasets(session, plan)
    row = ExperimentRow(
        id=uuid4().hex,
        name=plan.experiment.name,
        dataset=plan.experiment.dataset,
        spec=plan.experiment.model_dump(mode="json"),
        yaml=plan.yaml,
        content_hash=content_hash(plan.experiment),
        created_at=now(),
    )
    repository.add(session, row)
    queue_jobs(session, row.id, plan, hardware=hardware)
    return row


def _answered(session: Session, key: str | None, body_hash: str) -> str | None:
    """Returns the experiment an earlier request with this Idempotency-Key made."""
    earlier = None if key is None else repository.find_answer(session, key)
    if earlier is None:
        return None
    if earlier.body_hash != body_hash:
        raise InvalidError(
            f"Idempotency-Key {key!r} came with another experiment before: a new experiment needs a new key"
        )
    return earlier.experiment_id


def _decode(cursor: str) -> tuple[datetime, str]:
    time, experiment_id = decode_cursor(cursor, LIST_NAME, str, str)
    try:
        return datetime.fromisoformat(time), experiment_id
    except ValueError as error:
        raise InvalidError("cursor: not a cursor of this list; leave it out to begin at the first page") from error
