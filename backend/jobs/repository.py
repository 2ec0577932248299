"""All SQL about jobs as users see them: found, created, listed, and asked to stop or to go on."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from backend.database import now
from backend.errors import ConflictError
from backend.experiments.tables import ExperimentJobRow, ExperimentRow
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobEventRow, JobRow
from pairlab.experiment.jobs import AnyJob

Wish = Literal["cancel", "pause"]
ENDED_WITHOUT_RESULT = (JobStatus.FAILED, JobStatus.CANCELLED)
_RETRY_BOTH = " Retry this job to run both again."
_RETRY_ALL = " Retry this job to run all of them again."
WAITING = (JobStatus.BLOCKED, JobStatus.QUEUED, JobStatus.PAUSED, JobStatus.LOST)


def find(session: Session, job_id: str) -> JobRow | None:
    """Returns the job of that id."""
    return session.get(JobRow, job_id)


def find_live(session: Session, keys: Collection[str]) -> dict[str, JobRow]:
    """Returns, by key, the jobs that have or can still reach a result (neither failed nor cancelled)."""
    query = select(JobRow).where(JobRow.key.in_(keys), JobRow.status.not_in(ENDED_WITHOUT_RESULT))
    return {row.key: row for row in session.scalars(query)}


def find_succeeded(session: Session, key: str, *, kind: str) -> JobRow | None:
    """Returns the job of a kind that has succeeded under a key."""
    query = select(JobRow).where(JobRow.key == key, JobRow.kind == kind, JobRow.status == JobStatus.SUCCEEDED)
    return session.scalars(query).first()


def create(
    session: Session,
    *,
    key: str,
    config: AnyJob,
    depends_on: JobRow | None,
    hardware: str,
    position: int,
) -> JobRow:
    """Returns a new job: queued, or blocked while the job it depends on has not succeeded.

    Args:
        session: a writing one.
        key: under which equal jobs are one.
        config: what it is to do.
        depends_on: the pretraining it starts from, or the change score it filters by.
        hardware: queue it goes to.
        position: among equals, the smaller goes first.
    """
    blocked = depends_on is not None and depends_on.status != JobStatus.SUCCEEDED
    row = JobRow(
        id=uuid4().hex,
        key=key,
        kind=config.kind,
        dataset=config.dataset.name,
        config=config.model_dump(mode="json"),
        status=JobStatus.BLOCKED if blocked else JobStatus.QUEUED,
        hardware=hardware,
        position=position,
        depends_on=None if depends_on is None else depends_on.id,
        last_seq=1,
    )
    session.add(row)
    session.flush()
    session.add(JobEventRow(job_id=row.id, seq=1, kind="state", text=row.status))
    session.flush()
    return row


def page(
    session: Session,
    *,
    status: Collection[JobStatus],
    kind: str | None,
    experiment: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[JobRow]:
    """Returns jobs, newest first, behind the one made at `after`; filters that are empty let all pass."""
    query = select(JobRow).where(*_filters(status, kind, experiment))
    if after is not None:
        time, last = after
        query = query.where(or_(JobRow.created_at < time, and_(JobRow.created_at == time, JobRow.id < last)))
    return session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)).all()


def count(session: Session, *, status: Collection[JobStatus], kind: str | None, experiment: str | None) -> int:
    """Returns how many jobs pass the filters."""
    return session.scalar(select(func.count()).select_from(JobRow).where(*_filters(status, kind, experiment))) or 0


def uses_of(session: Session, job_ids: Collection[str]) -> Sequence[tuple[str, str, str, str, int]]:
    """Returns (job, experiment, its name, arm, seed) of everyone who needs one of the jobs."""
    query = (
        select(
            ExperimentJobRow.job_id,
            ExperimentRow.id,
            ExperimentRow.name,
            ExperimentJobRow.arm,
            ExperimentJobRow.seed,
        )
        .join(ExperimentRow, ExperimentRow.id == ExperimentJobRow.experiment_id)
        .where(ExperimentJobRow.job_id.in_(job_ids))
        .order_by(ExperimentRow.created_at, ExperimentJobRow.position, ExperimentJobRow.arm)
    )
    return session.execute(query).all()


def request(session: Session, job_id: str, wish: Wish) -> JobRow:
    """Returns the job, which stops at once if it waits, or at the end of its step if it runs.

    Raises:
        ConflictError: its state does not allow that.
    """
    row = _load(session, job_id)
    if row.status == JobStatus.RUNNING:
        if row.requested == "cancel" and wish == "pause":
            raise ConflictError(f"job {job_id} is being cancelled and cannot be paused")
        return _set(session, row, requested=wish)
    if row.status not in WAITING or (wish == "pause" and row.status == JobStatus.PAUSED):
        asked = "cancelled" if wish == "cancel" else "paused"
        raise ConflictError(f"job {job_id} is {row.status} and cannot be {asked}")
    if wish == "pause":
        return change_status(session, row, JobStatus.PAUSED)
    cancelled = change_status(session, row, JobStatus.CANCELLED, finished_at=now(), requested=None)
    fail_dependants(session, cancelled)
    return cancelled


def withdraw_request(session: Session, job_id: str) -> JobRow:
    """Returns the job, from which nothing is asked any more."""
    row = _load(session, job_id)
    return row if row.requested is None else _set(session, row, requested=None)


def resume(session: Session, job_id: str) -> JobRow:
    """Returns the paused job, queued again; a wish to pause that is not yet met is taken back.

    Raises:
        ConflictError: the job is not paused.
    """
    row = _load(session, job_id)
    if row.status == JobStatus.RUNNING and row.requested == "pause":
        return _set(session, row, requested=None)
    if row.status != JobStatus.PAUSED:
        raise ConflictError(f"job {job_id} is {row.status}, not paused; there is nothing to resume")
    return _queue(session, row)


def retry(session: Session, job_id: str) -> JobRow:
    """Returns the failed or cancelled job, waiting again; what it needs and failed too is retried first.

    Raises:
        ConflictError: the job is in another state, or an equal one is under way.
    """
    row = _load(session, job_id)
    if row.status not in ENDED_WITHOUT_RESULT:
        raise ConflictError(f"job {job_id} is {row.status}; only failed and cancelled jobs can be retried")
    if live := find_live(session, [row.key]):
        equal = live[row.key]
        raise ConflictError(f"an equal job is {equal.status} already: {equal.id}")
    if row.depends_on is not None:
        needed = _load(session, row.depends_on)
        if needed.status in ENDED_WITHOUT_RESULT:
            needed = find_live(session, [needed.key]).get(needed.key) or retry(session, needed.id)
        row = _set(session, row, depends_on=needed.id)
    return _queue(session, row, finished_at=None, error=None, failures=0, requested=None)


def repeat(session: Session, job_id: str) -> JobRow:
    """Returns the job that has succeeded, queued again because what it made is gone; nobody may wait for it.

    Raises:
        ConflictError: the job has not succeeded.
    """
    row = _load(session, job_id)
    if row.status != JobStatus.SUCCEEDED:
        raise ConflictError(f"job {job_id} is {row.status}; only what has succeeded can be repeated")
    return change_status(session, row, JobStatus.QUEUED, finished_at=None, failures=0, step=0, results={})


def release_dependants(session: Session, succeeded: JobRow) -> int:
    """Returns how many jobs waited for this one alone and are queued now."""
    waiting = _dependants(session, succeeded.id)
    for row in waiting:
        change_status(session, row, JobStatus.QUEUED)
    return len(waiting)


def fail_dependants(session: Session, ended: JobRow) -> int:
    """Returns how many jobs waited for this one, which has no result, and failed for that reason.

    What waited for those fails as well.
    """
    waiting = _dependants(session, ended.id)
    needed = "the change score it filters by" if ended.kind == "score" else "the pretraining it starts from"
    reason = (ended.error or "").removesuffix(_RETRY_ALL).removesuffix(_RETRY_BOTH).removesuffix(".")
    why = "was cancelled" if ended.status == JobStatus.CANCELLED else f"failed: {reason}"
    ending = _RETRY_BOTH if ended.depends_on is None else _RETRY_ALL
    failed = 0
    for row in waiting:
        sentence = f"{needed} (job {ended.id}) {why}.{ending}"
        following = change_status(session, row, JobStatus.FAILED, finished_at=now(), error=sentence)
        failed += 1 + fail_dependants(session, following)
    return failed


def change_status(session: Session, row: JobRow, status: JobStatus, **values: Any) -> JobRow:  # noqa: ANN401
    """Returns the job in its new state, which is one event of it.

    Args:
        session: a writing one.
        row: as it was read; the change happens only if its state and fence are still those.
        status: the new state.
        values: columns that change with it.

    Raises:
        ConflictError: the job changed in the meantime.
    """
    changed = session.execute(
        update(JobRow)
        .where(JobRow.id == row.id, JobRow.status == row.status, JobRow.fence == row.fence)
        .values(status=status, last_seq=JobRow.last_seq + 1, **values)
        .returning(JobRow.last_seq)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if changed is None:
        raise ConflictError(f"job {row.id} is no longer {row.status}; look at it again")
    session.add(JobEventRow(job_id=row.id, seq=changed, kind="state", text=status))
    session.flush()
    return _load(session, row.id)


def _queue(session: Session, row: JobRow, **values: Any) -> JobRow:  # noqa: ANN401
    needed = None if row.depends_on is None else _load(session, row.depends_on)
    ready = needed is None or needed.status == JobStatus.SUCCEEDED
    return change_status(session, row, JobStatus.QUEUED if ready else JobStatus.BLOCKED, **values)


def _set(session: Session, row: JobRow, **values: Any) -> JobRow:  # noqa: ANN401
    session.execute(
        update(JobRow).where(JobRow.id == row.id).values(**values).execution_options(synchronize_session=False)
    )
    return _load(session, row.id)


def _load(session: Session, job_id: str) -> JobRow:
    """Returns the job as the database has it now, not as this session saw it before."""
    return session.get_one(JobRow, job_id, populate_existing=True, with_for_update=True)


def _dependants(session: Session, job_id: str) -> Sequence[JobRow]:
    query = select(JobRow).where(JobRow.depends_on == job_id, JobRow.status == JobStatus.BLOCKED)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def _filters(status: Collection[JobStatus], kind: str | None, experiment: str | None) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if status:
        filters.append(JobRow.status.in_(status))
    if kind is not None:
        filters.append(JobRow.kind == kind)
    if experiment is not None:
        needed = select(ExperimentJobRow.job_id).where(ExperimentJobRow.experiment_id == experiment)
        filters.append(JobRow.id.in_(needed))
    return filters
