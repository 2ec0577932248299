import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backend.database import Database
from backend.datasets.indexing import queue_index_job
from backend.datasets.tables import DatasetRow
from backend.jobs.queue import wake
from backend.jobs.sweeper import running_sweeper
from backend.jobs.tables import JobRow
from backend.migrations.upgrade import upgrade
from backend.settings import Settings
from pairlab.experiment.datasets import XbdDataset
from pairlab.experiment.jobs import DatasetReference, PlannedJob
from pairlab.scenes.dataset import dataset_fingerprint
from tests.backend.conftest import queue_url
from tests.backend.jobs.waiting_jobs import add_jobs

__all__ = ["queue_url"]

READY_SECONDS = 90.0
PATIENCE_SECONDS = 180.0
"""Other work may keep the cores busy."""


class Installation:
    """Queue, database and sweeper of one home, and real workers that can be killed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self._workers: list[subprocess.Popen[bytes]] = []
        upgrade(self.database)

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Returns a worker with one slot that is ready for jobs."""
        environment = {
            **os.environ,
            "PAIRLAB_HOME": str(self.settings.home),
            "PAIRLAB_REDIS_URL": self.settings.broker,
            "PAIRLAB_HARDWARE": self.settings.hardware,
            "PAIRLAB_LEASE_SECONDS": str(self.settings.lease_seconds),
            "PAIRLAB_CANCEL_GRACE_SECONDS": str(self.settings.cancel_grace_seconds),
            "PAIRLAB_PROCESSES_PER_JOB": str(self.settings.processes_per_job),
            "PAIRLAB_DATA_ROOTS": ":".join(f"{name}={root}" for name, root in self.settings.data_roots.items()),
            "OMP_NUM_THREADS": "1",
        }
        log = self.settings.home / f"worker-{len(self._workers)}.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", "1", "-l", "info"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._workers.append(worker)
        wait_until(lambda: b"ready." in log.read_bytes(), READY_SECONDS, f"the worker is not ready: {log}")
        return worker

    def submit(self, planned: tuple[PlannedJob, ...]) -> list[str]:
        """Returns the ids of new jobs, for which a worker has been woken."""
        with self.database.write() as session:
            ids = [row.id for row in add_jobs(session, planned, hardware=self.settings.hardware)]
        wake(self.settings, self.settings.hardware)
        return ids

    def register(self, name: str, config: XbdDataset) -> str:
        """Returns the id of the job that indexes a new dataset of files, for which a worker has been woken."""
        fingerprint = dataset_fingerprint(config, data_roots=self.settings.data_roots)
        dataset = DatasetReference(name=name, config=config, fingerprint=fingerprint)
        with self.database.write() as session:
            session.add(
                DatasetRow(name=name, config=config.model_dump(mode="json"), fingerprint=fingerprint, summary={})
            )
            session.flush()
            job_id = queue_index_job(session, dataset, hardware=self.settings.hardware).id
        wake(self.settings, self.settings.hardware)
        return job_id

    def job(self, job_id: str) -> JobRow:
        """Returns a job as it is now."""
        with self.database.read() as session:
            return session.get_one(JobRow, job_id)

    def wait(self, job_id: str, until: Callable[[JobRow], bool]) -> JobRow:
        """Returns a job as soon as it is as wished."""
        wait_until(lambda: until(self.job(job_id)), PATIENCE_SECONDS, f"job {job_id} does not come that far")
        return self.job(job_id)

    def close(self) -> None:
        """Stops all workers."""
        for worker in self._workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.database.close()


def wait_until(met: Callable[[], bool], seconds: float, complaint: str) -> None:
    """Waits for a condition; fails the test after so many seconds."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            pytest.fail(complaint)
        time.sleep(0.05)


def runs_of(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Returns the processes that run jobs: what the worker's fork server has forked."""
    return [run for server in psutil.Process(worker.pid).children() for run in server.children()]


def _open(folder: Path, queue_url: str, hardware: str) -> Iterator[Installation]:
    home = folder / "home"
    home.mkdir()
    roots = folder / "roots"
    roots.mkdir()
    settings = Settings(
        home=home,
        data_roots={"roots": roots},
        redis_url=queue_url,
        hardware=hardware,
        lease_seconds=3.0,
        sweep_seconds=0.3,
        cancel_grace_seconds=3.0,
    )
    installation = Installation(settings)
    with running_sweeper(installation.database, settings):
        yield installation
        installation.close()


@pytest.fixture
def installation(tmp_path: Path, queue_url: str) -> Iterator[Installation]:
    """A home of the test's own, without a worker."""
    yield from _open(tmp_path, queue_url, f"own-{tmp_path.name}")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, queue_url: str) -> Iterator[Installation]:
    """A home that tests share."""
    yield from _open(tmp_path_factory.mktemp("shared"), queue_url, "shared")


@pytest.fixture(scope="session")
def worker(shared: Installation) -> subprocess.Popen[bytes]:
    """The shared home's worker, which no test may kill."""
    return shared.start_worker()
