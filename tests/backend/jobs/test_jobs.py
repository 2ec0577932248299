from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.database import now
from backend.jobs import events, leases, workers
from backend.jobs.events import Line, Point
from backend.jobs.leases import Claim
from tests.backend.conftest import API
from tests.backend.jobs.waiting_jobs import add_jobs, planned_jobs
from tests.backend.problem_document import problem_of


@pytest.fixture
def job_ids(context: Context) -> list[str]:
    """Three seeds' jobs, in the order they were made."""
    with context.database.write() as session:
        return [row.id for row in add_jobs(session, planned_jobs(seeds=(0, 1, 2)))]


def claim(context: Context, *, worker: str = "here") -> Claim:
    with context.database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker=worker, lease_seconds=600)
    assert claimed is not None
    return claimed


def get(client: TestClient, path: str, **query: object) -> Any:  # noqa: ANN401  (JSON)
    answer = client.get(f"{API}{path}", params=cast(dict[str, str], query))
    assert answer.status_code == HTTPStatus.OK, answer.text
    return answer.json()


def test_jobs_are_listed_newest_first_page_by_page(client: TestClient, job_ids: list[str]) -> None:
    first = get(client, "/jobs", limit=4)
    rest = get(client, "/jobs", limit=4, cursor=first["next_cursor"])
    assert [job["id"] for job in (*first["items"], *rest["items"])] == job_ids[::-1]
    assert (first["total"], rest["next_cursor"]) == (6, None)
    problem_of(client.get(f"{API}/jobs", params={"cursor": "nonsense"}), HTTPStatus.UNPROCESSABLE_ENTITY)


def test_jobs_are_filtered_by_state_kind_and_experiment(client: TestClient, job_ids: list[str]) -> None:
    blocked = get(client, "/jobs", status="blocked")
    assert [job["kind"] for job in blocked["items"]] == ["segment"] * 3
    assert get(client, "/jobs", status=["blocked", "queued"], kind="pretrain")["total"] == 3
    assert get(client, "/jobs", experiment="nobody")["items"] == []
    assert len(job_ids) == 6


def test_a_job_tells_who_needs_it(client: TestClient, experiment: Callable[..., dict[str, Any]]) -> None:
    body = {"experiment": experiment(seeds=[7])}
    made = client.post(f"{API}/experiments", json=body).json()
    jobs = get(client, "/jobs", experiment=made["id"], kind="pretrain")["items"]
    assert sorted(use["arm"] for job in jobs for use in job["uses"]) == ["half", "same"]
    assert {use["experiment_name"] for job in jobs for use in job["uses"]} == {"three arms"}
    detail = get(client, f"/jobs/{jobs[0]['id']}")
    assert (detail["config"]["kind"], detail["seed"], detail["last_seq"]) == ("pretrain", 7, 1)


def test_a_waiting_job_is_paused_resumed_cancelled_and_retried(client: TestClient, job_ids: list[str]) -> None:
    for action, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled"), ("retry", "queued")):
        answer = client.post(f"{API}/jobs/{job_ids[0]}/{action}")
        assert (answer.status_code, answer.json()["status"]) == (HTTPStatus.OK, state)
    answer = client.post(f"{API}/jobs/{job_ids[0]}/resume")
    refused = problem_of(answer, HTTPStatus.CONFLICT)
    assert "is queued, not paused; there is nothing to resume" in refused["detail"]
    problem_of(client.post(f"{API}/jobs/nobody/cancel"), HTTPStatus.NOT_FOUND)


@pytest.mark.usefixtures("job_ids")
def test_metrics_are_read_on_and_thinned(client: TestClient, context: Context) -> None:
    claimed = claim(context)
    with context.database.write() as session:
        events.record(session, claimed, points=[Point(step, key, step) for step in range(1, 51) for key in "ab"])
    everything = get(client, f"/jobs/{claimed.job_id}/metrics")
    assert len(everything["points"]) == 100
    assert everything["last_seq"] == 102
    thinned = get(client, f"/jobs/{claimed.job_id}/metrics", key=["a"], max_points=5)["points"]
    assert [point["step"] for point in thinned][:: len(thinned) - 1] == [1, 50]
    assert len(thinned) == 5
    later = get(client, f"/jobs/{claimed.job_id}/metrics", after=100)
    assert [(point["seq"], point["key"]) for point in later["points"]] == [(101, "a"), (102, "b")]
    assert get(client, f"/jobs/{claimed.job_id}")["latest"] == {"a": 50.0, "b": 50.0}


@pytest.mark.usefixtures("job_ids")
def test_logs_are_read_on(client: TestClient, context: Context) -> None:
    claimed = claim(context)
    with context.database.write() as session:
        lines = [Line("stderr", f"line {number}", now()) for number in range(3)]
        events.record(session, claimed, lines=lines, points=[Point(1, "loss", 1.0)])
    first = get(client, f"/jobs/{claimed.job_id}/logs", limit=2)
    assert [line["text"] for line in first["lines"]] == ["line 0", "line 1"]
    rest = get(client, f"/jobs/{claimed.job_id}/logs", after=first["last_seq"])
    assert [(line["stream"], line["text"]) for line in rest["lines"]] == [("stderr", "line 2")]
    assert rest["last_seq"] == 6


@pytest.mark.usefixtures("job_ids")
def test_the_system_tells_workers_and_what_waits(client: TestClient, context: Context) -> None:
    assert get(client, "/system")["workers"] == []
    with context.database.write() as session:
        workers.note_seen(session, name="here", hardware="cpu", slots=2, facts={"cores": 2})
        assert workers.known_slots(session) == 2
    claim(context, worker="here")
    system = get(client, "/system")
    (worker,) = system["workers"]
    assert (worker["name"], worker["slots"], worker["busy"], worker["facts"]) == ("here", 2, 1, {"cores": 2})
    assert system["queue"] == {"cpu": 2}
    assert system["queue_answers"] is True
    assert 0 < system["disk"]["free"] <= system["disk"]["total"]
    with context.database.write() as session:
        workers.note_gone(session, "here")
        assert workers.known_slots(session) is None


def test_what_a_run_warned_of_stands_in_the_job_and_not_among_its_facts(
    client: TestClient, context: Context, job_ids: list[str]
) -> None:
    told = [
        {"step": 14, "kind": "collapse", "sentence": "The embeddings collapse."},
        {"step": 46, "kind": "starving", "sentence": "The training waits."},
    ]
    claimed = claim(context)
    with context.database.write() as session:
        leases.hold(session, claimed, facts={"device": "cpu", "warned": told})
        leases.finish(session, claimed, "succeeded", results={"pairs": 20, "warned": told})
    detail = get(client, f"/jobs/{claimed.job_id}")
    expected = [{"step": each["step"], "sentence": each["sentence"]} for each in told]
    assert detail["warnings"] == expected
    assert detail["facts"] == {"device": "cpu"}
    assert detail["results"] == {"pairs": 20, "warned": told}
    listed = {job["id"]: job["warnings"] for job in get(client, "/jobs")["items"]}
    assert {job: warnings for job, warnings in listed.items() if warnings} == {claimed.job_id: expected}
    assert len(listed) == len(job_ids)
