"""All SQL about datasets and the jobs that index them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, or_, select
from sqlalchemy.orm import Session

from backend.artifacts.tables import ArtifactRow
from backend.datasets.tables import DatasetRow, SceneMarkRow
from backend.experiments.tables import ExperimentJobRow, ExperimentRow
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobEventRow, JobRow

INDEX = "index"
SCORE = "score"
OF_DATASETS = (INDEX, SCORE)
"""Kinds of jobs that look through a dataset as a whole; what they find goes with it."""


@dataclass(frozen=True, slots=True)
class IndexRun:
    """How far the newest job is that looks through a dataset's files."""

    job_id: str
    status: JobStatus
    step: int
    total_steps: int | None
    error: str | None
    results: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Registered:
    """A dataset with its newest index job, if it has one; read at once."""

    row: DatasetRow
    indexed: IndexRun | None


def find(session: Session, name: str) -> DatasetRow | None:
    """Returns the dataset of that name."""
    return session.get(DatasetRow, name)


def find_registered(session: Session, name: str) -> Registered | None:
    """Returns the dataset of that name with its newest index job."""
    found = session.execute(_ONE, {"name": name}).first()
    return None if found is None else _registered(found)


def names(session: Session) -> Sequence[str]:
    """Returns the names of all datasets."""
    return session.scalars(select(DatasetRow.name).order_by(DatasetRow.name)).all()


def fingerprints(session: Session) -> set[str]:
    """Returns the fingerprints of all datasets."""
    return set(session.scalars(select(DatasetRow.fingerprint)))


def page(session: Session, *, after: str | None, limit: int) -> Sequence[Registered]:
    """Returns datasets in the order of their names, behind `after`."""
    chosen = select(DatasetRow.name).order_by(DatasetRow.name).limit(limit)
    if after is not None:
        chosen = chosen.where(DatasetRow.name > after)
    return _newest(session, _with_index_job().where(DatasetRow.name.in_(chosen)))


def all_registered(session: Session) -> Sequence[Registered]:
    """Returns all datasets in the order of their names."""
    return _newest(session, _with_index_job())


def count(session: Session) -> int:
    """Returns how many datasets there are."""
    return session.scalar(select(func.count()).select_from(DatasetRow)) or 0


def add(session: Session, row: DatasetRow) -> None:
    """Writes a new dataset."""
    session.add(row)
    session.flush()


def delete_with_index_jobs(session: Session, row: DatasetRow) -> None:
    """Forgets a dataset, its marks and the jobs that indexed and scored it; one that runs finds its lease gone."""
    of_dataset = (JobRow.dataset == row.name, JobRow.kind.in_(OF_DATASETS))
    jobs = select(JobRow.id).where(*of_dataset)
    for table in (JobEventRow, ArtifactRow):
        session.execute(delete(table).where(table.job_id.in_(jobs)))
    session.execute(delete(JobRow).where(*of_dataset))
    session.execute(delete(SceneMarkRow).where(SceneMarkRow.dataset == row.name))
    session.delete(row)
    session.flush()


def experiments_using(session: Session, name: str, *, limit: int) -> Sequence[str]:
    """Returns the names of the newest experiments on a dataset, or with an arm that is pretrained on it."""
    pretraining = (
        select(ExperimentJobRow.experiment_id)
        .join(JobRow, JobRow.id == ExperimentJobRow.job_id)
        .where(JobRow.dataset == name)
    )
    query = select(ExperimentRow.name).where(or_(ExperimentRow.dataset == name, ExperimentRow.id.in_(pretraining)))
    return session.scalars(query.order_by(ExperimentRow.created_at.desc()).limit(limit)).all()


def jobs_using(session: Session, name: str, *, limit: int) -> Sequence[str]:
    """Returns the ids of the newest jobs on a dataset that train on it; those that index or score it are no users."""
    query = select(JobRow.id).where(JobRow.dataset == name, JobRow.kind.not_in(OF_DATASETS))
    return session.scalars(query.order_by(JobRow.created_at.desc()).limit(limit)).all()


def score_jobs(session: Session, name: str) -> Sequence[JobRow]:
    """Returns the jobs that compute change scores of a dataset, the newest first."""
    query = select(JobRow).where(JobRow.dataset == name, JobRow.kind == SCORE)
    return session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id)).all()


def _with_index_job() -> Select[Any]:
    """Returns datasets by name, each with its index jobs, the newest first."""
    columns = (JobRow.id, JobRow.status, JobRow.step, JobRow.total_steps, JobRow.error, JobRow.results)
    return (
        select(DatasetRow, *columns)
        .outerjoin(JobRow, (JobRow.dataset == DatasetRow.name) & (JobRow.kind == INDEX))
        .order_by(DatasetRow.name, JobRow.created_at.desc(), JobRow.id)
    )


_ONE = _with_index_job().where(DatasetRow.name == bindparam("name")).limit(1)


def _newest(session: Session, query: Select[Any]) -> list[Registered]:
    datasets: dict[str, Registered] = {}
    for found in session.execute(query):
        datasets.setdefault(found[0].name, _registered(found))
    return list(datasets.values())


def _registered(found: Any) -> Registered:  # noqa: ANN401  (a row of SQLAlchemy)
    row, job_id, status, step, total_steps, error, results = found
    if job_id is None:
        return Registered(row, None)
    return Registered(row, IndexRun(job_id, JobStatus(status), step, total_steps, error, results))
