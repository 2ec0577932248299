"""All SQL about jobs as workers see them: claimed under a lease, kept by a fencing token, ended or lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, exists, func, select, update
from sqlalchemy.orm import Session

from backend.artifacts.tables import ArtifactRow
from backend.database import now
from backend.jobs.repository import change_status, fail_dependants, release_dependants
from backend.jobs.schemas import FINAL_STATUSES, JobStatus
from backend.jobs.tables import JobEventRow, JobRow

_RELEASED: dict[str, Any] = {"lease_expires_at": None, "seconds_left": None}
Ending = Literal["succeeded", "failed"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a job until the lease ends, renewed in time."""

    job_id: str
    fence: int
    attempt: int
    config: dict[str, Any]
    depends_on: str | None


class StaleFenceError(Exception):
    """The job runs no longer under this fencing token: whoever holds it must stop and write nothing more."""

    def __init__(self, claimed: Claim) -> None:
        super().__init__(f"job {claimed.job_id} no longer runs under fencing token {claimed.fence}")


def claim(session: Session, *, hardware: str, worker: str, lease_seconds: float) -> Claim | None:
    """Returns the best queued job of a hardware queue, now running on this worker; None where there is none."""
    query = (
        select(JobRow)
        .where(JobRow.status == JobStatus.QUEUED, JobRow.hardware == hardware)
        .order_by(JobRow.priority.desc(), JobRow.position, JobRow.created_at, JobRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        return None
    time = clock(session)
    row = change_status(
        session,
        row,
        JobStatus.RUNNING,
        worker=worker,
        fence=row.fence + 1,
        attempt=row.attempt + 1,
        lease_expires_at=time + timedelta(seconds=lease_seconds),
        started_at=row.started_at or time,
        error=None,
        seconds_left=None,
    )
    return Claim(row.id, row.fence, row.attempt, row.config, row.depends_on)


def hold(session: Session, claimed: Claim, **values: Any) -> JobRow:  # noqa: ANN401
    """Returns the job, locked for this transaction, with columns changed.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    row = session.scalars(
        update(JobRow)
        .where(*_own(claimed))
        .values(fence=claimed.fence, **values)
        .returning(JobRow)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise StaleFenceError(claimed)
    return row


def renew(session: Session, claimed: Claim, *, lease_seconds: float) -> None:
    """Prolongs the lease.

    Raises:
        StaleFenceError: the job has been given to another, or taken away.
    """
    hold(session, claimed, lease_expires_at=clock(session) + timedelta(seconds=lease_seconds))


def record_started(session: Session, claimed: Claim, *, step: int, total_steps: int, facts: Mapping[str, Any]) -> None:
    """Notes where the run begins and what it found; raises StaleFenceError."""
    hold(session, claimed, step=step, total_steps=total_steps, facts=dict(facts))


def record_progress(session: Session, claimed: Claim, *, step: int, seconds_left: float | None) -> None:
    """Notes how far the run is; raises StaleFenceError."""
    hold(session, claimed, step=step, seconds_left=seconds_left)


def finish(
    session: Session,
    claimed: Claim,
    ending: Ending,
    *,
    results: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> JobRow:
    """Returns the job as it ended; what waited for it is queued or fails with the reason.

    Args:
        session: a writing one.
        claimed: the job, as it was claimed.
        ending: how the run ended.
        results: what it found.
        error: a sentence for the user, where it failed.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    row = hold(session, claimed)
    row = change_status(
        session,
        row,
        JobStatus(ending),
        results=row.results if results is None else dict(results),
        error=error,
        finished_at=now(),
        requested=None,
        **_RELEASED,
    )
    if row.status == JobStatus.SUCCEEDED:
        release_dependants(session, row)
    else:
        fail_dependants(session, row)
    return row


def give_back(session: Session, claimed: Claim) -> JobRow:
    """Returns the job whose run was stopped: cancelled or paused where that was asked for, else queued again.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    return _queue_again(session, hold(session, claimed))


def wish_of(session: Session, claimed: Claim) -> str | None:
    """Returns what the user wishes (cancel, pause or None); raises StaleFenceError. Locks nothing."""
    query = select(JobRow.requested).where(*_own(claimed))
    found = session.execute(query).one_or_none()
    if found is None:
        raise StaleFenceError(claimed)
    wish: str | None = found.requested
    return wish


def lose(session: Session, claimed: Claim, *, reason: str, max_failures: int) -> JobRow:
    """Returns the job whose run died: queued for the next attempt, or failed after too many without a new checkpoint.

    Args:
        session: a writing one.
        claimed: the job, as it was claimed.
        reason: how it died, as part of a sentence.
        max_failures: attempts in a row without a new checkpoint after which it fails.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    return _lose(session, hold(session, claimed), reason=reason, max_failures=max_failures)


def reap_expired(session: Session, *, max_failures: int) -> Sequence[JobRow]:
    """Returns the jobs whose worker has not renewed its lease in time, each queued again or failed."""
    query = (
        select(JobRow)
        .where(JobRow.status == JobStatus.RUNNING, JobRow.lease_expires_at < clock(session))
        .with_for_update(skip_locked=True)
    )
    expired = session.scalars(query).all()
    return [
        _lose(session, row, reason=f"its worker {row.worker} went silent", max_failures=max_failures) for row in expired
    ]


def settle_dependants(session: Session) -> int:
    """Returns how many blocked jobs were queued or failed because what they wait for has ended."""
    return sum(
        release_dependants(session, row) if row.status == JobStatus.SUCCEEDED else fail_dependants(session, row)
        for row in session.scalars(_ended_but_waited_for()).all()
    )


def unsettled(session: Session) -> bool:
    """Whether a job waits for one that has ended."""
    return session.scalars(_ended_but_waited_for().limit(1)).first() is not None


def expired_leases(session: Session) -> bool:
    """Whether a running job's lease has ended."""
    late = select(JobRow.id).where(JobRow.status == JobStatus.RUNNING, JobRow.lease_expires_at < clock(session))
    return session.scalar(select(late.exists())) or False


def claimable(session: Session) -> dict[str, int]:
    """Returns, per hardware queue, how many jobs wait to be claimed."""
    query = select(JobRow.hardware, func.count()).where(JobRow.status == JobStatus.QUEUED).group_by(JobRow.hardware)
    return dict(session.execute(query).all())


def clock(session: Session) -> datetime:
    """Returns the time by the one clock all workers share: the database server's, or this machine's on SQLite."""
    if session.get_bind().dialect.name == "postgresql":
        time: datetime = session.scalars(select(func.clock_timestamp())).one()
        return time
    return now()


def _ended_but_waited_for() -> Select[JobRow]:
    waiting = select(JobRow.depends_on).where(JobRow.status == JobStatus.BLOCKED)
    return select(JobRow).where(JobRow.id.in_(waiting), JobRow.status.in_(FINAL_STATUSES))


def _own(claimed: Claim) -> tuple[ColumnElement[bool], ...]:
    return JobRow.id == claimed.job_id, JobRow.fence == claimed.fence, JobRow.status == JobStatus.RUNNING


def _got_further(session: Session, row: JobRow) -> bool:
    """Returns whether the attempt reached something that the next one goes on from."""
    if row.kind in ("index", "score"):  # each part it tells of is kept, and told once
        started = select(func.max(JobEventRow.seq)).where(
            JobEventRow.job_id == row.id, JobEventRow.kind == "state", JobEventRow.text == JobStatus.RUNNING
        )
        reached = exists().where(
            JobEventRow.job_id == row.id, JobEventRow.kind == "metric", JobEventRow.seq > started.scalar_subquery()
        )
    else:
        reached = exists().where(
            ArtifactRow.job_id == row.id, ArtifactRow.attempt == row.attempt, ArtifactRow.kind == "checkpoint"
        )
    return bool(session.scalar(select(reached)))


def _lose(session: Session, row: JobRow, *, reason: str, max_failures: int) -> JobRow:
    reached = _got_further(session, row)
    row = change_status(session, row, JobStatus.LOST, failures=0 if reached else row.failures + 1)
    if row.requested is not None:
        return _meet_wish(session, row)
    if row.failures < max_failures:
        return _queue_again(session, row)
    times = "once" if row.failures == 1 else f"{row.failures} times in a row"
    sentence = (
        f"The run died {times} without reaching a new checkpoint; the last time {reason}. Look at the end of its log, "
        "then retry the job."
    )
    failed = change_status(session, row, JobStatus.FAILED, error=sentence, finished_at=now(), **_RELEASED)
    fail_dependants(session, failed)
    return failed


def _queue_again(session: Session, row: JobRow) -> JobRow:
    if row.requested is None:
        return change_status(session, row, JobStatus.QUEUED, **_RELEASED)
    return _meet_wish(session, row)


def _meet_wish(session: Session, row: JobRow) -> JobRow:
    if row.requested == "pause":
        return change_status(session, row, JobStatus.PAUSED, requested=None, **_RELEASED)
    cancelled = change_status(session, row, JobStatus.CANCELLED, finished_at=now(), requested=None, **_RELEASED)
    fail_dependants(session, cancelled)
    return cancelled
