"""Watches over one run: writes down what it tells, keeps its lease, and turns its end into a state of the job."""

import logging
import selectors
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.database import Database, now
from backend.jobs import events, leases, outputs
from backend.jobs.events import Line
from backend.jobs.leases import Claim, StaleFenceError
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from backend.settings import Settings
from worker.describing import CHECKPOINTS_KEPT, describe
from worker.fork_server import ForkedRun, ForkServer
from worker.protocol import EXIT_DONE, EXIT_REFUSED, Description
from worker.run_output import STREAMS, RunOutput
from worker.told_warnings import ToldWarnings

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
FLUSH_SECONDS = 0.2
"""Between two writes into the database, so that a chatty run does not keep it busy."""
LOOK_SECONDS = 1.0
"""Between two looks for a wish of the user."""
Ending = Callable[[Session], JobRow]


class Supervisor:
    """Runs one claimed job to its end, to a wish of the user, or until the worker stops."""

    def __init__(
        self,
        claimed: Claim,
        *,
        database: Database,
        settings: Settings,
        fork_server: ForkServer,
        threads: int,
        stopping: threading.Event,
        devices: Sequence[str] = (),
    ) -> None:
        self._claimed, self._database, self._settings = claimed, database, settings
        self._fork_server, self._threads, self._stopping = fork_server, threads, stopping
        self._devices = list(devices)
        self._output = RunOutput(ToldWarnings({}), attempt=claimed.attempt)
        self._lease_ends = time.monotonic() + settings.lease_seconds
        self._looked = self._renewed = self._flushed = time.monotonic()
        self._kill_at: float | None = None
        self._superseded: list[str] = []

    def run(self) -> JobStatus | None:
        """Returns the job's state after the run; None where the job was taken away from this worker."""
        run: ForkedRun | None = None
        try:
            run = self._fork_server.launch(self._describe())
            self._watch(run)
            return self._conclude(self._ending(run))
        except StaleFenceError as error:
            logger.warning("%s; its run is killed", error)
            return None
        except Exception as error:
            logger.exception("job %s: its supervisor failed", self._claimed.job_id)
            self._output.forget()
            return self._conclude(self._losing(f"its supervisor failed with {type(error).__name__}: {error}"))
        finally:
            if run is not None:
                _kill(run)

    def _describe(self) -> Description:
        with self._database.read() as session:
            warnings = ToldWarnings(session.get_one(JobRow, self._claimed.job_id).facts)
            self._output = RunOutput(warnings, attempt=self._claimed.attempt)
            return describe(
                session,
                self._claimed,
                settings=self._settings,
                warned=warnings.kinds,
                threads=self._threads,
                devices=self._devices,
            )

    def _watch(self, run: ForkedRun) -> None:
        """Takes in what the run tells until it has ended and its pipes are empty."""
        with selectors.DefaultSelector() as selector:
            for name in STREAMS:
                selector.register(getattr(run, name), selectors.EVENT_READ, name)
            selector.register(run.news, selectors.EVENT_READ, "news")
            while selector.get_map():
                for key, _ in selector.select(TICK_SECONDS):
                    if not (_read_news(run) if key.data == "news" else self._output.read(key.fd, key.data)):
                        selector.unregister(key.fileobj)
                self._flush()
                self._keep_lease()
                self._heed_wishes(run)

    def _flush(self) -> None:
        """Writes down what was told; where the database does not answer, it is told again later."""
        if not self._output.told or time.monotonic() - self._flushed < FLUSH_SECONDS:
            return
        self._flushed = time.monotonic()
        try:
            with self._database.write() as session:
                self._write_told(session)
        except SQLAlchemyError:
            logger.exception("job %s: the database does not take what the run tells", self._claimed.job_id)
            return
        self._output.forget()
        self._delete_superseded()

    def _write_told(self, session: Session) -> None:
        told, claimed = self._output.told, self._claimed
        self._superseded = []
        leases.hold(session, claimed, **told.columns)
        events.record(session, claimed, points=told.points, lines=told.lines)
        for saved in told.files:
            path = Path(saved["path"])
            outputs.record_file(
                session,
                claimed,
                kind=saved["kind"],
                step=saved["step"],
                path=str(path.relative_to(self._settings.artifacts)),
                size=path.stat().st_size,
                sha256=saved["sha256"],
                details=saved["details"],
            )
        if any(saved["kind"] == "checkpoint" for saved in told.files):
            self._superseded = outputs.forget_checkpoints(session, claimed, keep=CHECKPOINTS_KEPT)

    def _delete_superseded(self) -> None:
        """Deletes the files of checkpoints whose rows a committed transaction has removed."""
        for path in self._superseded:
            with suppress(OSError):  # what is left takes room and does no other harm
                (self._settings.artifacts / path).unlink(missing_ok=True)
        self._superseded = []

    def _keep_lease(self) -> None:
        """Renews the lease at a quarter of its time; raises StaleFenceError once it has surely ended."""
        began, seconds = time.monotonic(), self._settings.lease_seconds
        if began - self._renewed < seconds / 4:
            return
        self._renewed = began
        try:
            with self._database.write() as session:
                leases.renew(session, self._claimed, lease_seconds=seconds)
            self._lease_ends = began + seconds
        except SQLAlchemyError as error:
            logger.exception("job %s: the lease could not be renewed", self._claimed.job_id)
            if time.monotonic() > self._lease_ends:
                raise StaleFenceError(self._claimed) from error

    def _heed_wishes(self, run: ForkedRun) -> None:
        """Asks the run to stop where user or worker want it, and kills it where it does not heed that in time."""
        moment = time.monotonic()
        if self._kill_at is not None:
            if moment > self._kill_at:
                run.send(signal.SIGKILL)
            return
        wanted = self._stopping.is_set()
        if not wanted and moment - self._looked >= LOOK_SECONDS:
            self._looked = moment
            try:
                with self._database.read() as session:
                    wanted = leases.wish_of(session, self._claimed) is not None
            except SQLAlchemyError:
                logger.exception("job %s: the database cannot be asked for wishes", self._claimed.job_id)
        if wanted:
            run.send(signal.SIGTERM)
            self._kill_at = moment + self._settings.cancel_grace_seconds

    def _conclude(self, ending: Ending) -> JobStatus | None:
        """Returns the state that the run's end makes; tries for as long as the lease lasts."""
        while True:
            try:
                with self._database.write() as session:
                    self._write_told(session)
                    status = JobStatus(ending(session).status)
                self._delete_superseded()
                return status
            except StaleFenceError:
                return None
            except SQLAlchemyError:
                logger.exception("job %s: its end could not be written down", self._claimed.job_id)
                if time.monotonic() > self._lease_ends:
                    return None
                time.sleep(LOOK_SECONDS)

    def _ending(self, run: ForkedRun) -> Ending:
        claimed, ended = self._claimed, self._output.ended
        if run.status == EXIT_DONE and ended.get("event") == "finished" and not ended["stopped"]:
            return self._succeeding(ended["results"])
        if run.status == EXIT_REFUSED and ended.get("event") == "refused":
            return lambda session: leases.finish(session, claimed, "failed", error=ended["sentence"])
        if self._kill_at is not None or ended.get("stopped"):
            return lambda session: leases.give_back(session, claimed)
        return self._losing(_reason(run, ended))

    def _succeeding(self, results: dict[str, Any]) -> Ending:
        def succeed(session: Session) -> JobRow:
            self._superseded += outputs.forget_checkpoints(session, self._claimed, keep=1)
            kept = {**results, **self._output.warnings.results()}
            return leases.finish(session, self._claimed, "succeeded", results=kept)

        return succeed

    def _losing(self, reason: str) -> Ending:
        claimed, limit = self._claimed, self._settings.max_attempts_without_checkpoint
        logger.warning("job %s, attempt %s died: %s", claimed.job_id, claimed.attempt, reason)
        line = Line("pairlab", f"attempt {claimed.attempt} died: {reason}", now())

        def lose(session: Session) -> JobRow:
            events.record(session, claimed, lines=[line])
            return leases.lose(session, claimed, reason=reason, max_failures=limit)

        return lose


def _read_news(run: ForkedRun) -> bool:
    return run.read_news() and run.status is None


def _reason(run: ForkedRun, ended: dict[str, Any]) -> str:
    if ended.get("event") == "crashed":
        return f"it crashed with {ended['error']}"
    if run.status is None:
        return "its process could not be started or was lost; the worker's own log says why"
    if run.status < 0:
        name = signal.Signals(-run.status).name
        hint = " (too little memory is the usual cause)" if name == "SIGKILL" else ""
        return f"it was killed by {name}{hint}"
    return f"its process ended with status {run.status}"


def _kill(run: ForkedRun) -> None:
    """Makes sure that nothing of a run is left, and closes what leads to it."""
    run.send(signal.SIGKILL)
    while run.status is None and run.read_news():
        pass
    run.close()
