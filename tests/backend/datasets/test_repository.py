"""What SQL about datasets answers, the same on both databases."""

import pytest
from sqlalchemy import func, select

from backend.database import Database
from backend.datasets import marks_repository, repository
from backend.datasets.indexing import queue_index_job, state_of
from backend.datasets.tables import DatasetRow, SceneMarkRow
from backend.errors import ConflictError
from backend.jobs import leases
from backend.jobs.repository import retry
from backend.jobs.tables import JobEventRow, JobRow
from tests.backend.jobs.waiting_jobs import add_files, add_jobs, planned_jobs


def add_bare(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(DatasetRow(name=name, config={"kind": "synthetic"}, fingerprint=name, summary={}))


def test_a_dataset_comes_with_its_newest_index_job(database: Database) -> None:
    with database.write() as session:
        dataset = add_files(session)
        first = queue_index_job(session, dataset, hardware="cpu").id
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=60)
        assert claimed is not None
        leases.finish(session, claimed, "failed", error="no tiles")
    with database.write() as session:
        second = queue_index_job(session, dataset, hardware="cpu").id
    with database.read() as session:
        found = repository.find_registered(session, dataset.name)
        assert found is not None
        assert found.indexed is not None
        assert found.indexed.job_id == second != first
        assert state_of(found) == "indexing"
        (listed,) = repository.page(session, after=None, limit=10)
        assert listed.indexed == found.indexed
        assert repository.find_registered(session, "nothing") is None
        assert repository.fingerprints(session) == {dataset.fingerprint}
    with pytest.raises(ConflictError, match="equal job"), database.write() as session:
        retry(session, first)


def test_pages_hold_each_dataset_once_however_often_it_was_indexed(database: Database) -> None:
    for name in ("a", "m", "z"):
        add_bare(database, name)
    with database.write() as session:
        dataset = add_files(session)
        for _ in range(3):
            queue_index_job(session, dataset, hardware="cpu").status = "cancelled"
            session.flush()
    with database.read() as session:
        first = repository.page(session, after=None, limit=2)
        second = repository.page(session, after=first[-1].row.name, limit=2)
        assert [each.row.name for each in (*first, *second)] == ["a", "files", "m", "z"]
        assert [each.row.name for each in repository.all_registered(session)] == ["a", "files", "m", "z"]
        assert repository.count(session) == 4


def test_index_jobs_are_no_users_and_go_with_their_dataset(database: Database) -> None:
    with database.write() as session:
        add_jobs(session, planned_jobs())
        dataset = add_files(session)
        queue_index_job(session, dataset, hardware="cpu")
        marks_repository.write(session, "files", "scene", flagged=True, note="")
    with database.write() as session:
        assert repository.jobs_using(session, "files", limit=5) == []
        assert len(repository.jobs_using(session, "scenes", limit=5)) == 2
        row = repository.find(session, "files")
        assert row is not None
        repository.delete_with_index_jobs(session, row)
    with database.read() as session:
        assert session.scalars(select(JobRow.kind).order_by(JobRow.kind)).all() == ["pretrain", "segment"]
        assert session.scalar(select(func.count()).select_from(JobEventRow)) == 2
        assert session.scalar(select(func.count()).select_from(SceneMarkRow)) == 0
        assert repository.names(session) == ["scenes"]


def test_marks_are_written_changed_and_removed(database: Database) -> None:
    add_bare(database, "a")
    add_bare(database, "b")
    with database.write() as session:
        marks_repository.write(session, "a", "one", flagged=True, note="x")
        marks_repository.write(session, "b", "one", flagged=False, note="other")
        marks_repository.write(session, "a", "one", flagged=False, note="y")
        marks_repository.write(session, "a", "two", flagged=True, note="")
        marks_repository.remove(session, "a", "two")
        marks_repository.remove(session, "a", "three")
    with database.read() as session:
        (mark,) = marks_repository.of_dataset(session, "a")
        assert (mark.scene, mark.flagged, mark.note) == ("one", False, "y")
        versions = {name: session.get_one(DatasetRow, name).marks_version for name in ("a", "b")}
    assert versions == {"a": 5, "b": 1}
    with pytest.raises(ConflictError, match="was deleted this moment"), database.write() as session:
        marks_repository.write(session, "gone", "one", flagged=True, note="")
