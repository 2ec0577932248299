"""A process that has imported the science once and forks itself for each job, which then starts in milliseconds.

The server never touches a tensor or a GPU, so that what it forks is as good as new.
"""

import ctypes
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType

from worker.protocol import EXIT_CRASHED, Description

PR_SET_PDEATHSIG = 1
_LENGTH = struct.Struct("<I")
_NUMBER = struct.Struct("<i")
_STOP_SECONDS = 5.0


@dataclass
class ForkedRun:
    """A run as its supervisor holds it: three pipes, and a socket on which the server tells its id and its end."""

    events: int
    stdout: int
    stderr: int
    news: socket.socket
    pid: int | None = None
    """None until the server, which may still be importing, has forked."""
    status: int | None = None
    """As of `os.waitstatus_to_exitcode`: negative for a signal."""
    _signal: signal.Signals | None = field(default=None, repr=False)

    def read_news(self) -> bool:
        """Takes in what the server tells; returns False once there is nothing more to come."""
        message = self.news.recv(_NUMBER.size)
        if not message:
            return False
        (number,) = _NUMBER.unpack(message)
        if self.pid is None:
            self.pid = number
            if self._signal is not None:
                self.send(self._signal)
        else:
            self.status = number
        return True

    def send(self, signal_: signal.Signals) -> None:
        """Sends a signal to the run and all it started; kept for later while it has no id yet."""
        if self.pid is None:
            self._signal = signal_
        elif self.status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal_)

    def close(self) -> None:
        """Closes what leads to the run."""
        for descriptor in (self.events, self.stdout, self.stderr):
            os.close(descriptor)
        self.news.close()


class ForkServer:
    """The server as a worker holds it: started when needed, started again if it died, gone with the worker."""

    def __init__(self, *, threads: int) -> None:
        self._environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Starts the server, unless it runs; importing takes it a few seconds, and nobody has to wait for that."""
        with self._lock:
            self._running_socket()

    def launch(self, description: Description) -> ForkedRun:
        """Returns the run of a job, which begins as soon as the server has imported everything."""
        with self._lock:
            ours, run = _open_run()
            try:
                try:
                    _send(self._running_socket(), description, ours)
                except (BrokenPipeError, ConnectionResetError):
                    self._close()
                    _send(self._running_socket(), description, ours)
            except OSError:
                run.close()
                raise
            finally:
                for descriptor in ours:
                    os.close(descriptor)
        return run

    def stop(self) -> None:
        """Ends the server; runs that still go on are killed with it."""
        with self._lock:
            self._close()

    def _running_socket(self) -> socket.socket:
        if self._socket is not None and self._process is not None and self._process.poll() is None:
            return self._socket
        self._close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,  # Ctrl-C in a terminal is for the worker alone
            )
        self._socket = ours
        return ours

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
            self._process = None


def _open_run() -> tuple[list[int], ForkedRun]:
    """Returns the run's ends of three pipes and a socket, and the supervisor's."""
    pipes = [os.pipe() for _ in range(3)]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (events, stdout, stderr) = (read for read, _ in pipes)
    for descriptor in (events, stdout, stderr):
        os.set_blocking(descriptor, False)
    run = ForkedRun(events=events, stdout=stdout, stderr=stderr, news=ours)
    return [*(write for _, write in pipes), theirs.detach()], run


def _send(server: socket.socket, description: Description, descriptors: list[int]) -> None:
    content = json.dumps(description).encode()
    socket.send_fds(server, [_LENGTH.pack(len(content))], descriptors)
    server.sendall(content)


def _receive(control: socket.socket) -> tuple[Description, list[int]] | None:
    """Returns the next request; None once the worker is gone."""
    header, descriptors, _, _ = socket.recv_fds(control, _LENGTH.size, 4)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    content = control.recv(length, socket.MSG_WAITALL)
    if len(content) < length:
        return None
    description: Description = json.loads(content)
    return description, descriptors


def serve(control: socket.socket) -> None:
    """Forks a run for each request until the worker is gone; runs then die with this process."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _noticed)
    # Whoever stops a whole tree of processes must not end the runs through their parent's death.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    news: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            _drain(woken)
            _tell_ended(news)
        if control.fileno() in ready:
            request = _receive(control)
            if request is None:
                return
            _fork(*request, news=news, own=[control.fileno(), woken, wake])


def _fork(description: Description, descriptors: list[int], *, news: dict[int, socket.socket], own: list[int]) -> None:
    server, pid = os.getpid(), os.fork()
    if pid == 0:
        try:
            status = _run(description, descriptors, server, [*own, *(each.fileno() for each in news.values())])
        except BaseException:
            traceback.print_exc()
            status = EXIT_CRASHED
        os._exit(status)
    # Both sides set the group: whoever is told the id may send a signal to it before the run has come so far.
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)
    *pipes, told = descriptors
    for descriptor in pipes:
        os.close(descriptor)
    news[pid] = socket.socket(fileno=told)
    _tell(news[pid], pid)


def _run(description: Description, descriptors: list[int], server: int, not_ours: list[int]) -> int:
    """Returns the exit status of a run, in the process that was forked for it."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        return EXIT_CRASHED
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    events, stdout, stderr, told = descriptors
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    for descriptor in (*not_ours, stdout, stderr, told):
        os.close(descriptor)
    from worker.run_job import run_job

    status = run_job(description, pipe=events)
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _tell_ended(news: dict[int, socket.socket]) -> None:
    for pid in list(news):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            continue
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what the run started, while its id cannot be another's yet
        _, status = os.waitpid(pid, 0)
        with news.pop(pid) as told:
            _tell(told, os.waitstatus_to_exitcode(status))


def _tell(told: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody asks any more
        told.send(_NUMBER.pack(number))


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        while os.read(descriptor, 4096):
            pass


def _noticed(_signal: int, _frame: FrameType | None) -> None:
    """Lets the wake-up descriptor tell."""


def _prepare() -> None:
    """Does once what every run would do anew, short of touching a tensor."""
    import pyarrow

    from pairlab.engine.allocation import keep_freed_memory

    import_module("worker.run_job")
    pyarrow.array([0])  # looks for pandas: half a second where there is one
    keep_freed_memory()
    gc.freeze()


if __name__ == "__main__":
    _prepare()
    serve(socket.socket(fileno=int(sys.argv[1])))
