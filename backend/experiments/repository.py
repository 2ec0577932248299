"""All SQL about experiments and which jobs they need."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session

from backend.experiments.tables import ExperimentJobRow, ExperimentRow, IdempotencyRow
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow

MEASURED_JOBS = 200
"""Newest finished jobs of a kind that speeds are measured from."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Jobs of one experiment in one state."""

    status: JobStatus
    jobs: int
    last_started_at: datetime | None
    last_finished_at: datetime | None


def find(session: Session, experiment_id: str) -> ExperimentRow | None:
    """Returns the experiment of that id."""
    return session.get(ExperimentRow, experiment_id)


def page(session: Session, *, after: tuple[datetime, str] | None, limit: int) -> Sequence[ExperimentRow]:
    """Returns experiments, newest first, behind the one made at `after`."""
    query = select(ExperimentRow).order_by(ExperimentRow.created_at.desc(), ExperimentRow.id.desc()).limit(limit)
    if after is not None:
        time, last = after
        older = ExperimentRow.created_at < time
        query = query.where(or_(older, and_(ExperimentRow.created_at == time, ExperimentRow.id < last)))
    return session.scalars(query).all()


def count(session: Session) -> int:
    """Returns how many experiments there are."""
    return session.scalar(select(func.count()).select_from(ExperimentRow)) or 0


def add(session: Session, row: ExperimentRow) -> None:
    """Writes a new experiment."""
    session.add(row)
    session.flush()


def need(
    session: Session, experiment_id: str, job_id: str, *, uses: Collection[tuple[str, int]], position: int
) -> None:
    """Notes that arms and seeds of an experiment need a job."""
    session.add_all(
        ExperimentJobRow(experiment_id=experiment_id, job_id=job_id, arm=arm, seed=seed, position=position)
        for arm, seed in uses
    )


def replace_job(session: Session, experiment_id: str, old_job_id: str, new_job_id: str) -> None:
    """Makes an experiment need another job of the same key instead."""
    of_old = (ExperimentJobRow.experiment_id == experiment_id, ExperimentJobRow.job_id == old_job_id)
    for row in session.scalars(select(ExperimentJobRow).where(*of_old)).all():
        need(session, experiment_id, new_job_id, uses=[(row.arm, row.seed)], position=row.position)
    session.execute(delete(ExperimentJobRow).where(*of_old))


def jobs_of(session: Session, experiment_id: str) -> Sequence[JobRow]:
    """Returns the jobs an experiment needs, each once, in the order it wants them."""
    positions = (
        select(ExperimentJobRow.job_id, func.min(ExperimentJobRow.position).label("position"))
        .where(ExperimentJobRow.experiment_id == experiment_id)
        .group_by(ExperimentJobRow.job_id)
        .subquery()
    )
    query = select(JobRow).join(positions, positions.c.job_id == JobRow.id).order_by(positions.c.position)
    return session.scalars(query).all()


def uses_of(session: Session, experiment_id: str) -> Sequence[ExperimentJobRow]:
    """Returns which arm and seed needs which job."""
    query = select(ExperimentJobRow).where(ExperimentJobRow.experiment_id == experiment_id)
    return session.scalars(query.order_by(ExperimentJobRow.position)).all()


def tallies(session: Session, experiment_ids: Collection[str]) -> dict[str, list[Tally]]:
    """Returns, per experiment, its jobs by state; a job that several arms share counts once."""
    needed = (
        select(ExperimentJobRow.experiment_id, ExperimentJobRow.job_id)
        .where(ExperimentJobRow.experiment_id.in_(experiment_ids))
        .distinct()
        .subquery()
    )
    query = (
        select(
            needed.c.experiment_id,
            JobRow.status,
            func.count(),
            func.max(JobRow.started_at),
            func.max(JobRow.finished_at),
        )
        .join(JobRow, JobRow.id == needed.c.job_id)
        .group_by(needed.c.experiment_id, JobRow.status)
    )
    found: dict[str, list[Tally]] = {experiment_id: [] for experiment_id in experiment_ids}
    for experiment_id, status, jobs, started_at, finished_at in session.execute(query):
        found[experiment_id].append(Tally(JobStatus(status), jobs, started_at, finished_at))
    return found


def needed_elsewhere(session: Session, experiment_id: str) -> set[str]:
    """Returns ids of an experiment's jobs that another experiment, not cancelled, needs too."""
    own = select(ExperimentJobRow.job_id).where(ExperimentJobRow.experiment_id == experiment_id)
    query = (
        select(ExperimentJobRow.job_id)
        .join(ExperimentRow, ExperimentRow.id == ExperimentJobRow.experiment_id)
        .where(ExperimentJobRow.job_id.in_(own))
        .where(ExperimentRow.id != experiment_id, ExperimentRow.cancelled_at.is_(None))
    )
    return set(session.scalars(query))


def find_answer(session: Session, key: str) -> IdempotencyRow | None:
    """Returns what a request with this Idempotency-Key was answered."""
    return session.get(IdempotencyRow, key)


def remember_answer(session: Session, *, key: str, body_hash: str, experiment_id: str) -> None:
    """Keeps what a request with this Idempotency-Key is answered."""
    session.add(IdempotencyRow(key=key, body_hash=body_hash, experiment_id=experiment_id))
    session.flush()


def newest_succeeded(session: Session, kind: str) -> Sequence[JobRow]:
    """Returns the newest jobs of a kind that succeeded."""
    query = select(JobRow).where(JobRow.kind == kind, JobRow.status == JobStatus.SUCCEEDED)
    return session.scalars(query.order_by(JobRow.created_at.desc()).limit(MEASURED_JOBS)).all()
