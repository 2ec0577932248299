"""Datasets of files are indexed by a real worker, whatever happens to it."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from backend.datasets import repository as datasets
from backend.datasets.files import forget_unused_files
from backend.jobs import repository
from backend.jobs.queue import wake
from backend.jobs.tables import JobEventRow
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.jobs import DatasetReference, IndexJob
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.dataset import dataset_fingerprint
from pairlab.scenes.index import DatasetIndex
from pairlab.scenes.index_file import read_index, read_table
from pairlab.scenes.indexing import PART_SCENES, IndexFiles
from tests.pairlab.scenes.equal_indices import assert_equal
from tests.pairlab.scenes.xbd_tree import write_xbd_tree
from tests.worker.conftest import Installation, runs_of, wait_until
from tests.worker.whole_run import describe, run_whole
from worker.fork_server import ForkServer
from worker.protocol import EXIT_REFUSED

Worker = subprocess.Popen[bytes]
SCENES = 4 * PART_SCENES


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of eleven tiles."""
    folder = tmp_path_factory.mktemp("trees") / "small"
    write_xbd_tree(folder, seed=10)
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of several parts, whose pixels take seconds."""
    folder = tmp_path_factory.mktemp("trees") / "large"
    write_xbd_tree(folder, seed=11, scenes_per_split={"train": SCENES - 10, "hold": 5, "test": 5}, size=256)
    return folder


def lines(installation: Installation, job_id: str) -> list[str]:
    with installation.database.read() as session:
        query = select(JobEventRow.text).where(JobEventRow.job_id == job_id, JobEventRow.kind == "log")
        return [text or "" for text in session.scalars(query.order_by(JobEventRow.seq))]


def files_of(installation: Installation, job_id: str) -> IndexFiles:
    fingerprint = installation.job(job_id).config["dataset"]["fingerprint"]
    return IndexFiles(installation.settings.index_folder, fingerprint)


def place(installation: Installation, tree: Path, folder: str) -> XbdDataset:
    """Returns the configuration of a tree that lies in the data root now."""
    shutil.copytree(tree, installation.settings.data_roots["roots"] / folder, copy_function=os.link)
    return XbdDataset(root="roots", folder=folder)


def assert_told_once(installation: Installation, job_id: str) -> None:
    with installation.database.read() as session:
        told = session.scalars(select(JobEventRow).where(JobEventRow.job_id == job_id).order_by(JobEventRow.seq)).all()
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    steps = [event.step or 0 for event in told if event.metric == "quarantined"]
    assert steps == sorted(set(steps))


def rounded(index: DatasetIndex) -> DatasetIndex:
    """OpenCV's Fourier transform differs in its last bits with the place of an image in memory."""
    table = index.table
    offset, confidence = (np.round(values, 3) + 0.0 for values in (table.offset, table.offset_confidence))
    return replace(index, table=replace(table, offset=offset, offset_confidence=confidence))


def test_a_dataset_is_indexed(shared: Installation, worker: Worker, tree: Path) -> None:
    assert worker.poll() is None
    job_id = shared.register("small", place(shared, tree, "small"))
    done = shared.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.error, done.attempt) == ("succeeded", None, 1)
    assert (done.step, done.total_steps) == (22, 22)
    assert done.results == {"scenes": 11, "quarantined": 0}
    table = read_table(files_of(shared, job_id).index)
    assert table is not None
    assert table.pixels_read
    assert len(table) == 11
    assert not files_of(shared, job_id).parts.exists()
    assert not (shared.settings.artifacts / job_id).exists()
    fingerprint = done.config["dataset"]["fingerprint"]
    store = ChipStore(shared.settings.store_folder, budget_bytes=shared.settings.store_bytes)
    assert store.usage(fingerprint).images == 22
    assert any("11 scenes listed" in line for line in lines(shared, job_id))


def test_the_same_files_are_not_read_again_for_another_name(shared: Installation, worker: Worker, tree: Path) -> None:
    assert worker.poll() is None
    config = place(shared, tree, "twins")
    first = shared.register("one", config)
    shared.wait(first, lambda job: job.finished_at is not None)
    written = files_of(shared, first).index.stat().st_mtime_ns
    second = shared.wait(shared.register("two", config), lambda job: job.finished_at is not None)
    assert (second.status, second.results) == ("succeeded", {"scenes": 11, "quarantined": 0})
    assert files_of(shared, first).index.stat().st_mtime_ns == written
    assert any("nothing is read again" in line for line in lines(shared, second.id))


def test_files_that_changed_since_are_refused(tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "roots" / "changing")
    config, roots = XbdDataset(root="roots", folder="changing"), {"roots": tmp_path / "roots"}
    dataset = DatasetReference(name="c", config=config, fingerprint=dataset_fingerprint(config, data_roots=roots))
    label = next((tmp_path / "roots" / "changing").rglob("labels/*.json"))
    label.write_text(label.read_text() + " ")
    server = ForkServer(threads=1)
    refused = run_whole(server, describe(IndexJob(dataset=dataset), tmp_path / "1", roots=roots))
    server.stop()
    assert refused.status == EXIT_REFUSED
    assert "have changed since it was registered" in refused.events[-1]["sentence"]
    assert not (tmp_path / "index").exists()


def test_an_index_job_is_paused_and_goes_on_behind_its_last_part(
    shared: Installation, worker: Worker, large: Path
) -> None:
    assert worker.poll() is None
    job_id = shared.register("paused", place(shared, large, "paused"))
    shared.wait(job_id, lambda job: job.step >= PART_SCENES)
    with shared.database.write() as session:
        repository.request(session, job_id, "pause")
    paused = shared.wait(job_id, lambda job: job.status == "paused")
    assert 0 < paused.step < 2 * SCENES
    with shared.database.write() as session:
        repository.resume(session, job_id)
    wake(shared.settings, shared.settings.hardware)
    done = shared.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt, done.step) == ("succeeded", 2, 2 * SCENES)
    assert f"attempt 2 goes on from step {paused.step:,}" in lines(shared, job_id)
    assert_told_once(shared, job_id)


def test_a_killed_run_goes_on_and_finds_the_same(installation: Installation, large: Path, tmp_path: Path) -> None:
    worker = installation.start_worker()
    job_id = installation.register("killed", place(installation, large, "killed"))
    for attempt in (1, 2, 3, 4):  # more often than a run may die that gets nowhere
        before = installation.job(job_id).step
        wait_until(lambda before=before: installation.job(job_id).step > before + 1, 60, "no progress")  # type: ignore[misc]
        for run in runs_of(worker):
            run.kill()
        installation.wait(job_id, lambda job, attempt=attempt: job.attempt > attempt or job.finished_at is not None)  # type: ignore[misc]
    done = installation.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.error) == ("succeeded", None)
    assert done.attempt > 1
    assert_told_once(installation, job_id)
    roots = dict(installation.settings.data_roots)
    server = ForkServer(threads=1)
    description = describe(IndexJob.model_validate(done.config), tmp_path / "uninterrupted", roots=roots)
    assert run_whole(server, description).status == 0
    server.stop()
    uninterrupted = IndexFiles(Path(description["index_folder"]), done.config["dataset"]["fingerprint"])
    found, expected = read_index(files_of(installation, job_id).index), read_index(uninterrupted.index)
    assert found is not None
    assert expected is not None
    assert_equal(rounded(found), rounded(expected))


def test_a_dataset_deleted_while_it_is_indexed_leaves_nothing(
    shared: Installation, worker: Worker, large: Path
) -> None:
    other = place(shared, large, "deleted").model_copy(update={"damage_from": "destroyed"})  # and another fingerprint
    job_id = shared.register("deleted", other)
    shared.wait(job_id, lambda job: job.step >= PART_SCENES)
    files = files_of(shared, job_id)
    with shared.database.write() as session:
        row = datasets.find(session, "deleted")
        assert row is not None
        datasets.delete_with_index_jobs(session, row)
    wait_until(lambda: runs_of(worker) == [], 15, "the run outlives its dataset")
    forget_unused_files(shared.database, shared.settings)
    assert not files.index.exists()
    assert not files.parts.exists()
    assert not list(shared.settings.store_folder.glob(f"{files.key}*"))
