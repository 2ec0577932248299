"""All SQL about what a job tells: metrics, log lines and states, numbered without gaps."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Float, and_, cast, func, insert, or_, select
from sqlalchemy.orm import Session

from backend.jobs.leases import Claim, hold
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobEventRow, JobRow

EVENTS_AT_ONCE = 500


class Point(NamedTuple):
    """One metric at one step, before it has a number."""

    step: int
    key: str
    value: float


class Line(NamedTuple):
    """One log line, before it has a number."""

    stream: str
    text: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Tail:
    """What a job told since a sequence number, and where it stands, read at once."""

    status: JobStatus
    last_seq: int
    events: Sequence[JobEventRow]


def record(session: Session, claimed: Claim, *, points: Sequence[Point] = (), lines: Sequence[Line] = ()) -> int:
    """Returns how many events were new; a metric told before for its step keeps its number and value.

    Raises:
        StaleFenceError: the job is no longer this worker's.
    """
    held = hold(session, claimed)
    new = _not_told(session, claimed.job_id, points)
    metrics = [{"kind": "metric", "step": point.step, "metric": point.key, "value": point.value} for point in new]
    told = [{"kind": "log", "stream": line.stream, "text": line.text, "created_at": line.time} for line in lines]
    after = _append(session, claimed.job_id, after=held.last_seq, rows=metrics)
    after = _append(session, claimed.job_id, after=after, rows=told)
    told_now = after - held.last_seq
    if told_now:
        held.latest = {**held.latest, **{point.key: point.value for point in new}}
        held.last_seq = after
        session.flush()
    return told_now


def tail(session: Session, job_id: str, *, after: int, limit: int = EVENTS_AT_ONCE) -> Tail | None:
    """Returns up to `limit` events behind a sequence number with the job's state, in one query; None without job."""
    query = (
        select(JobRow.status, JobRow.last_seq, JobEventRow)
        .outerjoin(JobEventRow, and_(JobEventRow.job_id == JobRow.id, JobEventRow.seq > after))
        .where(JobRow.id == job_id)
        .order_by(JobEventRow.seq)
        .limit(limit)
    )
    rows = session.execute(query).all()
    if not rows:
        return None
    status, last_seq, _ = rows[0]
    return Tail(JobStatus(status), last_seq, [event for _, _, event in rows if event is not None])


def logs(session: Session, job_id: str, *, after: int, limit: int) -> Sequence[JobEventRow]:
    """Returns up to `limit` log lines behind a sequence number, oldest first."""
    query = select(JobEventRow).where(JobEventRow.job_id == job_id, JobEventRow.seq > after, JobEventRow.kind == "log")
    return session.scalars(query.order_by(JobEventRow.seq).limit(limit)).all()


def metrics(
    session: Session, job_id: str, *, after: int, keys: Collection[str], max_points: int | None
) -> Sequence[tuple[int, int, str, float]]:
    """Returns (seq, step, key, value) behind a sequence number, ordered by seq.

    Args:
        session: a reading one.
        job_id: whose.
        after: points with a greater sequence number.
        keys: of these metrics; empty takes all.
        max_points: thins each key evenly to so many, first and last kept; None keeps all.
    """
    place = func.row_number().over(partition_by=JobEventRow.metric, order_by=JobEventRow.seq)
    total = func.count().over(partition_by=JobEventRow.metric)
    filters = [JobEventRow.job_id == job_id, JobEventRow.seq > after, JobEventRow.kind == "metric"]
    if keys:
        filters.append(JobEventRow.metric.in_(keys))
    columns = (JobEventRow.seq, JobEventRow.step, JobEventRow.metric, JobEventRow.value)
    points = select(*columns, place.label("place"), total.label("total")).where(*filters).subquery()
    query = select(points.c.seq, points.c.step, points.c.metric, points.c.value).order_by(points.c.seq)
    if max_points is not None:
        # Point i of n is kept where floor(i·(m−1)/(n−1)) rises: m points, the first and the last among them.
        gaps = cast(func.nullif(points.c.total - 1, 0), Float)
        here = (points.c.place - 1) * (max_points - 1) / gaps
        before = (points.c.place - 2) * (max_points - 1) / gaps
        query = query.where(
            or_(points.c.place == 1, points.c.total <= max_points, func.floor(here) > func.floor(before))
        )
    return session.execute(query).all()


def _not_told(session: Session, job_id: str, points: Sequence[Point]) -> list[Point]:
    """Returns the points whose (step, key) has no number yet, each once, in order."""
    if not points:
        return []
    steps = {point.step for point in points}
    query = select(JobEventRow.step, JobEventRow.metric).where(
        JobEventRow.job_id == job_id, JobEventRow.step.in_(steps)
    )
    told = set(session.execute(query).all())
    return list({point[:2]: point for point in points if point[:2] not in told}.values())


def _append(session: Session, job_id: str, *, after: int, rows: Sequence[dict[str, Any]]) -> int:
    """Returns the number of the last event written, or `after` where there is none."""
    if rows:
        session.execute(
            insert(JobEventRow), [{"job_id": job_id, "seq": after + 1 + at, **row} for at, row in enumerate(rows)]
        )
    return after + len(rows)
