from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database import Table, now


class DatasetRow(Table):
    """A registered dataset; its pixels stay where they are."""

    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(primary_key=True)
    config: Mapped[dict[str, Any]]
    fingerprint: Mapped[str]
    summary: Mapped[dict[str, Any]]
    """What was found when it was registered, see `summary.Summary`."""
    marks_version: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Raised with every change of a mark, so that what was read of them is known to be old."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class SceneMarkRow(Table):
    """What the user noted on a scene; indexing anew leaves it alone."""

    __tablename__ = "scene_marks"
    __table_args__ = (Index("ix_scene_marks_dataset_flagged", "dataset", "flagged"),)

    dataset: Mapped[str] = mapped_column(ForeignKey("datasets.name"), primary_key=True)
    scene: Mapped[str] = mapped_column(primary_key=True)
    flagged: Mapped[bool]
    note: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(default=now)
