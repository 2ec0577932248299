from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from backend.context import Context
from backend.jobs.schemas import JobStatus
from pairlab.experiment.jobs import ScoreJob, job_key
from pairlab.pairing.score_file import files_of
from tests.backend.conftest import API
from tests.backend.datasets.known_scores import write_random_scores
from tests.backend.experiments.finished_jobs import job_ids, set_status
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]
PRETRAINING = "ab" * 32


def filtering(experiment: Make, *, score: dict[str, Any] | None = None, **changes: object) -> dict[str, Any]:
    """Returns an experiment of all temporal pairs, and of those that a change score leaves."""
    chosen = {"by": "change_score", "score": score or {"name": "cva"}, "quantile": 0.75}
    pairing = {"policy": "temporal", "pairs": 40}
    arms = {"all": {"pairing": pairing}, "filtered": {"pairing": {**pairing, "filter": chosen}}}
    return experiment(arms=arms, reference="all", **changes)


def validate(client: TestClient, experiment: dict[str, Any]) -> Response:
    return client.post(f"{API}/experiments/validate", json={"experiment": experiment})


def submit(client: TestClient, experiment: dict[str, Any]) -> str:
    answer = client.post(f"{API}/experiments", json={"experiment": experiment})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_plan_has_its_scores_first_and_cannot_draw_without_them(client: TestClient, experiment: Make) -> None:
    plan = validate(client, filtering(experiment)).json()
    counts = [plan[name] for name in ("jobs", "score_jobs", "pretrain_jobs", "segment_jobs", "already_done")]
    assert counts == [10, 2, 4, 4, 0]
    for figure in ("realised_noise", "realised_mismatch", "balance", "filtered", "exposure_matched"):
        assert plan[figure]["filtered"] is None
    assert plan["realised_noise"]["all"] > 0
    assert any(
        "arm 'filtered': change score cva, draw 0, of dataset 'scenes' is not computed yet" in warning
        for warning in plan["warnings"]
    )


def test_what_comes_before_the_filter_is_refused_without_its_score(client: TestClient, experiment: Make) -> None:
    content = filtering(experiment)
    content["arms"]["filtered"]["pairing"]["pairs"] = 700
    (problem,) = problem_of(validate(client, content), 422)["problems"]
    assert problem.startswith("arm 'filtered': ")
    assert "48" in problem


def test_a_pretraining_waits_for_its_score_and_a_segmentation_for_it(
    client: TestClient, context: Context, experiment: Make
) -> None:
    ids = job_ids(context, submit(client, filtering(experiment, seeds=[0])))
    jobs = {use: client.get(f"{API}/jobs/{job}").json() for use, job in ids.items()}
    score, pretrain, segment = (jobs[kind, "filtered", 0] for kind in ("score", "pretrain", "segment"))
    assert [job["status"] for job in (score, pretrain, segment)] == ["queued", "blocked", "blocked"]
    assert (score["depends_on"], pretrain["depends_on"], segment["depends_on"]) == (None, score["id"], pretrain["id"])
    assert jobs["pretrain", "all", 0]["status"] == "queued"


def test_a_score_that_is_computed_is_taken_over_and_its_filter_drawn(
    client: TestClient, context: Context, experiment: Make
) -> None:
    content = filtering(experiment, seeds=[0])
    first = job_ids(context, submit(client, content))
    job = write_random_scores(context, "scenes", draw=0)
    set_status(context, first["score", "filtered", 0], JobStatus.SUCCEEDED, results={"seconds": 2.0, "scenes": 58})
    plan = validate(client, content).json()
    assert (plan["score_jobs"], plan["already_done"]) == (1, 1)
    filtered = plan["filtered"]["filtered"]
    assert filtered["drawn"] == 40
    assert 0 < filtered["thrown_away"] < 40
    assert plan["balance"]["filtered"]["pairs"] == 40 - filtered["thrown_away"]
    assert plan["exposure_matched"]["filtered"] is False
    content["arms"]["filtered"]["pairing"]["pairs"] = 30
    second = job_ids(context, submit(client, content))
    assert second["score", "filtered", 0] == first["score", "filtered", 0]
    assert client.get(f"{API}/jobs/{second['pretrain', 'filtered', 0]}").json()["status"] == "queued"

    files_of(job, context.settings.index_folder).path.unlink()
    assert validate(client, content).json()["already_done"] == 0
    content["arms"]["filtered"]["pairing"]["pairs"] = 20
    third = job_ids(context, submit(client, content))
    assert third["score", "filtered", 0] == first["score", "filtered", 0]
    states = [client.get(f"{API}/jobs/{third[kind, 'filtered', 0]}").json()["status"] for kind in ("score", "pretrain")]
    assert states == ["queued", "blocked"]


def test_a_cancelled_experiment_stops_its_scores_and_a_retry_takes_them_up(
    client: TestClient, experiment: Make
) -> None:
    first = submit(client, filtering(experiment, seeds=[0]))
    assert client.post(f"{API}/experiments/{first}/cancel").json()["jobs"] == {"cancelled": 5}
    assert client.post(f"{API}/experiments/{first}/retry").json()["jobs"] == {"queued": 2, "blocked": 3}


def test_an_encoder_of_a_pretraining_that_is_not_there_is_refused(
    client: TestClient, context: Context, experiment: Make
) -> None:
    content = filtering(experiment, score={"name": "embedding", "weights": PRETRAINING}, seeds=[0])
    (problem,) = problem_of(validate(client, content), 422)["problems"]
    assert problem.startswith("arm 'filtered': filter.score.weights: ")
    assert PRETRAINING in problem
    same = experiment(arms={"same": {"pairing": {"policy": "same_image", "pairs": 20}}}, seeds=[0])
    pretrained = job_ids(context, submit(client, same))["pretrain", "same", 0]
    key = client.get(f"{API}/jobs/{pretrained}").json()["key"]
    content = filtering(experiment, score={"name": "embedding", "weights": key}, seeds=[0])
    assert "no finished pretraining" in problem_of(validate(client, content), 422)["detail"]
    set_status(context, pretrained, JobStatus.SUCCEEDED, results={"pairs_per_s": 100.0})
    assert validate(client, content).status_code == 200


def test_a_score_of_a_dataset_is_one_job_for_all_who_need_it(
    client: TestClient, context: Context, experiment: Make
) -> None:
    first = job_ids(context, submit(client, filtering(experiment, seeds=[0])))
    other = filtering(experiment, seeds=[0])
    other["arms"]["filtered"]["pairing"]["pairs"] = 30
    second = job_ids(context, submit(client, other))
    assert first["score", "filtered", 0] == second["score", "filtered", 0]
    row = client.get(f"{API}/jobs/{first['score', 'filtered', 0]}").json()
    assert row["key"] == job_key(ScoreJob.model_validate(row["config"]))
