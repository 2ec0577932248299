"""Datasets: register, list, forget."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.context import Context
from backend.cursor import decode_cursor, encode_cursor
from backend.datasets import repository
from backend.datasets.schemas import DataRootRead, DatasetCreate, DatasetRead, Page
from backend.datasets.tables import DatasetRow
from backend.errors import ConflictError, NotFoundError
from pairlab.experiment.datasets import DatasetConfig, SyntheticDataset, XbdDataset
from pairlab.experiment.expansion import DatasetReference
from pairlab.experiment.protocols import LabelScheme
from pairlab.scenes.dataset import dataset_fingerprint, dataset_warnings
from pairlab.scenes.index import WHOLE_SCENES
from pairlab.scenes.scene import SceneError, SceneSource

XBD_SPLITS = ("train", "tier3", "test", "hold")
MOST_FOLDERS = 1000
MOST_NAMED = 5

_CONFIG: TypeAdapter[SyntheticDataset | XbdDataset] = TypeAdapter(DatasetConfig)


def list_data_roots(context: Context) -> list[DataRootRead]:
    """Returns the data roots given at start, with the folders in them that look like a dataset."""
    return [
        DataRootRead(name=name, folders=list(islice(_xbd_folders(folder), MOST_FOLDERS)))
        for name, folder in sorted(context.settings.data_roots.items())
    ]


def register(context: Context, request: DatasetCreate) -> tuple[DatasetRead, bool]:
    """Returns the dataset and whether it is new; everything is read once, so that what is broken shows here.

    Raises:
        ConflictError: the name is taken by another dataset.
        SceneError: the data root is not known, or the files cannot be used.
    """
    fingerprint = dataset_fingerprint(request.config, data_roots=context.settings.data_roots)
    dataset = DatasetReference(name=request.name, config=request.config, fingerprint=fingerprint)
    with context.database.read() as session:
        existing = repository.find(session, request.name)
    if existing is not None:
        return _same_as(existing, dataset), False
    source = context.sources.open(dataset).source
    context.sources.index(dataset, chip_size=WHOLE_SCENES)
    row = DatasetRow(
        name=request.name,
        config=request.config.model_dump(mode="json"),
        fingerprint=fingerprint,
        summary=_summarise(source),
    )
    with suppress(IntegrityError), context.database.write() as session:
        if repository.find(session, request.name) is None:
            repository.add(session, row)
            return read_of(row), True
    return _same_as(get(context, request.name), dataset), False  # another request was faster


def list_datasets(context: Context, *, cursor: str | None, limit: int) -> Page[DatasetRead]:
    """Returns a page of datasets in the order of their names."""
    after = None if cursor is None else decode_cursor(cursor, "datasets", str)[0]
    with context.database.read() as session:
        rows = repository.page(session, after=after, limit=limit + 1)
        total = repository.count(session)
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(
        items=[read_of(row) for row in shown],
        next_cursor=encode_cursor("datasets", shown[-1].name) if more else None,
        total=total,
    )


def get(context: Context, name: str) -> DatasetRow:
    """Returns a registered dataset; raises NotFoundError with the names there are."""
    with context.database.read() as session:
        row = repository.find(session, name)
        if row is None:
            raise NotFoundError(unknown_dataset(session, name))
    return row


def delete(context: Context, name: str) -> None:
    """Forgets a dataset that nothing uses; its files stay where they are."""
    with context.database.write() as session:
        row = repository.find(session, name)
        if row is None:
            raise NotFoundError(unknown_dataset(session, name))
        experiments = repository.experiments_using(session, name, limit=MOST_NAMED + 1)
        jobs = repository.jobs_using(session, name, limit=MOST_NAMED + 1)
        if experiments or jobs:
            users = f"experiment {_listed(experiments)}" if experiments else f"job {_listed(jobs)}"
            raise ConflictError(
                f"dataset {name!r} is used by {users}, whose results would lose their images: give the other "
                "dataset a new name"
            )
        repository.delete(session, row)


def unknown_dataset(session: Session, name: str) -> str:
    """Returns the sentence for a name that no dataset has."""
    known = repository.names(session)
    there_are = f"there are: {', '.join(known[:20])}" if known else "none is registered yet"
    return f"no dataset {name[:100]!r}; {there_are}"


def reference_of(row: DatasetRow) -> DatasetReference:
    """Returns the dataset as the science takes it."""
    return DatasetReference(name=row.name, config=_CONFIG.validate_python(row.config), fingerprint=row.fingerprint)


def read_of(row: DatasetRow) -> DatasetRead:
    """Returns the dataset as the API shows it."""
    return DatasetRead(
        name=row.name,
        config=_CONFIG.validate_python(row.config),
        fingerprint=row.fingerprint,
        created_at=row.created_at,
        **row.summary,
    )


def _same_as(existing: DatasetRow, dataset: DatasetReference) -> DatasetRead:
    if existing.config != dataset.config.model_dump(mode="json"):
        raise ConflictError(
            f"dataset {dataset.name!r} exists with another configuration ({json.dumps(existing.config)}): take "
            "another name, or delete it first"
        )
    if existing.fingerprint != dataset.fingerprint:
        raise ConflictError(
            f"the files of dataset {dataset.name!r} have changed since it was registered: register them under another "
            "name, or delete it first"
        )
    return read_of(existing)


def _summarise(source: SceneSource) -> dict[str, object]:
    scenes = source.scenes
    schemes = {}
    for scheme in get_args(LabelScheme):
        try:
            schemes[scheme] = list(source.classes(scheme))
        except SceneError:  # a scheme of another kind of dataset
            continue
    return {
        "scenes": len(scenes),
        "splits": dict(Counter(scene.split for scene in scenes)),
        "events": dict(sorted(Counter(scene.event for scene in scenes).items())),
        "acquisitions": list(dict.fromkeys(name for scene in scenes for name in scene.acquisitions)),
        "label_schemes": schemes,
        "warnings": list(dataset_warnings(source)),
    }


def _xbd_folders(root: Path) -> Iterator[str]:
    if _looks_like_xbd(root):
        yield ""
    try:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    except OSError:
        return
    yield from (folder.name for folder in folders if _looks_like_xbd(folder))


def _looks_like_xbd(folder: Path) -> bool:
    try:
        return any((folder / split / "labels").is_dir() for split in XBD_SPLITS)
    except OSError:
        return False


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MOST_NAMED])) + (" and more" if len(names) > MOST_NAMED else "")
