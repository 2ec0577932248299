from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from backend.database import Table, now


class DatasetRow(Table):
    """A registered dataset; its pixels stay where they are."""

    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(primary_key=True)
    config: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    summary: Mapped[dict[str, Any]]
    """scenes, splits, events, acquisitions, label_schemes, warnings of `DatasetRead`."""
    created_at: Mapped[datetime] = mapped_column(default=now)
