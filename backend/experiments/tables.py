from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database import Table, now


class ExperimentRow(Table):
    """A submitted experiment: the frozen model, and the text it came as."""

    __tablename__ = "experiments"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    dataset: Mapped[str] = mapped_column(ForeignKey("datasets.name"), index=True)
    spec: Mapped[dict[str, Any]]
    yaml: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    cancelled_at: Mapped[datetime | None]
    """Since when the experiment no longer needs its jobs; others may still need those they share."""


class ExperimentJobRow(Table):
    """Which arm and seed of an experiment needs which job."""

    __tablename__ = "experiment_jobs"

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True, index=True)
    arm: Mapped[str] = mapped_column(primary_key=True)
    seed: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int]
    """Order in which the experiment wants its jobs."""


class IdempotencyRow(Table):
    """What a request with an Idempotency-Key was answered."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)
