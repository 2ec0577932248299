"""All SQL about connected workers: each says every few seconds that it is there."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from backend.jobs.leases import clock
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow, WorkerRow

HEARTBEAT_SECONDS = 5.0
SILENT_SECONDS = 4 * HEARTBEAT_SECONDS
"""After so long without a heartbeat a worker counts as gone."""


def note_seen(session: Session, *, name: str, hardware: str, slots: int, facts: Mapping[str, Any]) -> None:
    """Notes that a worker is there; forgets those long gone."""
    time = clock(session)
    session.execute(delete(WorkerRow).where(WorkerRow.seen_at < time - timedelta(seconds=100 * SILENT_SECONDS)))
    seen = session.scalar(
        update(WorkerRow)
        .where(WorkerRow.name == name)
        .values(hardware=hardware, slots=slots, facts=dict(facts), seen_at=time)
        .returning(WorkerRow.name)
    )
    if seen is None:
        session.add(
            WorkerRow(name=name, hardware=hardware, slots=slots, facts=dict(facts), started_at=time, seen_at=time)
        )


def note_gone(session: Session, name: str) -> None:
    """Notes that a worker has stopped."""
    session.execute(delete(WorkerRow).where(WorkerRow.name == name))


def connected(session: Session) -> Sequence[WorkerRow]:
    """Returns the workers that were seen lately, by name."""
    since = clock(session) - timedelta(seconds=SILENT_SECONDS)
    return session.scalars(select(WorkerRow).where(WorkerRow.seen_at >= since).order_by(WorkerRow.name)).all()


def running_per_worker(session: Session) -> dict[str, int]:
    """Returns how many jobs each worker runs."""
    query = select(JobRow.worker, func.count()).where(JobRow.status == JobStatus.RUNNING).group_by(JobRow.worker)
    return {worker: number for worker, number in session.execute(query) if worker is not None}


def known_slots(session: Session) -> int | None:
    """Returns how many jobs run at once on all connected workers; None while no worker is known."""
    return sum(row.slots for row in connected(session)) or None
