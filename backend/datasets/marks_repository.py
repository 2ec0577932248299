"""All SQL about marks on scenes. Every change raises the dataset's `marks_version`."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.database import now
from backend.datasets.tables import DatasetRow, SceneMarkRow
from backend.errors import ConflictError


def of_dataset(session: Session, dataset: str) -> Sequence[SceneMarkRow]:
    """Returns all marks of a dataset."""
    return session.scalars(select(SceneMarkRow).where(SceneMarkRow.dataset == dataset)).all()


def write(session: Session, dataset: str, scene: str, *, flagged: bool, note: str) -> SceneMarkRow:
    """Returns the mark of a scene, which now says this; raises ConflictError where the dataset is gone."""
    _raise_version(session, dataset)
    row = session.get(SceneMarkRow, (dataset, scene))
    if row is None:
        row = SceneMarkRow(dataset=dataset, scene=scene)
        session.add(row)
    row.flagged, row.note, row.updated_at = flagged, note, now()
    session.flush()
    return row


def remove(session: Session, dataset: str, scene: str) -> None:
    """Takes a mark away, where there is one; raises ConflictError where the dataset is gone."""
    _raise_version(session, dataset)
    session.execute(delete(SceneMarkRow).where(SceneMarkRow.dataset == dataset, SceneMarkRow.scene == scene))


def _raise_version(session: Session, dataset: str) -> None:
    """Also locks the dataset, so that of two writers of one mark the second waits."""
    raised = DatasetRow.marks_version + 1
    changed = session.execute(
        update(DatasetRow).where(DatasetRow.name == dataset).values(marks_version=raised).returning(DatasetRow.name)
    ).first()
    if changed is None:
        raise ConflictError(f"dataset {dataset!r} was deleted this moment")
