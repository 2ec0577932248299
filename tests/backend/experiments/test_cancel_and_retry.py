from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from backend.context import Context
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import finish_all, job_ids, set_status
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    answer = client.post(f"{API}/experiments", json={"experiment": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def act(client: TestClient, experiment: str, action: str) -> Response:
    return client.post(f"{API}/experiments/{experiment}/{action}")


def statuses(context: Context, experiment: str) -> dict[tuple[str, str, int], str]:
    with context.database.read() as session:
        return {use: session.get_one(JobRow, job).status for use, job in job_ids(context, experiment).items()}


def test_a_cancelled_experiment_stops_its_jobs(client: TestClient, experiment: Make) -> None:
    first = submit(client, experiment())
    answer = act(client, first, "cancel").json()
    assert answer["status"] == "cancelled"
    assert answer["jobs"] == {"cancelled": 10}
    assert answer["finished_at"] is not None
    assert act(client, first, "cancel").json() == answer


def test_a_running_job_is_asked_to_stop(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    running = job_ids(context, first)["segment", "random", 0]
    with context.database.write() as session:
        session.get_one(JobRow, running).status = JobStatus.RUNNING
    answer = act(client, first, "cancel").json()
    assert answer["status"] == "cancelled"
    assert answer["jobs"] == {"running": 1, "cancelled": 9}
    assert answer["finished_at"] is None
    assert client.get(f"{API}/jobs/{running}").json()["requested"] == "cancel"


def test_what_another_experiment_needs_goes_on(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    arms = {name: arm for name, arm in experiment()["arms"].items() if name != "same"}
    second = submit(client, experiment(name="two arms", arms=arms, reference="half"))
    assert act(client, first, "cancel").json()["status"] == "cancelled"
    assert set(statuses(context, second).values()) == {"queued", "blocked"}
    assert {use[1] for use, status in statuses(context, first).items() if status == "cancelled"} == {"same"}
    act(client, second, "cancel")
    assert set(statuses(context, first).values()) == {"cancelled"}


def test_a_new_experiment_takes_back_the_wish_to_cancel(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    running = job_ids(context, first)["segment", "random", 0]
    with context.database.write() as session:
        session.get_one(JobRow, running).status = JobStatus.RUNNING
    act(client, first, "cancel")
    second = submit(client, experiment(name="after all"))
    assert job_ids(context, second)["segment", "random", 0] == running
    assert client.get(f"{API}/jobs/{running}").json()["requested"] is None


def test_an_ended_experiment_cannot_be_cancelled_or_retried(
    client: TestClient, context: Context, experiment: Make
) -> None:
    first = submit(client, experiment())
    finish_all(context, first, {(arm, seed): 0.5 for arm in ("random", "same", "half") for seed in (0, 1)})
    assert client.get(f"{API}/experiments/{first}").json()["status"] == "succeeded"
    assert "has ended" in problem_of(act(client, first, "cancel"), 409)["detail"]
    assert "nothing to retry" in problem_of(act(client, first, "retry"), 409)["detail"]


def test_a_cancelled_experiment_can_be_retried(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    before = statuses(context, first)
    act(client, first, "cancel")
    answer = act(client, first, "retry").json()
    assert answer["status"] == "queued"
    assert answer["finished_at"] is None
    assert statuses(context, first) == before


def test_a_failed_experiment_repeats_what_failed(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    ids = job_ids(context, first)
    finish_all(context, first, {(arm, seed): 0.5 for arm in ("random", "same", "half") for seed in (0, 1)})
    for kind in ("pretrain", "segment"):
        set_status(context, ids[kind, "half", 1], JobStatus.FAILED, error="out of luck", results={})
    assert client.get(f"{API}/experiments/{first}").json()["status"] == "failed"
    assert act(client, first, "retry").json()["status"] == "running"
    changed = {use: status for use, status in statuses(context, first).items() if status != "succeeded"}
    assert changed == {("pretrain", "half", 1): "queued", ("segment", "half", 1): "blocked"}


def test_a_retry_joins_the_work_of_another_experiment(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    act(client, first, "cancel")
    second = submit(client, experiment(name="the same again"))
    assert not set(job_ids(context, first).values()) & set(job_ids(context, second).values())
    assert act(client, first, "retry").json()["status"] == "queued"
    assert job_ids(context, first) == job_ids(context, second)
