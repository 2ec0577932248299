"""The Celery worker: each wake-up claims queued jobs and supervises them, one per slot, until none is left.

celery -A worker.app worker
"""

import logging
import os
import platform
import socket
import threading
from typing import Any

import psutil
from celery import signals
from sqlalchemy.exc import SQLAlchemyError

from backend.database import Database
from backend.encoders import library_versions
from backend.jobs import leases, workers
from backend.jobs.leases import Claim
from backend.jobs.queue import WAKE, celery_app, waiting, wake
from backend.migrations.upgrade import upgrade
from backend.settings import Settings
from worker.devices import Devices, gpu_names, visible_gpus
from worker.fork_server import ForkServer
from worker.supervisor import Supervisor

logger = logging.getLogger(__name__)

FEW_CORES = 4
"""Up to so many, a job takes one core, and as many jobs run at once."""


class Worker:
    """What the slots of this process share."""

    def __init__(self, settings: Settings, *, slots: int) -> None:
        self._settings = settings
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._slots = slots
        self._threads = threads_per_job(slots)
        self._devices = Devices(visible_gpus(), per_run=settings.processes_per_job)
        self._database = Database(settings.database)
        self._fork_server = ForkServer(threads=self._threads)
        self._stopping = threading.Event()
        self._gone = threading.Event()
        self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Prepares the first start of a job, and tells that this worker is there."""
        self._settings.home.mkdir(parents=True, exist_ok=True)
        upgrade(self._database)
        self._fork_server.start()
        self._heartbeat.start()

    def run_jobs(self) -> None:
        """Claims and runs jobs until there are none, or this worker stops."""
        while not self._stopping.is_set():
            claimed = self._claim()
            if claimed is None:
                return
            logger.info("job %s, attempt %s: starts", claimed.job_id, claimed.attempt)
            with self._devices.group() as devices:
                supervisor = Supervisor(
                    claimed,
                    database=self._database,
                    settings=self._settings,
                    fork_server=self._fork_server,
                    threads=self._threads,
                    stopping=self._stopping,
                    devices=devices,
                )
                status = supervisor.run()
            logger.info("job %s, attempt %s: %s", claimed.job_id, claimed.attempt, status or "taken away")

    def ask_to_stop(self) -> None:
        """Makes all runs stop behind a checkpoint; their jobs are queued again."""
        self._stopping.set()

    def stop(self) -> None:
        """Tells that this worker is gone, and ends its processes."""
        self._stopping.set()
        self._gone.set()
        self._heartbeat.join()
        self._fork_server.stop()
        self._database.close()

    def _claim(self) -> Claim | None:
        """Returns the next job; where more wait, another slot is woken for them."""
        hardware = self._settings.hardware
        with self._database.write() as session:
            claimed = leases.claim(
                session, hardware=hardware, worker=self._name, lease_seconds=self._settings.lease_seconds
            )
            more = claimed is not None and hardware in leases.claimable(session)
        if more and not waiting(self._settings, hardware):
            wake(self._settings, hardware)
        return claimed

    def _beat(self) -> None:
        facts = _machine_facts() | {"threads_per_job": self._threads}
        while True:
            try:
                with self._database.write() as session:
                    workers.note_seen(
                        session, name=self._name, hardware=self._settings.hardware, slots=self._slots, facts=facts
                    )
            except SQLAlchemyError:
                logger.exception("the heartbeat could not be written")
            if self._gone.wait(workers.HEARTBEAT_SECONDS):
                break
        try:
            with self._database.write() as session:
                workers.note_gone(session, self._name)
        except SQLAlchemyError:
            logger.exception("the worker's leave could not be written")


def default_slots(processes: int = 1) -> int:
    """Returns how many jobs of so many processes run at once where nothing is said.

    One process per GPU, else as the cores have room.
    """
    room = len(visible_gpus()) or _cores() // (1 if _cores() <= FEW_CORES else FEW_CORES)
    return max(1, room // processes)


def threads_per_job(slots: int) -> int:
    """Returns the threads of a job on the CPU: OMP_NUM_THREADS where it is set, else the cores shared by the slots."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) else max(1, _cores() // slots)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _machine_facts() -> dict[str, Any]:
    return {
        "machine": socket.gethostname(),
        "python": platform.python_version(),
        "cores": _cores(),
        "memory": psutil.virtual_memory().total,
        "gpus": gpu_names(),
        "libraries": library_versions(),
    }


settings = Settings()
app = celery_app(settings.broker)
app.conf.update(
    # A slot only watches a process of its own: threads do, and leave nothing behind when the worker is killed.
    worker_pool="threads",
    worker_concurrency=default_slots(settings.processes_per_job),
    task_default_queue=settings.hardware,
)
_workers: dict[str, Worker] = {}


@app.task(name=WAKE)
def look_for_jobs() -> None:
    """Answers a wake-up."""
    for worker in _workers.values():
        worker.run_jobs()


@signals.worker_ready.connect
def _start(sender: Any, **_: Any) -> None:  # noqa: ANN401  (Celery's consumer)
    worker = Worker(settings, slots=sender.controller.concurrency)
    worker.start()
    _workers["this"] = worker
    wake(settings, settings.hardware)


@signals.worker_shutting_down.connect
def _ask_to_stop(**_: Any) -> None:  # noqa: ANN401
    for worker in _workers.values():
        worker.ask_to_stop()


@signals.worker_shutdown.connect
def _stop(**_: Any) -> None:  # noqa: ANN401
    for worker in _workers.values():
        worker.stop()
