"""Datasets: register, list, find, forget."""

import json
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.context import Context
from backend.cursor import decode_cursor, encode_cursor
from backend.datasets import repository
from backend.datasets.files import forget_unused_files
from backend.datasets.indexing import (
    progress_of,
    queue_again,
    queue_index_job,
    reference_of,
    state_of,
    why_not_ready,
)
from backend.datasets.registry import Browsable
from backend.datasets.repository import Registered
from backend.datasets.schemas import DatasetCreate, DatasetRead, Page
from backend.datasets.sources import OpenDataset
from backend.datasets.summary import Summary, brought_up_to_date, summarise
from backend.datasets.tables import DatasetRow
from backend.errors import ApiError, ConflictError, NotFoundError
from backend.jobs import queue
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import DatasetReference
from pairlab.scenes.dataset import dataset_fingerprint, list_dataset, open_dataset
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import Listing, Scene

MOST_NAMED = 5


def register(context: Context, request: DatasetCreate) -> tuple[DatasetRead, bool]:
    """Returns the dataset and whether it is new. Its folder is listed, so that what cannot be used at all shows here.

    Raises:
        ConflictError: the name is taken by another dataset.
        SceneError: the data root is not known, or there is nothing to be used.
    """
    fingerprint = dataset_fingerprint(request.config, data_roots=context.settings.data_roots)
    dataset = DatasetReference(name=request.name, config=request.config, fingerprint=fingerprint)
    with context.database.read() as session:
        existing = repository.find_registered(session, request.name)
    if existing is not None:
        return _same_as(context, existing, dataset), False
    created = _add(context, dataset, _look_into(context, dataset))
    if created and request.config.kind != "synthetic":
        queue.wake(context.settings, context.settings.hardware)
    return _same_as(context, find(context, request.name), dataset), created


def list_datasets(context: Context, *, cursor: str | None, limit: int) -> Page[DatasetRead]:
    """Returns a page of datasets in the order of their names."""
    after = None if cursor is None else decode_cursor(cursor, "datasets", str)[0]
    with context.database.read() as session:
        found = repository.page(session, after=after, limit=limit + 1)
        total = repository.count(session)
    shown = found[:limit]
    more = len(found) > limit
    return Page(
        items=[read_of(context, each) for each in shown],
        next_cursor=encode_cursor("datasets", shown[-1].row.name) if more else None,
        total=total,
    )


def get(context: Context, name: str) -> DatasetRead:
    """Returns a dataset and what was found in it; raises NotFoundError."""
    return read_of(context, find(context, name))


def find(context: Context, name: str) -> Registered:
    """Returns a registered dataset; raises NotFoundError with the names there are."""
    with context.database.read() as session:
        found = repository.find_registered(session, name)
        if found is None:
            raise NotFoundError(unknown_dataset(session, name))
    return found


def find_browsable(context: Context, name: str) -> Browsable:
    """Returns a dataset whose scenes are known, as it is now or was half a second ago.

    Raises:
        NotFoundError: no dataset has that name.
        ConflictError: it is being indexed and its labels are not read yet, or indexing failed before that.
    """
    found = context.registry.find(name)
    if found is not None:
        return found
    since = context.registry.changes
    try:
        found = _look_up(context, name)
    except ApiError:
        context.registry.forget(name)
        raise
    context.registry.keep(name, found, since=since)
    return found


def find_ready(context: Context, name: str) -> Browsable:
    """Returns a dataset that is indexed; raises what `find_browsable` raises, and ConflictError where it is not."""
    found = _look_up(context, name)
    if state_of(found.registered) != "ready":
        raise ConflictError(why_not_ready(found.registered))
    return found


def open_browsable(context: Context, name: str, *, draw: int = 0) -> OpenDataset:
    """Returns a dataset opened for reading; raises what `find_browsable` raises."""
    found = find_browsable(context, name)
    return context.sources.open(found.reference, found.known, draw=draw)


def scene_of(table: SceneTable, dataset: str, name: str) -> Scene:
    """Returns the scene of that name; raises NotFoundError."""
    row = table.position.get(name)
    if row is None:
        raise NotFoundError(f"dataset {dataset!r} has no scene {name[:200]!r}; its scene list has all names")
    return table.scenes[row]


def delete(context: Context, name: str) -> None:
    """Forgets a dataset that nothing uses, with its marks, change scores and index; its files stay where they are."""
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
        repository.delete_with_index_jobs(session, row)
    context.registry.forget(name)
    context.thumbnails.forget()
    forget_unused_files(context.database, context.settings)


def unknown_dataset(session: Session, name: str) -> str:
    """Returns the sentence for a name that no dataset has."""
    known = repository.names(session)
    there_are = f"there are: {', '.join(known[:20])}" if known else "none is registered yet"
    return f"no dataset {name[:100]!r}; {there_are}"


def summary_of(context: Context, registered: Registered) -> Summary:
    """Returns what a dataset holds, as far as it is known."""
    noted = Summary.model_validate(registered.row.summary)
    reference = reference_of(registered.row)
    version = context.sources.version(reference)
    if version is None:
        return noted

    def make() -> Summary:
        known = context.sources.known(reference)
        return noted if known is None else brought_up_to_date(noted, known.table)

    return context.summaries.get((registered.row.name, version), make)


def read_of(context: Context, registered: Registered) -> DatasetRead:
    """Returns the dataset as the API shows it."""
    row = registered.row
    return DatasetRead.model_validate(
        {
            **summary_of(context, registered).model_dump(),
            "name": row.name,
            "config": row.config,
            "fingerprint": row.fingerprint,
            "state": state_of(registered),
            "index_job": None if registered.indexed is None else registered.indexed.job_id,
            "progress": progress_of(registered),
            "created_at": row.created_at,
        }
    )


def _look_up(context: Context, name: str) -> Browsable:
    registered = find(context, name)
    reference = reference_of(registered.row)
    known = context.sources.known(reference)
    if known is not None:
        return Browsable(registered, reference, known)
    if state_of(registered) == "ready":
        queue_again(context.database, context.settings, registered)
        raise ConflictError(f"the index of dataset {name!r} is gone and is made again: try again in a moment")
    raise ConflictError(why_not_ready(registered))


def _add(context: Context, dataset: DatasetReference, summary: Summary) -> bool:
    """Returns whether the dataset is new; another request may have been faster."""
    config = dataset.config
    with suppress(IntegrityError), context.database.write() as session:
        if repository.find(session, dataset.name) is None:
            row = DatasetRow(
                name=dataset.name,
                config=config.model_dump(mode="json"),
                fingerprint=dataset.fingerprint,
                summary=summary.model_dump(mode="json"),
            )
            repository.add(session, row)
            if config.kind != "synthetic":
                queue_index_job(session, dataset, hardware=context.settings.hardware)
            return True
    return False


def _look_into(context: Context, dataset: DatasetReference) -> Summary:
    config, roots = dataset.config, context.settings.data_roots
    if isinstance(config, SyntheticDataset):
        opened = context.sources.open(dataset, None)
        context.sources.known(dataset)  # renders every scene's labels once, and keeps what they say
        return summarise(config, opened.source, Listing(scenes=opened.source.scenes))
    listing = list_dataset(config, data_roots=roots)
    return summarise(config, open_dataset(config, data_roots=roots, scenes=listing.scenes), listing)


def _same_as(context: Context, existing: Registered, dataset: DatasetReference) -> DatasetRead:
    if reference_of(existing.row).config != dataset.config:
        raise ConflictError(
            f"dataset {dataset.name!r} exists with another configuration ({json.dumps(existing.row.config)}): take "
            "another name, or delete it first"
        )
    if existing.row.fingerprint == dataset.fingerprint:
        return read_of(context, existing)
    if dataset.config.kind == "synthetic":  # rendered otherwise since an update of PairLab: there are no files to lose
        with context.database.write() as session:
            if (row := repository.find(session, dataset.name)) is not None:
                row.fingerprint = dataset.fingerprint
        context.registry.forget(dataset.name)
        return read_of(context, find(context, dataset.name))
    raise ConflictError(
        f"the files of dataset {dataset.name!r}, or the way they are read, have changed since it was registered: "
        "register them under another name, or delete it first"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MOST_NAMED])) + (" and more" if len(names) > MOST_NAMED else "")
