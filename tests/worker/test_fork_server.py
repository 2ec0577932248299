import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.backend.jobs.waiting_jobs import planned_jobs
from tests.worker.whole_run import describe, follow, run_whole
from worker.fork_server import ForkServer
from worker.protocol import EXIT_CRASHED, EXIT_REFUSED


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer(threads=2)
    server.start()
    yield server
    server.stop()


def test_a_run_tells_its_story_and_the_next_starts_at_once(server: ForkServer, tmp_path: Path) -> None:
    pretrain, _ = planned_jobs(steps=4, checkpoint_every=2)
    first = run_whole(server, describe(pretrain, tmp_path / "1"))
    assert (first.status, first.stdout, first.stderr) == (0, "", "")
    told = [event for event in first.events if event["event"] not in ("metrics", "log")]
    assert [event["event"] for event in told if event.get("kind") != "embedding_map"] == [
        "started",
        "saved",
        "saved",
        "saved",
        "finished",
    ]
    began = time.monotonic()
    run = server.launch(describe(pretrain, tmp_path / "2"))
    while run.pid is None:
        assert run.read_news()
    assert time.monotonic() - began < 3.0
    again = follow(run)
    losses = [
        [event["values"]["loss"] for event in each.events if event["event"] == "metrics"] for each in (first, again)
    ]
    assert losses[0] == losses[1]


def test_threads_work_in_a_forked_run(server: ForkServer, tmp_path: Path) -> None:
    pretrain, _ = planned_jobs(steps=2)
    assert run_whole(server, describe(pretrain, tmp_path / "1", threads=2)).status == 0


def test_a_request_the_science_refuses_is_told_as_a_sentence(server: ForkServer, tmp_path: Path) -> None:
    pretrain, _ = planned_jobs(pairs=5000)
    refused = run_whole(server, describe(pretrain, tmp_path / "1"))
    assert (refused.status, refused.stderr) == (EXIT_REFUSED, "")
    assert refused.events[-1]["event"] == "refused"
    assert refused.events[-1]["sentence"]


def test_a_crash_leaves_its_traceback_in_the_log(server: ForkServer, tmp_path: Path) -> None:
    pretrain, _ = planned_jobs(steps=2)
    (tmp_path / "occupied").write_text("")
    crashed = run_whole(server, describe(pretrain, tmp_path / "1", index_folder=tmp_path / "occupied"))
    assert crashed.status == EXIT_CRASHED
    assert crashed.events[-1]["event"] == "crashed"
    assert crashed.events[-1]["error"].startswith("FileExistsError: ")
    assert "Traceback" in crashed.stderr


def test_a_run_asked_to_stop_before_it_began_stops(server: ForkServer, tmp_path: Path) -> None:
    pretrain, _ = planned_jobs(steps=2000)
    run = server.launch(describe(pretrain, tmp_path / "1"))
    run.send(signal.SIGTERM)
    stopped = follow(run)
    assert stopped.status == 0
    assert stopped.events[-1]["event"] == "finished"
    assert stopped.events[-1]["stopped"] is True


def test_runs_die_with_the_server_and_it_starts_again(tmp_path: Path) -> None:
    server = ForkServer(threads=1)
    pretrain, _ = planned_jobs(steps=2000)
    run = server.launch(describe(pretrain, tmp_path / "1"))
    while run.pid is None:
        assert run.read_news()
    parent = psutil.Process(run.pid).ppid()
    os.kill(parent, signal.SIGKILL)
    assert follow(run).status is None
    psutil.wait_procs([psutil.Process(run.pid)] if psutil.pid_exists(run.pid) else [], timeout=5)
    assert not psutil.pid_exists(run.pid)
    short, _ = planned_jobs(steps=2)
    assert run_whole(server, describe(short, tmp_path / "2")).status == 0
    server.stop()
