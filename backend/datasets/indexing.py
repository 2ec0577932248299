"""The job that looks through a dataset's files, and what its state means for the dataset."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.database import Database
from backend.datasets import repository
from backend.datasets.repository import Registered
from backend.datasets.schemas import DatasetState
from backend.datasets.tables import DatasetRow
from backend.jobs import queue
from backend.jobs import repository as jobs_repository
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from backend.settings import Settings
from pairlab.experiment.datasets import DatasetConfig
from pairlab.experiment.jobs import DatasetReference, IndexJob, job_key
from pairlab.scenes.dataset import AnyDataset
from pairlab.scenes.indexing import IndexFiles

Phase = Literal["waiting", "labels", "pixels", "paused"]
FIRST = -1
"""Position of index jobs: whatever else waits needs a dataset that is indexed."""
MOST_SHOWN = 1000
_CONFIG: TypeAdapter[AnyDataset] = TypeAdapter(DatasetConfig)


def reference_of(row: DatasetRow) -> DatasetReference:
    """Returns the dataset as the science takes it."""
    return DatasetReference(name=row.name, config=_CONFIG.validate_python(row.config), fingerprint=row.fingerprint)


def state_of(registered: Registered) -> DatasetState:
    """Returns what can be done with a dataset, as its newest index job has it."""
    if registered.row.config["kind"] == "synthetic":
        return "ready"
    run = registered.indexed
    if run is None:
        return "indexing"  # of an earlier version of PairLab; the API queues its job at its start
    if run.status == JobStatus.SUCCEEDED:
        return "ready"
    return "failed" if run.status in (JobStatus.FAILED, JobStatus.CANCELLED) else "indexing"


def progress_of(registered: Registered) -> float | None:
    """Returns how far the index is, in [0, 1]; None unless it is under way."""
    run = registered.indexed
    if state_of(registered) != "indexing":
        return None
    return 0.0 if run is None or not run.total_steps else min(1.0, run.step / run.total_steps)


def phase_of(registered: Registered) -> Phase | None:
    """Returns what is being read of a dataset that is indexed."""
    run, progress = registered.indexed, progress_of(registered)
    if progress is None:
        return None
    if run is not None and run.status == JobStatus.PAUSED:
        return "paused"
    if run is None or run.status != JobStatus.RUNNING:
        return "waiting"
    return "labels" if progress < 0.5 else "pixels"


def why_not_ready(registered: Registered) -> str:
    """Returns the sentence for a dataset that is not ready: how far it is, or what went wrong, and what to do."""
    name, run = registered.row.name, registered.indexed
    if state_of(registered) == "failed" and run is not None:
        if run.status == JobStatus.CANCELLED:
            return f"dataset {name!r} is not indexed, its job was cancelled: retry job {run.job_id}"
        return f"dataset {name!r} could not be indexed: {(run.error or 'its job failed')[:MOST_SHOWN]}"
    percent = f"{100 * (progress_of(registered) or 0.0):.0f} %"
    phase = phase_of(registered)
    if phase == "paused" and run is not None:
        return f"dataset {name!r} is being indexed and paused at {percent}: resume job {run.job_id}"
    if phase == "waiting":
        return f"dataset {name!r} is being indexed ({percent}) and waits for a worker: try again in a moment"
    return f"dataset {name!r} is being indexed ({percent}, its {phase} are read now): try again in a moment"


def queue_index_job(session: Session, dataset: DatasetReference, *, hardware: str) -> JobRow:
    """Returns the new job that looks through a dataset's files; whoever commits wakes a worker."""
    config = IndexJob(dataset=dataset)
    return jobs_repository.create(
        session, key=job_key(config), config=config, depends_on=None, hardware=hardware, position=FIRST
    )


def queue_again(database: Database, settings: Settings, registered: Registered) -> None:
    """Queues the index job of a dataset whose index is gone, or that never had one."""
    run = registered.indexed
    with suppress(IntegrityError), database.write() as session:  # another process may be faster
        if repository.find(session, registered.row.name) is None:
            return
        if run is None:
            queue_index_job(session, reference_of(registered.row), hardware=settings.hardware)
        elif (row := jobs_repository.find(session, run.job_id)) is not None and row.status == JobStatus.SUCCEEDED:
            jobs_repository.repeat(session, run.job_id)
    queue.wake(settings, settings.hardware)


def queue_missing(database: Database, settings: Settings) -> None:
    """Queues an index job for each dataset of files that has none, or whose index is not there any more."""
    with database.read() as session:
        registered = repository.all_registered(session)
    for each in _without_index(registered, settings):
        queue_again(database, settings, each)


def _without_index(registered: Iterable[Registered], settings: Settings) -> Iterable[Registered]:
    for each in registered:
        if each.row.config["kind"] == "synthetic":
            continue
        done = each.indexed is not None and each.indexed.status == JobStatus.SUCCEEDED
        gone = done and not IndexFiles(settings.index_folder, each.row.fingerprint).index.exists()
        if each.indexed is None or gone:
            yield each
