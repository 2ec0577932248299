"""Makes good for whatever was lost: leases that ended, wake-ups that never arrived, jobs left waiting."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from backend.database import Database
from backend.datasets.files import forget_unused_files
from backend.errors import ConflictError
from backend.jobs import leases, queue
from backend.settings import Settings

logger = logging.getLogger(__name__)

TIDY_SECONDS = 60.0
"""Between two looks for files of datasets that were forgotten while a job still wrote them."""


@contextmanager
def running_sweeper(database: Database, settings: Settings) -> Iterator[None]:
    """Sweeps in a thread of its own for as long as the context is open. Several sweepers do no harm."""
    stop = threading.Event()
    thread = threading.Thread(target=_sweep_until, args=(stop, database, settings), name="sweeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sweep(database: Database, settings: Settings) -> None:
    """Looks once: reaps leases that ended, settles what waits for ended jobs, wakes workers that missed a job."""
    with database.read() as session:
        expired, unsettled = leases.expired_leases(session), leases.unsettled(session)
    if expired or unsettled:
        with database.write() as session:
            for row in leases.reap_expired(session, max_failures=settings.max_attempts_without_checkpoint):
                logger.warning("job %s: worker %s went silent; the job is %s now", row.id, row.worker, row.status)
            leases.settle_dependants(session)
    with database.read() as session:
        waiting = leases.claimable(session)
    for hardware in waiting:
        if queue.waiting(settings, hardware) == 0:
            queue.wake(settings, hardware)


def _sweep_until(stop: threading.Event, database: Database, settings: Settings) -> None:
    tidied = time.monotonic()
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep(database, settings)
            if time.monotonic() - tidied > TIDY_SECONDS:
                tidied = time.monotonic()
                forget_unused_files(database, settings)
        except (SQLAlchemyError, ConflictError):
            logger.exception("the sweeper could not look; it will in %s s", settings.sweep_seconds)
