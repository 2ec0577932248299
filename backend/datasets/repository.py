"""All SQL about datasets."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.datasets.tables import DatasetRow
from backend.experiments.tables import ExperimentRow
from backend.jobs.tables import JobRow


def find(session: Session, name: str) -> DatasetRow | None:
    """Returns the dataset of that name."""
    return session.get(DatasetRow, name)


def names(session: Session) -> Sequence[str]:
    """Returns the names of all datasets."""
    return session.scalars(select(DatasetRow.name).order_by(DatasetRow.name)).all()


def page(session: Session, *, after: str | None, limit: int) -> Sequence[DatasetRow]:
    """Returns datasets in the order of their names, behind `after`."""
    query = select(DatasetRow).order_by(DatasetRow.name).limit(limit)
    return session.scalars(query if after is None else query.where(DatasetRow.name > after)).all()


def count(session: Session) -> int:
    """Returns how many datasets there are."""
    return session.scalar(select(func.count()).select_from(DatasetRow)) or 0


def add(session: Session, row: DatasetRow) -> None:
    """Writes a new dataset."""
    session.add(row)
    session.flush()


def delete(session: Session, row: DatasetRow) -> None:
    """Forgets a dataset."""
    session.delete(row)
    session.flush()


def experiments_using(session: Session, name: str, *, limit: int) -> Sequence[str]:
    """Returns the names of the newest experiments on a dataset."""
    query = select(ExperimentRow.name).where(ExperimentRow.dataset == name).order_by(ExperimentRow.created_at.desc())
    return session.scalars(query.limit(limit)).all()


def jobs_using(session: Session, name: str, *, limit: int) -> Sequence[str]:
    """Returns the ids of the newest jobs on a dataset."""
    query = select(JobRow.id).where(JobRow.dataset == name).order_by(JobRow.created_at.desc())
    return session.scalars(query.limit(limit)).all()
