from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from backend.context import Context
from backend.experiments.tables import ExperimentRow
from backend.jobs.schemas import JobStatus
from backend.jobs.tables import JobRow
from pairlab.experiment.experiment import load_experiment
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import finish_all, job_ids, set_status
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    answer = client.post(f"{API}/experiments", json={"experiment": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def extend(client: TestClient, experiment: str, **body: object) -> Response:
    return client.post(f"{API}/experiments/{experiment}/extend", json=body)


def planned(client: TestClient, experiment: str, **query: int) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{API}/experiments/{experiment}/extension", params=query).json()
    return answer


def finish(context: Context, experiment: str, seeds: int) -> None:
    finish_all(context, experiment, {(arm, s): 0.5 for arm in ("random", "same", "half") for s in range(seeds)})


def test_the_next_look_is_told_with_its_cost_and_then_queued(
    client: TestClient, context: Context, experiment: Make
) -> None:
    first = submit(client, experiment())
    finish(context, first, 2)
    done = job_ids(context, first)
    told = planned(client, first)
    assert (told["seeds"], told["to"], told["look"], told["jobs"], told["reason"]) == ([2, 3, 4], 5, 5, 15, None)
    assert told["estimated_seconds"] > 0
    answer = extend(client, first)
    assert answer.status_code == 202
    assert answer.json()["seeds"] == [0, 1, 2, 3, 4]
    assert answer.json()["jobs"] == {"succeeded": 10, "queued": 9, "blocked": 6}
    after = job_ids(context, first)
    assert {use: after[use] for use in done} == done
    assert {seed for _, _, seed in after} == {0, 1, 2, 3, 4}


def test_a_repeated_request_adds_nothing(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    finish(context, first, 2)
    once = extend(client, first).json()
    assert extend(client, first).json() == once
    assert extend(client, first, to=5).json() == once
    assert extend(client, first, seeds=[3, 4]).json() == once
    assert planned(client, first)["reason"] == (
        "the experiment has 5 seeds already; those without a score are still to run, or failed (retry them)"
    )
    finish(context, first, 5)
    assert len(extend(client, first).json()["seeds"]) == 10


def test_margin_and_looks_stay_as_declared_and_comments_are_kept(client: TestClient, experiment: Make) -> None:
    text = client.post(f"{API}/experiments/validate", json={"experiment": experiment(margin=2.5, looks=[5, 8])}).json()
    first = str(client.post(f"{API}/experiments", json={"yaml": f"# mine\n{text['yaml']}"}).json()["id"])
    before = client.get(f"{API}/experiments/{first}").json()
    assert extend(client, first, to=8).status_code == 202
    after = client.get(f"{API}/experiments/{first}").json()
    changed = {name for name, value in after["experiment"].items() if value != before["experiment"][name]}
    assert changed == {"seeds"}
    assert after["yaml"].startswith("# mine\n")
    assert load_experiment(after["yaml"]).model_dump(mode="json") == after["experiment"]
    assert after["content_hash"] != before["content_hash"]


def test_named_seeds_are_added_once_each(client: TestClient, experiment: Make) -> None:
    first = submit(client, experiment())
    assert extend(client, first, seeds=[7, 1, 7]).json()["seeds"] == [0, 1, 7]
    assert extend(client, first, to=5).json()["seeds"] == [0, 1, 7, 8, 9]


def test_beyond_the_last_planned_look_seeds_are_refused(client: TestClient, experiment: Make) -> None:
    first = submit(client, experiment(looks=[5]))
    problem = problem_of(extend(client, first, to=6), 422)
    assert "6 seeds are more than the last planned look has (5; looks planned: 5)" in problem["detail"]
    assert extend(client, first, to=5).status_code == 202
    assert planned(client, first)["reason"] == "the last planned look is 5 seeds, and the experiment has 5"
    assert problem_of(extend(client, first, seeds=[99]), 422)["detail"].startswith("6 seeds are more")


def test_number_and_names_at_once_are_refused(client: TestClient, experiment: Make) -> None:
    first = submit(client, experiment())
    assert "not both" in problem_of(extend(client, first, to=5, seeds=[9]), 422)["detail"]
    assert extend(client, "nothing").status_code == 404


def test_a_cancelled_experiment_is_retried_first(client: TestClient, experiment: Make) -> None:
    first = submit(client, experiment())
    client.post(f"{API}/experiments/{first}/cancel")
    assert "retry it first, then extend it" in problem_of(extend(client, first), 409)["detail"]


def test_seeds_that_would_train_otherwise_today_are_refused(
    client: TestClient, context: Context, experiment: Make
) -> None:
    first = submit(client, experiment())
    job = job_ids(context, first)["pretrain", "half", 0]
    with context.database.write() as session:
        session.get_one(JobRow, job).key = "0" * 64  # of another version of the training code
    problem = problem_of(extend(client, first), 409)
    assert problem["detail"].startswith("the pretrain job of arm 'half', seed 0 would be another one today")
    with context.database.read() as session:
        assert session.get_one(ExperimentRow, first).spec["seeds"] == [0, 1]


def test_what_failed_stays_failed_and_is_not_run_again(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment())
    finish(context, first, 2)
    failed = job_ids(context, first)["segment", "half", 1]
    set_status(context, failed, JobStatus.FAILED, error="out of luck")
    assert extend(client, first).json()["jobs"]["failed"] == 1


@pytest.mark.parametrize("shared", [[2, 3, 4]])
def test_seeds_that_another_experiment_has_run_are_taken_over(
    client: TestClient, context: Context, experiment: Make, shared: list[int]
) -> None:
    other = submit(client, experiment(name="other", seeds=shared))
    for job in job_ids(context, other).values():
        set_status(context, job, JobStatus.SUCCEEDED, results={"pairs_per_s": 1.0})
    first = submit(client, experiment())
    assert planned(client, first, to=5)["jobs"] == 0
    assert extend(client, first, to=5).json()["jobs"]["succeeded"] == 15
