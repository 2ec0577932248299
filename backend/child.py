"""One process of the stack: started, watched, ended together with all it started itself."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A process that has run so long begins with the first pause again."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Child:
    """A process with its log; `grace` is the time in seconds between asking it to end and killing it."""

    name: str
    """As a sentence says it: the API, the worker, …"""
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    grace: float
    niceness: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    restart_at: float | None = None
    pause: float = field(default=FIRST_PAUSE)

    def start(self) -> None:
        """Starts the process; it dies with this one, whatever kills it."""
        parent, niceness = os.getpid(), self.niceness

        def prepare() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            os.nice(niceness)

        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=dict(self.environment),
                start_new_session=True,
                preexec_fn=prepare,
            )
        self.started, self.restart_at = time.monotonic(), None

    def ended(self) -> int | None:
        """Returns the exit code of a process that has ended, None while it runs or waits for its restart."""
        return None if self.process is None else self.process.poll()

    def plan_restart(self) -> float:
        """Clears away what is left of the process and returns the seconds until it starts again."""
        self.kill()
        if time.monotonic() - self.started > STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE)
        self.process, self.restart_at = None, time.monotonic() + pause
        return pause

    def ask_to_end(self) -> None:
        """Sends SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """Kills the process and all that is left of its group."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_lines(self, count: int = 15) -> str:
        """Returns the end of the log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - 20_000))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


def how_it_ended(code: int) -> str:
    """Returns an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
