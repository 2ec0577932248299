"""Jobs: list, look at, ask to stop or to go on."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from backend.context import Context
from backend.cursor import decode_cursor, encode_cursor
from backend.datasets.schemas import Page
from backend.errors import InvalidError, NotFoundError
from backend.jobs import events, queue, repository
from backend.jobs.schemas import JobDetail, JobRead, JobStatus, JobUse, LogLine, LogRead, MetricPoint, MetricsRead
from backend.jobs.tables import WARNED, JobEventRow, JobRow

LIST_NAME = "jobs"
Change = Callable[[Session, str], JobRow]


def list_jobs(
    context: Context,
    *,
    status: Collection[JobStatus],
    kind: str | None,
    experiment: str | None,
    cursor: str | None,
    limit: int,
) -> Page[JobRead]:
    """Returns a page of jobs, newest first."""
    after = None if cursor is None else _decode(cursor)
    with context.database.read() as session:
        rows = repository.page(session, status=status, kind=kind, experiment=experiment, after=after, limit=limit + 1)
        total = repository.count(session, status=status, kind=kind, experiment=experiment)
        items = read_jobs(session, rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(
        items=items,
        next_cursor=None if last is None else encode_cursor(LIST_NAME, last.created_at.isoformat(), last.id),
        total=total,
    )


def get(context: Context, job_id: str) -> JobDetail:
    """Returns a job with its configuration, facts and results."""
    with context.database.read() as session:
        row = find(session, job_id)
        (job,) = read_jobs(session, [row])
    facts = {key: value for key, value in row.facts.items() if key != WARNED}
    return JobDetail.model_validate(
        job.model_dump() | {"config": row.config, "facts": facts, "results": row.results, "last_seq": row.last_seq}
    )


def change(context: Context, job_id: str, asked: Change) -> JobRead:
    """Returns a job after a change of its state that the repository may refuse with a ConflictError."""
    with context.database.write() as session:
        find(session, job_id)
        row = asked(session, job_id)
        (job,) = read_jobs(session, [row])
    if row.status == JobStatus.QUEUED:
        queue.wake(context.settings, row.hardware)
    return job


def read_metrics(
    context: Context, job_id: str, *, after: int, keys: Collection[str], max_points: int | None
) -> MetricsRead:
    """Returns a job's metrics behind a sequence number, each key thinned to `max_points`."""
    with context.database.read() as session:
        last_seq = find(session, job_id).last_seq
        rows = events.metrics(session, job_id, after=after, keys=keys, max_points=max_points)
    points = [MetricPoint(seq=seq, step=step, key=key, value=value) for seq, step, key, value in rows]
    return MetricsRead(points=points, last_seq=max([last_seq, *(point.seq for point in points)]))


def read_logs(context: Context, job_id: str, *, after: int, limit: int) -> LogRead:
    """Returns a job's log lines behind a sequence number; `last_seq` is where to go on."""
    with context.database.read() as session:
        last_seq = find(session, job_id).last_seq
        rows = events.logs(session, job_id, after=after, limit=limit)
    lines = [log_line(row) for row in rows]
    whole = len(lines) < limit
    return LogRead(lines=lines, last_seq=max([last_seq, *(line.seq for line in lines)]) if whole else lines[-1].seq)


def log_line(row: JobEventRow) -> LogLine:
    """Returns a log line as the API tells it."""
    return LogLine.model_validate(
        {"seq": row.seq, "time": row.created_at, "stream": row.stream, "text": row.text or ""}
    )


def find(session: Session, job_id: str) -> JobRow:
    """Returns the job of that id; raises NotFoundError."""
    row = repository.find(session, job_id)
    if row is None:
        raise NotFoundError(f"no job {job_id[:100]!r}; the list of jobs has all ids")
    return row


def read_jobs(session: Session, rows: Sequence[JobRow]) -> list[JobRead]:
    """Returns jobs as lists show them, with who needs each."""
    uses: dict[str, list[JobUse]] = {row.id: [] for row in rows}
    for job_id, experiment, name, arm, seed in repository.uses_of(session, list(uses)):
        uses[job_id].append(JobUse(experiment=experiment, experiment_name=name, arm=arm, seed=seed))
    return [_read(row, uses[row.id]) for row in rows]


def _read(row: JobRow, uses: list[JobUse]) -> JobRead:
    return JobRead.model_validate(
        {
            "id": row.id,
            "key": row.key,
            "kind": row.kind,
            "status": row.status,
            "requested": row.requested,
            "uses": uses,
            "dataset": row.dataset,
            "seed": row.config.get("seed"),
            "depends_on": row.depends_on,
            "attempt": row.attempt,
            "step": row.step,
            "total_steps": row.total_steps,
            "seconds_left": row.seconds_left,
            "worker": row.worker,
            "error": row.error,
            "latest": row.latest,
            "warnings": row.facts.get(WARNED, ()),
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
        }
    )


def _decode(cursor: str) -> tuple[datetime, str]:
    time, job_id = decode_cursor(cursor, LIST_NAME, str, str)
    try:
        return datetime.fromisoformat(time), job_id
    except ValueError as error:
        raise InvalidError("cursor: not a cursor of this list; leave it out to begin at the first page") from error
