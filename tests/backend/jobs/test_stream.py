import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

from backend.app import create_app
from backend.database import Database, now
from backend.datasets import repository as datasets
from backend.datasets.indexing import queue_index_job
from backend.jobs import events, leases
from backend.jobs.events import Line, Point
from backend.jobs.leases import Claim
from backend.migrations.upgrade import upgrade
from backend.settings import Settings
from tests.backend.jobs.waiting_jobs import add_files, add_jobs, planned_jobs


class Told(NamedTuple):
    seq: int
    event: str
    data: dict[str, Any]


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def claimed(database: Database) -> Claim:
    with database.write() as session:
        add_jobs(session, planned_jobs())
    with database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="here", lease_seconds=600)
    assert claimed is not None
    return claimed


@pytest.fixture
def api(settings: Settings) -> Iterator[str]:
    """Address of a real server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(create_app(settings), log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1"
        server.should_exit = True
        thread.join()


@contextmanager
def listening_to(api: str, job_id: str, **headers: str) -> Iterator[Iterator[Told]]:
    with (
        httpx.Client(trust_env=False, timeout=30) as client,
        client.stream("GET", f"{api}/jobs/{job_id}/stream", headers=headers) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        yield parse(response.iter_lines())


def parse(lines: Iterator[str]) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Told(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}


def tell(database: Database, claimed: Claim, step: int) -> None:
    with database.write() as session:
        lines = [Line("stdout", f"step {step}", now())]
        events.record(session, claimed, points=[Point(step, "loss", 1 / step)], lines=lines)


def test_a_stream_that_breaks_is_taken_up_without_gap_or_duplicate(
    api: str, database: Database, claimed: Claim
) -> None:
    received: list[Told] = []
    for step in (1, 2, 3):
        tell(database, claimed, step)
    with listening_to(api, claimed.job_id) as stream:
        received += [next(stream) for _ in range(5)]
    for step in (4, 5):
        tell(database, claimed, step)
    with listening_to(api, claimed.job_id, **{"Last-Event-ID": str(received[-1].seq)}) as stream:
        received += [next(stream) for _ in range(7)]
        threading.Timer(0.5, tell, (database, claimed, 6)).start()
        received += [next(stream) for _ in range(2)]
    with database.write() as session:
        leases.finish(session, claimed, "succeeded", results={})
    with listening_to(api, claimed.job_id, **{"Last-Event-ID": str(received[-1].seq)}) as stream:
        received += list(stream)
    *told, state, end = received
    assert [each.seq for each in told] == list(range(1, 15))
    assert [each.event for each in told] == ["state", "state", *["metric", "log"] * 6]
    assert told[2].data == {"seq": 3, "step": 1, "key": "loss", "value": 1.0}
    assert told[3].data.keys() == {"seq", "time", "stream", "text"}
    assert (state.seq, state.event, state.data["status"]) == (15, "state", "succeeded")
    assert (end.seq, end.event, end.data) == (15, "end", {"seq": 15, "status": "succeeded"})


def test_a_stream_of_a_job_that_ended_tells_the_end_alone(api: str, database: Database, claimed: Claim) -> None:
    with database.write() as session:
        leases.finish(session, claimed, "failed", error="it had to")
    with listening_to(api, claimed.job_id, **{"Last-Event-ID": "3"}) as stream:
        assert [(each.event, each.data["status"]) for each in stream] == [("end", "failed")]


def test_a_stream_of_a_job_that_goes_with_its_dataset_ends(api: str, database: Database) -> None:
    with database.write() as session:
        job_id = queue_index_job(session, add_files(session), hardware="cpu").id
    with listening_to(api, job_id) as stream:
        assert next(stream).event == "state"
        with database.write() as session:
            row = datasets.find(session, "files")
            assert row is not None
            datasets.delete_with_index_jobs(session, row)
        assert [(each.event, each.data) for each in stream] == [("end", {"seq": 1, "status": "cancelled"})]


def test_more_events_than_one_look_takes_arrive_in_order(api: str, database: Database, claimed: Claim) -> None:
    with database.write() as session:
        events.record(session, claimed, points=[Point(step, "loss", 1.0) for step in range(1, 1201)])
        leases.finish(session, claimed, "succeeded", results={})
    with listening_to(api, claimed.job_id) as stream:
        received = list(stream)
    assert [each.seq for each in received] == [*range(1, 1204), 1203]


def test_what_is_told_arrives_within_a_second(api: str, database: Database, claimed: Claim) -> None:
    with listening_to(api, claimed.job_id, **{"Last-Event-ID": "2"}) as stream:
        for step in (1, 2, 3):
            threading.Timer(0.2, tell, (database, claimed, step)).start()
            began = time.monotonic()
            next(stream)
            assert time.monotonic() - began < 1.2
            next(stream)


def test_a_stream_of_nobody_is_a_problem_document(api: str) -> None:
    answer = httpx.get(f"{api}/jobs/nobody/stream", trust_env=False)
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "no job 'nobody'; the list of jobs has all ids"
