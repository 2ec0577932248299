from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from backend.context import Context
from backend.jobs.schemas import JobStatus
from pairlab.experiment.experiment import Experiment, load_experiment
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import job_ids, segment_results, set_status
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


def submit(client: TestClient, experiment: dict[str, Any], **headers: str) -> Response:
    return client.post(f"{API}/experiments", json={"experiment": experiment}, headers=headers)


def validate(client: TestClient, experiment: dict[str, Any]) -> Response:
    return client.post(f"{API}/experiments/validate", json={"experiment": experiment})


def test_a_plan_counts_jobs_and_draws_the_noise(client: TestClient, experiment: Make) -> None:
    plan = validate(client, experiment()).json()
    assert (plan["jobs"], plan["pretrain_jobs"], plan["segment_jobs"]) == (10, 4, 6)
    assert plan["already_done"] == 0
    assert plan["shared_pretrainings"] == 0
    assert plan["realised_noise"] == {"random": None, "same": 0.0, "half": 0.5}
    assert plan["estimated_seconds"] is None
    assert "no pretraining has finished here yet" in plan["estimate_basis"]
    assert any("2 seeds" in warning for warning in plan["warnings"])
    assert load_experiment(plan["yaml"]) == Experiment.model_validate(plan["experiment"])


def test_validating_queues_nothing(client: TestClient, experiment: Make) -> None:
    validate(client, experiment())
    assert client.get(f"{API}/experiments").json()["total"] == 0


def test_a_submitted_experiment_waits_with_its_jobs(client: TestClient, experiment: Make) -> None:
    answer = submit(client, experiment())
    assert answer.status_code == 202
    summary = answer.json()
    assert answer.headers["location"] == f"{API}/experiments/{summary['id']}"
    assert summary["status"] == "queued"
    assert summary["jobs"] == {"queued": 6, "blocked": 4}
    assert (summary["arms"], summary["seeds"]) == (["random", "same", "half"], [0, 1])
    detail = client.get(answer.headers["location"]).json()
    assert {key: detail[key] for key in summary} == summary
    assert [job["kind"] for job in detail["job_list"][:5]] == ["segment", "pretrain", "segment", "pretrain", "segment"]
    assert [job["seed"] for job in detail["job_list"]] == [0] * 5 + [1] * 5
    assert detail["job_list"][2]["depends_on"] == detail["job_list"][1]["id"]
    assert detail["job_list"][2]["uses"] == [
        {"experiment": summary["id"], "experiment_name": "three arms", "arm": "same", "seed": 0}
    ]


def test_yaml_is_kept_as_it_came(client: TestClient, synthetic: str) -> None:
    text = (
        f"# why\nname: from text\ndataset: {synthetic}\nlabels: {{train_chips: 8}}\n"
        "arms:\n  same: {pairing: {policy: same_image, pairs: 20}}  # the reference\nreference: same\n"
    )
    answer = client.post(f"{API}/experiments", json={"yaml": text})
    assert answer.status_code == 202, answer.text
    assert client.get(answer.headers["location"]).json()["yaml"] == text


def test_equal_work_is_one_job(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment()).json()
    again = experiment(name="one arm more", seeds=[0, 1, 2])
    again["arms"]["temporal"] = {"pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": 1.0}}}
    plan = validate(client, again).json()
    assert (plan["jobs"], plan["pretrain_jobs"]) == (21, 9)
    assert plan["shared_pretrainings"] == 4
    second = submit(client, again).json()
    shared = set(job_ids(context, first["id"]).values()) & set(job_ids(context, second["id"]).values())
    assert len(shared) == 10
    assert client.get(f"{API}/jobs").json()["total"] == 21


def test_results_that_exist_are_taken_over(client: TestClient, context: Context, experiment: Make) -> None:
    first = submit(client, experiment()).json()
    done = job_ids(context, first["id"])["segment", "random", 0]
    set_status(context, done, JobStatus.SUCCEEDED, results=segment_results(0.4))
    assert validate(client, experiment(name="again")).json()["already_done"] == 1
    second = submit(client, experiment(name="again")).json()
    assert second["jobs"]["succeeded"] == 1
    assert second["status"] == "queued"


def test_the_estimate_comes_from_measured_speeds(client: TestClient, context: Context, experiment: Make) -> None:
    ids = job_ids(context, submit(client, experiment()).json()["id"])
    set_status(context, ids["pretrain", "same", 0], JobStatus.SUCCEEDED, results={"pairs_per_s": 96.0})
    assert validate(client, experiment()).json()["estimated_seconds"] is None
    set_status(context, ids["segment", "same", 0], JobStatus.SUCCEEDED, results=segment_results(0.4, seconds=5.0))
    plan = validate(client, experiment()).json()
    # 3 pretrainings of 300 steps of 32 pairs at 96 pairs/s, 5 segmentations of twice 5 s.
    slots = (
        1
        if "one after another" in plan["estimate_basis"]
        else int(plan["estimate_basis"].split(" at a time")[0].split()[-1])
    )
    assert plan["estimated_seconds"] == pytest.approx((3 * 100 + 5 * 10) / slots)
    assert "96 pairs/s" in plan["estimate_basis"]


def test_a_repeated_request_with_its_key_runs_once(client: TestClient, experiment: Make) -> None:
    headers = {"Idempotency-Key": "from-the-form"}
    first = submit(client, experiment(), **headers)
    again = submit(client, experiment(), **headers)
    assert again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert client.get(f"{API}/experiments").json()["total"] == 1
    other = submit(client, experiment(name="another"), **headers)
    assert "needs a new key" in problem_of(other, 422)["detail"]
    assert submit(client, experiment(), **{"Idempotency-Key": "second"}).json()["id"] != first.json()["id"]


def test_equal_experiments_at_once_share_their_jobs(client: TestClient, experiment: Make) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: submit(client, experiment(name=f"number {number}")), range(4)))
    assert [answer.status_code for answer in answers] == [202] * 4
    assert client.get(f"{API}/experiments").json()["total"] == 4
    assert client.get(f"{API}/jobs").json()["total"] == 10


def test_equal_requests_with_one_key_at_once_are_one_experiment(client: TestClient, experiment: Make) -> None:
    with ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(submit, client, experiment(), **{"Idempotency-Key": "twice"}) for _ in range(4)]
        answers = [request.result() for request in requests]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert client.get(f"{API}/experiments").json()["total"] == 1


def test_pages_are_newest_first_and_stable(client: TestClient, experiment: Make) -> None:
    names = [f"experiment {number}" for number in range(5)]
    for name in names:
        submit(client, experiment(name=name))
    first = client.get(f"{API}/experiments", params={"limit": 2}).json()
    submit(client, experiment(name="late"))
    second = client.get(f"{API}/experiments", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get(f"{API}/experiments", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    assert [item["name"] for page in (first, second, third) for item in page["items"]] == names[::-1]
    assert third["next_cursor"] is None
    problem_of(client.get(f"{API}/experiments", params={"cursor": "nonsense"}), 422)


def test_an_unknown_experiment_is_not_found(client: TestClient) -> None:
    for method, tail in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("POST", "/retry")):
        assert "'nothing'" in problem_of(client.request(method, f"{API}/experiments/nothing{tail}"), 404)["detail"]


def test_schema_and_examples_are_there(client: TestClient) -> None:
    schema = client.get(f"{API}/experiments/schema").json()
    assert set(schema["required"]) >= {"name", "dataset", "arms", "reference"}
    examples = client.get(f"{API}/experiments/examples").json()
    assert examples[0]["name"] == "quickstart"
    for example in examples:
        load_experiment(example["yaml"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("arms: [", "not valid YAML"),
        ("- a list", "mapping"),
        ("colour: blue", "colour: unknown key"),
        ("margin: .nan", "margin: must be a finite number"),
        ("a: &a [1]\nb: *a", "anchors"),
        ("name: a\nname: b", "name"),
    ],
)
@pytest.mark.parametrize("address", ["/experiments", "/experiments/validate"])
def test_a_text_that_is_no_experiment_says_why(client: TestClient, address: str, text: str, sentence: str) -> None:
    problem = problem_of(client.post(f"{API}{address}", json={"yaml": text}), 422)
    assert any(sentence in each for each in problem["problems"]), problem["problems"]


def test_a_body_needs_yaml_or_model(client: TestClient, experiment: Make) -> None:
    for body in ({}, {"yaml": "name: x", "experiment": experiment()}):
        assert "either as `yaml`" in problem_of(client.post(f"{API}/experiments", json=body), 422)["detail"]
    problem_of(client.post(f"{API}/experiments", json={"yaml": "x" * 200_001}), 422)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset": "nothing"}, "no dataset 'nothing'; there are: scenes"),
        ({"splits": {"test_events": ["flood"]}}, "synthetic scenes have neither events nor a place"),
        ({"chip_size": 128}, "chip_size 128 is larger than the scenes of 'scenes' (64 pixels)"),
        (
            {"labels": {"scheme": "damage_levels"}},
            "does not exist for synthetic scenes: take building",
        ),
        ({"scenes": {"name": "nothing"}}, "none of the dataset's 58 scenes pass the filter"),
        ({"scenes": {"where": {"colour": ["red"]}}}, "no column 'colour'"),
        ({"scenes": {"objects": ["tree"]}}, "no object class 'tree'"),
        ({"labels": {"train_chips": 5000}}, "asks for 5000 labelled chips; the train split has 48"),
    ],
)
def test_an_experiment_that_does_not_fit_its_dataset_is_refused(
    client: TestClient, experiment: Make, changes: dict[str, Any], sentence: str
) -> None:
    for answer in (validate(client, experiment(**changes)), submit(client, experiment(**changes))):
        assert any(sentence in each for each in problem_of(answer, 422)["problems"]), answer.text
    assert client.get(f"{API}/experiments").json()["total"] == 0


def test_every_arm_that_cannot_be_drawn_is_named(client: TestClient, experiment: Make) -> None:
    changes = experiment()
    changes["arms"]["same"]["pairing"]["pairs"] = 900
    changes["arms"]["half"]["pairing"]["pairs"] = 800
    problems = problem_of(validate(client, changes), 422)["problems"]
    assert [problem.split(":")[0] for problem in problems] == ["arm 'same'", "arm 'half'"]


def test_held_out_events_must_exist(client: TestClient, xbd: str, experiment: Make) -> None:
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 4}}}
    unknown = experiment(dataset=xbd, arms=arms, splits={"test_events": ["atlantis"]})
    assert "no event 'atlantis'" in problem_of(validate(client, unknown), 422)["detail"]
    event = next(iter(client.get(f"{API}/datasets/{xbd}").json()["events"]))
    plan = validate(
        client, experiment(dataset=xbd, arms=arms, splits={"test_events": [event], "validation_share": 0.3})
    )
    assert plan.status_code == 200, plan.text
    assert plan.json()["realised_noise"] == {"same": 0.0}


def test_scenes_that_take_no_part_are_neither_drawn_nor_labelled(client: TestClient, experiment: Make) -> None:
    everything = client.get(f"{API}/datasets/scenes/scenes", params={"limit": 200}).json()["items"]
    train = [scene["name"] for scene in everything if scene["split"] == "train"]
    some = {"without": train[:40]}
    problem = problem_of(validate(client, experiment(scenes=some)), 422)
    assert any("8" in sentence and "20" in sentence for sentence in problem["problems"]), problem["problems"]
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 8}}}
    answer = submit(client, experiment(scenes=some, arms=arms))
    assert answer.status_code == 202, answer.text
    detail = client.get(answer.headers["location"]).json()
    jobs = [client.get(f"{API}/jobs/{job['id']}").json() for job in detail["job_list"]]
    assert {tuple(job["config"]["scenes"]["without"]) for job in jobs} == {tuple(train[:40])}
    other = submit(client, experiment(arms=arms)).json()
    assert other["content_hash"] != answer.json()["content_hash"]
    assert client.get(f"{API}/jobs").json()["total"] == 2 * len(jobs)


def test_a_class_of_their_own_is_among_the_results(client: TestClient, xbd: str, experiment: Make) -> None:
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 4}}}
    for scheme, last in (("intact_damaged", "un-classified"), ("building", "building")):
        labels = {"scheme": scheme, "unclassified": "own-class", "train_chips": 2}
        answer = submit(client, experiment(dataset=xbd, labels=labels, arms=arms))
        assert answer.status_code == 202, answer.text
        results = client.get(f"{answer.headers['location']}/results").json()
        assert results["classes"][-1] == last
