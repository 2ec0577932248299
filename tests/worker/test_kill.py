"""Whatever is killed, the job goes on from its checkpoint, and nobody is told anything twice."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from backend.jobs import events, workers
from backend.jobs.tables import JobEventRow
from pairlab.experiment.jobs import PlannedJob
from tests.backend.jobs.waiting_jobs import planned_jobs
from tests.worker.conftest import Installation, runs_of, wait_until
from tests.worker.whole_run import describe, run_whole
from worker.fork_server import ForkServer

STEPS = 60
CHECKPOINT_EVERY = 10


def job_with_checkpoints(seed: int) -> tuple[PlannedJob, ...]:
    return planned_jobs(seeds=(seed,), steps=STEPS, checkpoint_every=CHECKPOINT_EVERY)[:1]


def assert_told_once(installation: Installation, job_id: str) -> list[float | None]:
    """Returns the losses, after checking that each step was told once."""
    with installation.database.read() as session:
        tail = events.tail(session, job_id, after=0, limit=100_000)
    assert tail is not None
    assert [event.seq for event in tail.events] == list(range(1, tail.last_seq + 1))
    steps = [event.step for event in tail.events if event.metric == "loss"]
    assert steps == list(range(1, STEPS + 1))
    return [event.value for event in tail.events if event.metric == "loss"]


def lines_of(installation: Installation, job_id: str) -> list[str | None]:
    with installation.database.read() as session:
        query = select(JobEventRow.text).where(JobEventRow.job_id == job_id, JobEventRow.kind == "log")
        return list(session.scalars(query.order_by(JobEventRow.seq)))


def assert_went_on_from_a_checkpoint(installation: Installation, job_id: str) -> None:
    resumed = [line for line in lines_of(installation, job_id) if line is not None and "goes on from step" in line]
    assert resumed
    assert int(resumed[0].rsplit(" ", 1)[1]) >= CHECKPOINT_EVERY


def family(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]


def uninterrupted_losses(planned: PlannedJob, folder: Path) -> list[float]:
    server = ForkServer(threads=1)
    whole = run_whole(server, describe(planned, folder))
    server.stop()
    return [event["values"]["loss"] for event in whole.events if event["event"] == "metrics"]


def test_a_killed_run_goes_on_bit_for_bit_from_its_checkpoint(installation: Installation, tmp_path: Path) -> None:
    worker = installation.start_worker()
    planned = job_with_checkpoints(0)
    (job_id,) = installation.submit(planned)
    installation.wait(job_id, lambda job: job.step > CHECKPOINT_EVERY + 4)
    (run,) = runs_of(worker)
    run.kill()
    done = installation.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt, done.failures) == ("succeeded", 2, 0)
    assert_went_on_from_a_checkpoint(installation, job_id)
    assert assert_told_once(installation, job_id) == uninterrupted_losses(planned[0], tmp_path / "uninterrupted")


def test_a_killed_worker_takes_its_runs_along_and_another_goes_on(installation: Installation) -> None:
    first = installation.start_worker()
    (job_id,) = installation.submit(job_with_checkpoints(1))
    installation.wait(job_id, lambda job: job.step > CHECKPOINT_EVERY + 4)
    processes = family(first)
    assert len(processes) == 3
    first.kill()
    first.wait()
    wait_until(lambda: not any(map(alive, processes)), 5, "processes outlive their worker")
    installation.wait(job_id, lambda job: job.status == "queued")
    installation.start_worker()
    done = installation.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert_went_on_from_a_checkpoint(installation, job_id)
    assert_told_once(installation, job_id)


@pytest.mark.slow
def test_a_worker_that_is_stopped_gives_its_job_back_at_once(installation: Installation) -> None:
    first = installation.start_worker()
    (job_id,) = installation.submit(job_with_checkpoints(2))
    installation.wait(job_id, lambda job: job.step >= 5)
    processes = family(first)
    first.terminate()
    assert first.wait(30) == 0
    given_back = installation.job(job_id)
    assert (given_back.status, given_back.failures) == ("queued", 0)
    assert not any(map(alive, processes))
    with installation.database.read() as session:
        assert workers.connected(session) == []
    installation.start_worker()
    done = installation.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert f"attempt 2 goes on from step {given_back.step}" in lines_of(installation, job_id)
    assert_told_once(installation, job_id)


@pytest.mark.slow
def test_a_killed_fork_server_is_started_again(installation: Installation) -> None:
    worker = installation.start_worker()
    (job_id,) = installation.submit(job_with_checkpoints(3))
    installation.wait(job_id, lambda job: job.step > CHECKPOINT_EVERY)
    (server,) = psutil.Process(worker.pid).children()
    (run,) = runs_of(worker)
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not alive(run), 5, "the run outlives the fork server")
    done = installation.wait(job_id, lambda job: job.finished_at is not None)
    assert (done.status, done.attempt) == ("succeeded", 2)
    assert_told_once(installation, job_id)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
