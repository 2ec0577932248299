"""A run that is killed at random moments, again and again, ends with the weights of one that nobody touched."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pairlab.experiment.jobs import PlannedJob, PretrainJob
from pairlab.experiment.methods import MoCo
from tests.backend.jobs.waiting_jobs import planned_jobs
from tests.worker.whole_run import describe, event_lines, run_whole
from worker.fork_server import ForkServer
from worker.protocol import Description, FileReference

pytestmark = pytest.mark.slow

CHECKPOINT_EVERY = 3
FURTHEST = 9
"""Steps that an attempt is allowed at most."""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer(threads=1)
    server.start()
    yield server
    server.stop()


def job(method: MoCo | None, *, steps: int) -> PlannedJob:
    planned = planned_jobs(steps=steps, checkpoint_every=CHECKPOINT_EVERY)[0]
    assert isinstance(planned.config, PretrainJob)
    if method is None:
        return planned
    return planned.model_copy(update={"config": planned.config.model_copy(update={"method": method})})


def told_until_killed(
    server: ForkServer, description: Description, *, steps: int, delay: float
) -> list[dict[str, Any]]:
    """Returns what a run tells that is killed `delay` seconds after it took so many steps."""
    run = server.launch(description)
    told, taken = [], 0
    for event in event_lines(run):
        told.append(event)
        taken += event["event"] == "metrics"
        if taken == steps:
            time.sleep(delay)
            while run.pid is None:
                assert run.read_news()
            run.send(signal.SIGKILL)
    while run.status is None:
        assert run.read_news()
    run.close()
    assert run.status == -signal.SIGKILL, told[-1]
    return told


def checkpoints(told: list[dict[str, Any]]) -> list[FileReference]:
    saved = [event for event in told if event["event"] == "saved" and event["kind"] == "checkpoint"]
    return [FileReference(path=event["path"], sha256=event["sha256"]) for event in saved]


def result_of(told: list[dict[str, Any]]) -> tuple[list[str], str]:
    """Returns the hashes of the last checkpoint and of the weights, and what the run ended with."""
    files = [event["sha256"] for event in told if event["event"] == "saved" and event["kind"] != "embedding_map"]
    return files[-2:], told[-1]["event"]


@pytest.mark.parametrize(
    ("method", "steps", "kills"),
    [(None, 80, 10), (MoCo(hidden_dim=32, embedding_dim=16, queue_size=14), 36, 4)],
    ids=["pixel_infonce, ten kills", "moco, four kills"],
)
def test_killed_at_random_moments_a_run_ends_with_the_same_bits(
    server: ForkServer, tmp_path: Path, method: MoCo | None, steps: int, kills: int
) -> None:
    planned = job(method, steps=steps)
    whole = run_whole(server, describe(planned, tmp_path / "whole"))
    assert whole.status == 0, whole
    chance = random.Random(2026)
    known: list[FileReference] = []
    for attempt in range(kills):
        after, delay = chance.randint(1, FURTHEST), chance.uniform(0.0, 0.1)
        print(f"attempt {attempt}: killed {delay * 1000:.0f} ms after {after} steps, {len(known)} checkpoints known")
        description = describe(planned, tmp_path / str(attempt))
        description["checkpoints"] = known[::-1][:2]
        known += checkpoints(told_until_killed(server, description, steps=after, delay=delay))
    assert known
    description = describe(planned, tmp_path / "last")
    description["checkpoints"] = known[::-1][:2]
    ended = run_whole(server, description)
    assert ended.status == 0, ended
    assert result_of(ended.events) == result_of(whole.events)
    begun = next(event["step"] for event in ended.events if event["event"] == "started")
    assert 0 < begun < steps
    losses = [
        {event["step"]: event["values"]["loss"] for event in each.events if event["event"] == "metrics"}
        for each in (ended, whole)
    ]
    assert losses[0].items() <= losses[1].items()
