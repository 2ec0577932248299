"""The processes of one installation on one machine: queue server, API, worker, UI."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend import queue_server
from backend.child import Child, how_it_ended
from backend.ports import LOOPBACK, free_port, holder, is_free, serves
from backend.queue_server import QueuePlace

MOST_SLOTS = 4
READY_SECONDS = 180.0
LOOK_SECONDS = 0.2


class StackError(Exception):
    """The stack cannot run; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stack is to be."""

    home: Path
    data_roots: Mapping[str, Path]
    redis_url: str
    """A queue server that runs already; empty starts one."""
    api_port: int
    ui_port: int
    slots: int | None
    """Jobs at once; None fits them to the machine."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What jobs can use."""

    cores: int
    hardware: str
    """Queue its worker serves: gpu or cpu."""

    @property
    def slots(self) -> int:
        """Jobs at once, unless the user says otherwise."""
        return 1 if self.hardware == "gpu" else min(self.cores, MOST_SLOTS)


class Stack:
    """The running processes; `say` takes lines for the user, `should_stop` ends a start that is under way."""

    def __init__(self, plan: Plan, *, say: Callable[[str], None], should_stop: Callable[[], bool]) -> None:
        self.plan = plan
        self.api_port = 0
        self.ui_port = 0
        self._say = say
        self._should_stop = should_stop
        self._place: QueuePlace | None = None
        self._children: dict[str, Child] = {}
        """In the order in which they start."""

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def ui_url(self) -> str:
        """Address for the browser."""
        return f"http://{LOOPBACK}:{self.ui_port}"

    def start(self) -> bool:
        """Starts everything and returns whether it is ready; False where the user has stopped it meanwhile.

        Raises:
            StackError: a process does not start; the caller stops the others.
        """
        require_parts()
        machine = look_at_machine()
        slots = self.plan.slots or machine.slots
        redis_url = self.plan.redis_url or self._start_queue()
        environment = self._environment(redis_url, machine)
        self._start_api(environment)
        self._start_ui(environment)
        self._wait_for("api", lambda: serves(self.api_port, "/readyz"), lambda: self._start_api(environment))
        # The API has brought the database up to date; only now may the worker read it.
        self._start_worker(environment, machine, slots)
        self._wait_for("ui", lambda: serves(self.ui_port, "/_stcore/health"), lambda: self._start_ui(environment))
        return not self._should_stop()

    def look(self) -> None:
        """Starts again what has ended without being asked to, after a pause that grows."""
        for child in self._children.values():
            code = child.ended()
            if code is not None:
                pause = child.plan_restart()
                self._say(
                    f"{_capital(child.name)} ended unexpectedly ({how_it_ended(code)}) and starts again in "
                    f"{pause:.0f} s. Its log: {child.log}"
                )
            elif child.restart_at is not None and time.monotonic() >= child.restart_at:
                child.start()

    def stop(self, *, hurry: Callable[[], bool]) -> None:
        """Ends everything in order, the queue last; what has not ended after its grace, or in a hurry, is killed."""
        for names in (("ui", "worker"), ("api",), ("queue",)):
            children = [self._children[name] for name in names if name in self._children]
            for child in children:
                child.ask_to_end()
            for child in children:
                deadline = time.monotonic() + child.grace
                while child.process is not None and child.process.poll() is None:
                    if hurry() or time.monotonic() > deadline:
                        break
                    time.sleep(0.05)
                child.kill()
        if self._place is not None:
            self._place.remove()

    def _start_queue(self) -> str:
        place = self._place = queue_server.make_place(self.plan.home)
        try:
            command = queue_server.queue_command(place)
        except queue_server.QueueServerMissing as error:
            raise StackError(str(error)) from error
        self._add("queue", "the queue server", command, os.environ, grace=10.0)
        self._wait_for("queue", lambda: queue_server.answers(place), None)
        return place.url

    def _start_api(self, environment: Mapping[str, str]) -> None:
        self.api_port = self._take_port("the API", self.api_port or self.plan.api_port)
        command = [
            *(sys.executable, "-m", "uvicorn", "backend.app:create_app", "--factory"),
            *("--host", LOOPBACK, "--port", str(self.api_port)),
            *("--timeout-graceful-shutdown", "3", "--no-access-log", "--no-use-colors"),
        ]
        self._add("api", "the API", command, environment, grace=10.0)

    def _start_ui(self, environment: Mapping[str, str]) -> None:
        self.ui_port = self._take_port("the UI", self.ui_port or self.plan.ui_port)
        script = importlib.util.find_spec("frontend.asgi")
        if script is None or script.origin is None:
            raise StackError("The UI's files are missing: install PairLab again.")
        command = [
            *(sys.executable, "-m", "streamlit", "run", script.origin),
            *("--server.headless", "true", "--server.address", LOOPBACK, "--server.port", str(self.ui_port)),
            *("--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"),
        ]
        self._add("ui", "the UI", command, environment, grace=5.0)

    def _start_worker(self, environment: Mapping[str, str], machine: Machine, slots: int) -> None:
        threads = str(max(1, machine.cores // slots))
        variables = ("PAIRLAB_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        command = [
            *(sys.executable, "-m", "celery", "-A", "worker.app", "worker"),
            *("--concurrency", str(slots), "--without-gossip", "--without-mingle"),
            *("-n", f"embedded-{os.getpid()}@%h", "--loglevel", "INFO"),
        ]
        self._add(
            "worker",
            "the worker",
            command,
            {**environment, **dict.fromkeys(variables, threads)},
            grace=40.0,
            niceness=10,
        )

    def _environment(self, redis_url: str, machine: Machine) -> dict[str, str]:
        # The UI reads the API's address from endpoints.json in the home, wherever the API had to move.
        environment = {name: value for name, value in os.environ.items() if name != "PAIRLAB_API_URL"}
        environment["PAIRLAB_HOME"] = str(self.plan.home)
        environment["PAIRLAB_REDIS_URL"] = redis_url
        environment["PAIRLAB_DATA_ROOTS"] = ":".join(f"{name}={at}" for name, at in self.plan.data_roots.items())
        environment["PYTHONUNBUFFERED"] = "1"
        environment["PAIRLAB_HARDWARE"] = machine.hardware
        return environment

    def _add(
        self,
        key: str,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        *,
        grace: float,
        niceness: int = 0,
    ) -> None:
        logs = self.plan.home / "logs"
        logs.mkdir(exist_ok=True)
        log = logs / f"{key}.log"
        if key not in self._children and log.exists():
            log.replace(logs / f"{key}.previous.log")
        child = Child(
            name=name,
            command=command,
            environment=environment,
            folder=self.plan.home,
            log=log,
            grace=grace,
            niceness=niceness,
        )
        self._children[key] = child
        child.start()

    def _take_port(self, name: str, wanted: int) -> int:
        port = free_port(wanted, but_not=frozenset({self.api_port, self.ui_port}) - {wanted, 0})
        if wanted not in (0, port):
            held_by = holder(wanted)
            self._say(f"Port {wanted} is busy{f' ({held_by})' if held_by else ''}; {name} takes {port}.")
        return port

    def _wait_for(self, key: str, ready: Callable[[], bool], start_elsewhere: Callable[[], None] | None) -> None:
        """Waits until a process serves; one that lost its port to another program moves."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._should_stop():
            child = self._children[key]
            code = child.ended()
            if code is None and ready():
                return
            if code is not None:
                port = {"api": self.api_port, "ui": self.ui_port}.get(key)
                if port is None or start_elsewhere is None or is_free(port):
                    raise StackError(
                        f"{_capital(child.name)} did not start ({how_it_ended(code)}). The end of {child.log}:\n"
                        f"{child.last_lines()}"
                    )
                start_elsewhere()
            if time.monotonic() > deadline:
                raise StackError(
                    f"{_capital(child.name)} is not ready after {READY_SECONDS:.0f} s. The end of {child.log}:\n"
                    f"{child.last_lines()}"
                )
            time.sleep(LOOK_SECONDS / 2)


def require_parts() -> None:
    """Raises StackError where an extra that the stack needs is not installed."""
    parts = {"uvicorn": "backend", "celery": "backend", "torch": "worker", "streamlit": "frontend"}
    missing = sorted({extra for module, extra in parts.items() if importlib.util.find_spec(module) is None})
    if missing:
        raise StackError(
            f"Parts of PairLab are not installed: pip install 'pairlab[{','.join(missing)}]' "
            f"(in a checkout: pip install -e '.[{','.join(missing)}]')."
        )


def look_at_machine() -> Machine:
    """Returns the cores this process may use, and the hardware: what PAIRLAB_HARDWARE names, else what is found."""
    hardware = os.environ.get("PAIRLAB_HARDWARE") or ("gpu" if _gpu_answers() else "cpu")
    return Machine(cores=_cores(), hardware=hardware)


def _cores() -> int:
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores


def _gpu_answers() -> bool:
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        listing = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and listing.stdout.startswith("GPU ")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
