from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database import Table, now

WARNED = "warned"
"""Key, in facts and results of a job, of what its run warned of: list of {step, kind, sentence}."""


class JobRow(Table):
    """One unit of work. The row is the truth; the queue's message only says that there is something to claim."""

    __tablename__ = "jobs"
    __table_args__ = (
        # Equal work is one job as long as it can still succeed; a failed or cancelled one may be asked for anew.
        Index(
            "uq_jobs_live_key",
            "key",
            unique=True,
            sqlite_where=text("status NOT IN ('failed', 'cancelled')"),
            postgresql_where=text("status NOT IN ('failed', 'cancelled')"),
        ),
        Index("ix_jobs_claim", "status", "hardware", "priority", "position"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    dataset: Mapped[str] = mapped_column(ForeignKey("datasets.name"), index=True)
    config: Mapped[dict[str, Any]]
    status: Mapped[str]
    requested: Mapped[str | None]
    hardware: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    """Greater goes first."""
    position: Mapped[int] = mapped_column(default=0)
    """Among equals, smaller goes first: order within the experiment, then age."""
    depends_on: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"), index=True)

    attempt: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    """Fencing token: raised by every claim; a writer with an older one is refused."""
    failures: Mapped[int] = mapped_column(default=0)
    """Attempts in a row that ended without a new checkpoint."""
    worker: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]

    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int | None]
    seconds_left: Mapped[float | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    latest: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Newest value of each metric key."""
    results: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    last_seq: Mapped[int] = mapped_column(default=0)
    """Sequence number last given to an event of this job."""

    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEventRow(Table):
    """A metric, log line or state change; `seq` numbers a job's events without gaps."""

    __tablename__ = "job_events"
    __table_args__ = (UniqueConstraint("job_id", "step", "metric"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """metric, log or state."""
    step: Mapped[int | None]
    metric: Mapped[str | None]
    """Key of a metric; null for logs and states, which the unique constraint then leaves alone."""
    value: Mapped[float | None]
    text: Mapped[str | None] = mapped_column(Text)
    """Log line, or the new state."""
    stream: Mapped[str | None]
    """Of a log line: stdout, stderr or pairlab."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class WorkerRow(Table):
    """A worker that is connected: it writes the time it was last seen every few seconds, and leaves when it stops."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    hardware: Mapped[str]
    slots: Mapped[int]
    """Jobs it runs at once."""
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Cores, memory, devices, versions."""
    started_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
