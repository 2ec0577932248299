"""Marks on scenes: a flag and a note."""

from collections.abc import Mapping

from backend.context import Context, MarksKey
from backend.datasets import marks_repository
from backend.datasets.registry import Browsable
from backend.datasets.schemas import MarkRead, MarkWrite
from backend.datasets.service import find_browsable, scene_of
from backend.datasets.tables import DatasetRow


def marks_of(context: Context, dataset: DatasetRow) -> Mapping[str, MarkRead]:
    """Returns all marks of a dataset by the name of their scene."""
    if not dataset.marks_version:
        return {}  # none was ever made

    def read() -> Mapping[str, MarkRead]:
        with context.database.read() as session:
            rows = marks_repository.of_dataset(session, dataset.name)
        return {row.scene: MarkRead(flagged=row.flagged, note=row.note, updated_at=row.updated_at) for row in rows}

    return context.marks.get(marks_key(dataset), read)


def marks_key(dataset: DatasetRow) -> MarksKey:
    """Returns what changes with every mark of a dataset."""
    return dataset.name, dataset.created_at, dataset.marks_version


def write_mark(context: Context, name: str, scene: str, mark: MarkWrite) -> MarkRead:
    """Returns the mark a scene now has; raises NotFoundError for a scene that the dataset does not have."""
    _check_scene(find_browsable(context, name), scene)
    with context.database.write() as session:
        row = marks_repository.write(session, name, scene, flagged=mark.flagged, note=mark.note)
    context.registry.forget(name)
    return MarkRead(flagged=row.flagged, note=row.note, updated_at=row.updated_at)


def remove_mark(context: Context, name: str, scene: str) -> None:
    """Takes the mark of a scene away; does nothing where it has none."""
    _check_scene(find_browsable(context, name), scene)
    with context.database.write() as session:
        marks_repository.remove(session, name, scene)
    context.registry.forget(name)


def _check_scene(found: Browsable, scene: str) -> None:
    scene_of(found.known.table, found.reference.name, scene)
