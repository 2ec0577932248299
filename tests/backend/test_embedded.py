import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import redis

from backend.ports import LOOPBACK, NoFreePort, free_port, serves
from backend.queue_server import answers, make_place
from backend.stack import Machine
from tests.live_stack import LiveStack, clean_environment, log_tails, processes_of, running_stack


class Busy(NamedTuple):
    stack: LiveStack
    port: int
    """Taken before the stack asked for it."""


def command(*arguments: str, home: Path) -> list[str]:
    return [sys.executable, "-m", "backend.embedded", *arguments, "--home", str(home)]


def call(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(*arguments, home=home),
        capture_output=True,
        text=True,
        timeout=240,
        env=clean_environment(),
        check=False,
    )


def wait_until(holds: Callable[[], bool], *, seconds: float = 60.0, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def child_running(stack: LiveStack, word: str) -> psutil.Process | None:
    children = psutil.Process(stack.process.pid).children()
    return next((child for child in children if word in " ".join(child.cmdline())), None)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    """A stack that asked for a port which another program holds."""
    home = tmp_path_factory.mktemp("busy") / "home"
    data = tmp_path_factory.mktemp("data")
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with running_stack(home, {"data": data}, api_port=port) as stack:
            yield Busy(stack, port)


def test_a_busy_port_is_named_and_another_one_taken(busy: Busy) -> None:
    lines = (busy.stack.home / "up.log").read_text()
    port = int(busy.stack.api.rsplit(":", 1)[1])
    assert f"Port {busy.port} is busy" in lines
    assert f"process {os.getpid()}" in lines
    assert f"the API takes {port}." in lines
    assert port != busy.port
    assert serves(port, "/readyz")
    assert serves(int(busy.stack.ui.rsplit(":", 1)[1]), "/_stcore/health")


def test_endpoints_and_queue_are_private(busy: Busy) -> None:
    home = busy.stack.home
    endpoints = home / "endpoints.json"
    content = json.loads(endpoints.read_text())
    assert content.keys() == {"api", "ui", "pid", "data_roots"}
    assert content["pid"] == busy.stack.process.pid
    assert list(content["data_roots"]) == ["data"]
    assert endpoints.stat().st_mode & 0o777 == 0o600
    assert (home / "queue").stat().st_mode & 0o777 == 0o700
    server = child_running(busy.stack, "valkey.sock")
    assert server is not None
    assert not server.net_connections("inet")
    with redis.Redis(unix_socket_path=str(home / "queue" / "valkey.sock"), decode_responses=True) as queue:
        assert queue.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert queue.config_get("appendonly") == {"appendonly": "yes"}


def test_a_second_start_says_where_the_first_one_runs(busy: Busy) -> None:
    for arguments in (["up"], ["up", "--detach"]):
        second = call(*arguments, home=busy.stack.home)
        assert second.returncode == 0, second.stderr
        assert "already runs" in second.stdout
        assert busy.stack.ui in second.stdout


def test_a_second_start_with_another_data_root_is_refused(busy: Busy, tmp_path: Path) -> None:
    second = call("up", "--data-root", f"more={tmp_path}", home=busy.stack.home)
    assert second.returncode == 1
    assert "without the data root more" in second.stderr
    assert "pairlab down" in second.stderr


def test_status_of_a_running_stack(busy: Busy) -> None:
    status = call("status", home=busy.stack.home)
    assert status.returncode == 0
    assert busy.stack.api in status.stdout
    assert busy.stack.ui in status.stdout
    assert "does not answer" not in status.stdout


def test_the_worker_is_polite(busy: Busy) -> None:
    wait_until(lambda: child_running(busy.stack, "worker.app") is not None, what="the worker runs")
    worker = child_running(busy.stack, "worker.app")
    assert worker is not None
    assert worker.nice() >= 10
    assert int(worker.environ()["OMP_NUM_THREADS"]) == max(1, len(os.sched_getaffinity(0)) // 2)


def test_a_killed_api_starts_again_on_its_port(busy: Busy) -> None:
    api = child_running(busy.stack, "uvicorn")
    assert api is not None
    api.kill()
    port = int(busy.stack.api.rsplit(":", 1)[1])
    log = busy.stack.home / "up.log"
    wait_until(lambda: "The API ended unexpectedly (killed by SIGKILL)" in log.read_text(), what="a line that says so")
    wait_until(lambda: serves(port, "/readyz"), what="the API answers again")


def test_down_leaves_no_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    up = call("up", "--detach", "--api-port", "0", "--ui-port", "0", home=home)
    try:
        assert up.returncode == 0, up.stderr + log_tails(home)
        assert "PairLab is ready." in up.stdout
        assert len(processes_of(home)) >= 4
        down = call("down", home=home)
        assert down.returncode == 0, down.stderr
        assert not processes_of(home)
        assert not (home / "endpoints.json").exists()
        assert call("status", home=home).returncode == 1
        again = call("down", home=home)
        assert again.returncode == 0
        assert "does not run" in again.stdout
    finally:
        kill_all(home)


def test_nothing_survives_a_killed_stack_and_the_next_start_is_not_fooled(tmp_path: Path) -> None:
    home = tmp_path / "home"
    try:
        with running_stack(home, {}) as stack:
            wait_until(lambda: child_running(stack, "worker.app") is not None, what="the worker runs")
            stack.process.kill()
            stack.process.wait()
            wait_until(lambda: not processes_of(home), seconds=20.0, what="all children are gone")
        assert (home / "endpoints.json").exists()
        assert call("status", home=home).returncode == 1
        with running_stack(home, {}) as stack:
            assert json.loads((home / "endpoints.json").read_text())["pid"] == stack.process.pid
            stack.process.send_signal(signal.SIGINT)
            assert stack.process.wait(60) == 0
            assert not processes_of(home)
    finally:
        kill_all(home)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data-root", "xbd=/nowhere/at/all"], "there is no folder /nowhere/at/all"),
        (["--data-root", "/tmp"], "write NAME=FOLDER"),
        (["--data-root", "x/y=/tmp"], "write NAME=FOLDER"),
    ],
)
def test_bad_data_roots_are_refused_in_a_sentence(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    refused = call("up", *arguments, home=tmp_path / "home")
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("arguments", [["--api-port", "70000"], ["--slots", "0"], ["--ui-port", "web"]])
def test_bad_numbers_are_usage_errors(arguments: list[str], tmp_path: Path) -> None:
    assert call("up", *arguments, home=tmp_path / "home").returncode == 2


def test_a_home_that_cannot_be_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = call("up", home=tmp_path / "file")
    assert refused.returncode == 1
    assert str(tmp_path / "file") in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_long_home_gets_a_short_private_socket(tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20) / "home"
    place = make_place(home)
    assert place.folder == home / "queue"
    assert len(os.fsencode(place.socket)) <= 100
    assert place.socket.parent.stat().st_mode & 0o777 == 0o700
    assert place.url == f"redis+socket://{place.socket}"
    assert not answers(place)
    place.remove()
    assert not place.socket.parent.exists()
    assert place.folder.exists()


def test_free_ports() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        assert free_port(taken) != taken
        if taken < 2**16 - 2:
            assert free_port(taken, but_not=frozenset({taken + 1})) > taken + 1
    assert free_port(0) > 0
    with pytest.raises(NoFreePort, match="are all busy"):
        free_port(2**16 - 1, but_not=frozenset({2**16 - 1}))


@pytest.mark.parametrize(
    ("machine", "slots"),
    [(Machine(2, "cpu"), 2), (Machine(1, "cpu"), 1), (Machine(64, "cpu"), 4), (Machine(8, "gpu"), 1)],
)
def test_slots_fit_the_machine(machine: Machine, slots: int) -> None:
    assert machine.slots == slots


def test_the_stack_imports_no_torch() -> None:
    code = "import sys, backend.embedded; sys.exit('torch' in sys.modules or 'celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def kill_all(home: Path) -> None:
    for process in processes_of(home):
        process.kill()
