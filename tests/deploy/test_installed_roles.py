"""Each role as its image has it: its extra in an environment of its own, the Dockerfile's entry point and health check.

The worker's libraries are too big to be installed for a test: pip resolves its extra, and its entry point runs here.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from backend import queue_server
from tests.deploy.conftest import ROOT
from tests.deploy.dockerfile import Dockerfile
from tests.deploy.extras import closure
from tests.deploy.test_dockerfile import EXTRAS, PORTS
from tests.deploy.test_roles import FOREIGN, import_command

pytestmark = pytest.mark.slow
HEALTHY_SECONDS = 120.0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PairLab, built as the Dockerfile builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[str]:
    """URL of a real queue server."""
    place = queue_server.make_place(tmp_path / "queue-home")
    server = subprocess.Popen(queue_server.queue_command(place), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not queue_server.answers(place):
            assert time.monotonic() < deadline, "the queue server did not start"
            time.sleep(0.05)
        yield place.url
    finally:
        server.terminate()
        server.wait(30)
        place.remove()


@pytest.mark.parametrize("target", ["api", "ui"])
def test_a_role_serves_from_its_extra_alone(
    target: str, wheel: Path, queue: str, dockerfile: Dockerfile, tmp_path: Path
) -> None:
    extra = EXTRAS[target]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    _pip("--python", str(python), "install", "--only-binary=:all:", f"{wheel}[{extra}]")
    listed = "import importlib.metadata as m, json; print(json.dumps([each.name for each in m.distributions()]))"
    installed = {canonicalize_name(name) for name in json.loads(_output(python, listed, tmp_path))}
    assert not FOREIGN[extra] & installed
    _output(python, import_command(extra), tmp_path)

    port = str(_free_port())
    entry_point, health_check = _commands(dockerfile, target, {PORTS[target]: port, "0.0.0.0": "127.0.0.1"})
    packages = _output(python, "import sysconfig; print(sysconfig.get_path('purelib'))", tmp_path)
    entry_point = [
        f"{packages}/frontend/asgi.py" if word.endswith("frontend/asgi.py") else word for word in entry_point
    ]
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PAIRLAB_HOME": str(tmp_path / "home"),
        **({"PAIRLAB_REDIS_URL": queue} if target == "api" else {}),
    }
    with _running(entry_point, environment, tmp_path):
        _wait_until_healthy(health_check, environment, tmp_path)
    assert _health(health_check, environment, tmp_path) != 0, "nothing runs any more"


def test_a_worker_is_healthy_while_it_beats(queue: str, dockerfile: Dockerfile, tmp_path: Path) -> None:
    entry_point, health_check = _commands(dockerfile, "worker-cpu", {})
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PAIRLAB_HOME": str(tmp_path / "home"),
        "PAIRLAB_REDIS_URL": queue,
    }
    assert _health(health_check, environment, tmp_path) != 0
    with _running(entry_point, environment, tmp_path):
        _wait_until_healthy(health_check, environment, tmp_path)
    assert _health(health_check, environment, tmp_path) != 0, "a worker that stops says so"


def test_pip_resolves_the_worker_to_what_its_import_was_tested_with(wheel: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    _pip("install", "--dry-run", "--ignore-installed", "--report", str(report), f"{wheel}[worker]")
    resolved = {canonicalize_name(each["metadata"]["name"]) for each in json.loads(report.read_text())["install"]}
    assert not FOREIGN["worker"] & resolved
    assert {"torch", "celery", "sqlalchemy", "psycopg-binary"} <= resolved
    assert resolved - {"pairlab"} <= set(closure("worker")) | {"tzdata"}


def _commands(dockerfile: Dockerfile, target: str, changes: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Entry point and health check with other ports and addresses."""
    found = []
    for name in ("ENTRYPOINT", "HEALTHCHECK"):
        command = dockerfile.last(target, name).exec_form
        assert command is not None
        for old, new in changes.items():
            command = [word.replace(old, new) for word in command]
        found.append(command)
    return found[0], found[1]


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Runs an entry point until the block ends; it must then end on SIGTERM, as an engine sends it."""
    log = folder / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
        assert process.poll() is None, log.read_text()[-4000:]
        process.terminate()
        process.wait(30)
    except BaseException:
        sys.stderr.write(log.read_text()[-4000:])
        raise
    finally:
        process.kill()
        process.wait()


def _wait_until_healthy(command: list[str], environment: Mapping[str, str], folder: Path) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while _health(command, environment, folder) != 0:
        assert time.monotonic() < deadline, f"not healthy after {HEALTHY_SECONDS:.0f} s"
        time.sleep(0.5)


def _health(command: list[str], environment: Mapping[str, str], folder: Path) -> int:
    checked = subprocess.run(command, env=environment, cwd=folder, capture_output=True, timeout=60, check=False)
    return checked.returncode


def _output(python: Path, code: str, folder: Path) -> str:
    done = subprocess.run(
        [python, "-I", "-c", code], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
