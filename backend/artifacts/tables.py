from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.database import Table, now


class ArtifactRow(Table):
    """A file a run wrote; it counts from the moment a row written under a valid fencing token names it."""

    __tablename__ = "artifacts"
    __table_args__ = (Index("ix_artifacts_job_kind_step", "job_id", "kind", "step"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    kind: Mapped[str]
    """checkpoint, weights, prediction, uncertainty, results or embedding_map."""
    step: Mapped[int]
    path: Mapped[str] = mapped_column(unique=True)
    """Below the artifacts folder: `{job}/{attempt}/…`."""
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
