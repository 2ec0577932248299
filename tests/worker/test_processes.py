"""One job in one process and in two, from the fork server to the database."""

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from pairlab.experiment.jobs import PlannedJob, PretrainJob
from tests.backend.jobs.waiting_jobs import planned_jobs
from tests.worker.conftest import Installation, runs_of, wait_until
from tests.worker.test_kill import CHECKPOINT_EVERY, STEPS, alive, assert_told_once, lines_of
from tests.worker.whole_run import Whole, describe, follow, run_whole
from worker.fork_server import ForkServer
from worker.processes import processes_for
from worker.protocol import EXIT_REFUSED


def in_parts(*, steps: int, checkpoint_every: int, pairs: int = 40, **changes: Any) -> PlannedJob:  # noqa: ANN401
    """Returns a small pretraining in two parts, in float32."""
    planned, _ = planned_jobs(steps=steps, checkpoint_every=checkpoint_every, pairs=pairs)
    config = planned.config.model_dump()
    config |= {"chip_size": 64, **changes}
    config["pretraining"] |= {"parts": 2, "batch_size": 8, "precision": "float32"}
    return planned.model_copy(update={"config": PretrainJob.model_validate(config)})


def losses(whole: Whole) -> list[float]:
    return [event["values"]["loss"] for event in whole.events if event["event"] == "metrics"]


def weights(whole: Whole) -> dict[str, torch.Tensor]:
    (path,) = [event["path"] for event in whole.events if event["event"] == "saved" and event["kind"] == "weights"]
    return load_file(path)


@pytest.fixture
def server() -> Any:  # noqa: ANN401
    server = ForkServer(threads=1)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("parts", "allowed", "devices", "count"),
    [(1, 4, 0, 1), (2, 2, 0, 2), (6, 4, 0, 3), (6, 4, 2, 2), (6, 4, 8, 3), (4, 64, 0, 4), (7, 4, 0, 1)],
)
def test_as_many_processes_as_divide_the_parts(parts: int, allowed: int, devices: int, count: int) -> None:
    assert processes_for(parts, allowed=allowed, devices=devices) == count


@pytest.mark.parametrize(
    "method",
    [
        {"name": "moco", "queue_size": 32, "hidden_dim": 32, "embedding_dim": 16},
        pytest.param({"name": "pixel_infonce"}, marks=pytest.mark.slow),
    ],
    ids=lambda method: str(method["name"]),
)
def test_two_processes_learn_what_one_learns(server: ForkServer, tmp_path: Path, method: dict[str, Any]) -> None:
    job = in_parts(steps=8, checkpoint_every=8, method=method)
    one = run_whole(server, describe(job, tmp_path / "one"))
    two = run_whole(server, describe(job, tmp_path / "two", processes=2, threads=2))
    for whole in (one, two):
        assert (whole.status, whole.stdout, whole.stderr) == (0, "", "")
    assert {"event": "log", "text": "2 processes share pretraining.parts = 2"} in two.events
    names = [[event["event"] for event in whole.events if event["event"] != "log"] for whole in (one, two)]
    assert names[0] == names[1]
    assert len(losses(two)) == 8
    assert losses(two) == pytest.approx(losses(one), rel=1e-4)
    expected, found = weights(one), weights(two)
    assert found.keys() == expected.keys()
    start = max(float((value - found[name]).abs().max()) for name, value in expected.items())
    assert start < 1e-3


@pytest.mark.slow
def test_a_refusal_of_all_processes_is_told_once(server: ForkServer, tmp_path: Path) -> None:
    refused = run_whole(server, describe(in_parts(steps=2, checkpoint_every=2, pairs=5000), tmp_path, processes=2))
    assert (refused.status, refused.stderr) == (EXIT_REFUSED, "")
    assert [event["event"] for event in refused.events].count("refused") == 1
    assert "5,000" in refused.events[-1]["sentence"] or "5000" in refused.events[-1]["sentence"]


@pytest.mark.slow
def test_a_run_of_two_processes_that_is_asked_to_stop_before_it_began_stops(server: ForkServer, tmp_path: Path) -> None:
    run = server.launch(describe(in_parts(steps=2000, checkpoint_every=1000), tmp_path, processes=2))
    run.send(signal.SIGTERM)
    stopped = follow(run)
    assert (stopped.status, stopped.stderr) == (0, "")
    assert stopped.events[-1]["event"] == "finished"
    assert stopped.events[-1]["stopped"] is True
    assert stopped.events[-1]["step"] == 1


@pytest.mark.slow
def test_a_worker_runs_a_job_in_two_processes_and_goes_on_when_one_is_killed(
    installation: Installation, tmp_path: Path
) -> None:
    installation.settings = installation.settings.model_copy(update={"processes_per_job": 2})
    worker = installation.start_worker()
    job = in_parts(steps=STEPS, checkpoint_every=CHECKPOINT_EVERY)
    (job_id,) = installation.submit((job,))
    installation.wait(job_id, lambda job: job.step > CHECKPOINT_EVERY + 4)
    (launcher,) = runs_of(worker)
    members = members_of(launcher)
    assert len(members) == 2
    members[1].kill()
    wait_until(lambda: not any(map(alive, members)), 20, "a process outlives its team")
    done = installation.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt) == ("succeeded", 2)
    lines = [line or "" for line in lines_of(installation, job_id)]
    assert any("killed by SIGKILL" in line and "of 2" in line for line in lines)
    assert any("attempt 2 goes on from step" in line for line in lines)
    server = ForkServer(threads=1)
    whole = run_whole(server, describe(job, tmp_path / "uninterrupted", processes=2))
    server.stop()
    assert assert_told_once(installation, job_id) == losses(whole)


def members_of(launcher: psutil.Process) -> list[psutil.Process]:
    """Returns the processes of a team in the order of their start; multiprocessing's own helper is none."""
    return [each for each in launcher.children() if any("spawn_main" in word for word in each.cmdline())]
