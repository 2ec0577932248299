from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from backend.context import Context
from backend.datasets.indexing import reference_of
from backend.datasets.service import find
from backend.experiments import planning
from backend.experiments.planning import plan_experiment
from backend.experiments.schemas import ExperimentSubmit
from pairlab.experiment.experiment import Experiment
from pairlab.scenes.dataset import read_dataset_index
from tests.backend.conftest import API, SYNTHETIC
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


def validate(client: TestClient, experiment: dict[str, Any]) -> Response:
    return client.post(f"{API}/experiments/validate", json={"experiment": experiment})


def submit(client: TestClient, experiment: dict[str, Any]) -> Response:
    return client.post(f"{API}/experiments", json={"experiment": experiment})


def temporal(pairs: int = 20, **noise: object) -> dict[str, Any]:
    return {"pairing": {"policy": "temporal", "pairs": pairs, "noise": noise}}


def noisy_scenes(context: Context, dataset: str, seed: int, *, least: int = 16) -> int:
    """Returns how many train scenes of a draw have a relevant change, counted in the scene table."""
    reference = reference_of(find(context, dataset).row)
    folder = context.settings.index_folder
    table = read_dataset_index(reference.config, key=reference.fingerprint, folder=folder, draw=seed).table
    train = [scene.split == "train" for scene in table.scenes]
    return int((table.changed_pixels[train] >= least).sum())


def test_arms_of_a_ladder_are_balanced(client: TestClient, experiment: Make) -> None:
    arms = {f"rate {rate}": temporal(rate=rate) for rate in (0.0, 0.25, 0.5, 1.0)}
    plan = validate(client, experiment(arms=arms, reference="rate 0.0")).json()
    assert plan["realised_noise"] == {"rate 0.0": 0.0, "rate 0.25": 0.25, "rate 0.5": 0.5, "rate 1.0": 1.0}
    first, *others = plan["balance"].values()
    assert others == [first] * 3
    assert (first["pairs"], first["places"], first["shown"]) == (20, 20, [2, 2])
    assert first["acquisitions"] == {"pre": 0.5, "post": 0.5}
    assert first["splits"] == {"train": 1.0}
    assert plan["exposure_matched"] == dict.fromkeys(arms, True)
    assert plan["factors"] == {name: [] if name == "rate 0.0" else ["pairing"] for name in arms}
    assert plan["filtered"] == dict.fromkeys(arms)
    assert plan["realised_mismatch"] == dict.fromkeys(arms, 0.0)
    assert not any("exposure-matched" in warning or "cannot be put down" in warning for warning in plan["warnings"])


def test_a_refusal_holds_true_numbers_and_what_it_names_can_be_had(
    client: TestClient, context: Context, experiment: Make
) -> None:
    reachable = min(noisy_scenes(context, "scenes", seed) for seed in (0, 1))
    there_are = noisy_scenes(context, "scenes", 0)
    too_many = experiment(arms={"half": temporal(there_are + 1, rate=0.5)}, reference="half")
    for answer in (validate(client, too_many), submit(client, too_many)):
        problem = problem_of(answer, 422)["problems"][0]
        assert problem.startswith("arm 'half': ")
        assert str(there_are) in problem
        assert str(there_are + 1) in problem
    assert client.get(f"{API}/jobs").json()["total"] == 0
    plan = validate(client, experiment(arms={"half": temporal(reachable, rate=0.5)}, reference="half"))
    assert plan.status_code == 200, plan.text


def test_an_arm_that_only_a_later_seed_cannot_serve_is_refused_too(
    client: TestClient, context: Context, experiment: Make
) -> None:
    counts = {seed: noisy_scenes(context, "scenes", seed) for seed in range(6)}
    first = max(counts, key=lambda seed: counts[seed])
    second = min(counts, key=lambda seed: counts[seed])
    assert counts[second] < counts[first], "every draw has as many noisy scenes: take other seeds"
    content = experiment(arms={"half": temporal(counts[first], rate=0.5)}, reference="half", seeds=[first, second])
    for answer in (validate(client, content), submit(client, content)):
        (problem,) = problem_of(answer, 422)["problems"]
        assert problem.startswith(f"arm 'half', seed {second}: ")
        assert str(counts[second]) in problem
    assert client.get(f"{API}/experiments").json()["total"] == 0


def test_seeds_that_would_take_too_long_are_named(context: Context, experiment: Make) -> None:
    request = ExperimentSubmit(experiment=Experiment.model_validate(experiment(seeds=[4, 5, 6])))
    unchecked = [warning for warning in plan_experiment(context, request, seconds=0.0).warnings if "checked" in warning]
    assert len(unchecked) == 1
    assert unchecked[0].startswith("seeds 5, 6 were not checked")
    checked = plan_experiment(context, request, seconds=600.0)
    assert not any("checked" in warning for warning in checked.warnings)
    assert checked.arms == plan_experiment(context, request, seconds=0.0).arms
    assert planning.CHECK_SECONDS <= 2.0


def test_arms_that_cannot_be_compared_cleanly_are_remarked(client: TestClient, experiment: Make) -> None:
    arms = {
        "reference": temporal(rate=0.0),
        "fewer": temporal(10, rate=0.5),
        "oracle": {"pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}, "filter": "oracle"}},
        "two": {**temporal(rate=0.5), "method": {"name": "simclr"}},
    }
    plan = validate(client, experiment(arms=arms, reference="reference")).json()
    assert plan["factors"]["two"] == ["method", "pairing"]
    assert plan["exposure_matched"] == {"reference": True, "fewer": False, "oracle": False, "two": True}
    assert plan["filtered"]["oracle"] == {"drawn": 20, "thrown_away": 10, "noisy_thrown_away": 10, "threshold": None}
    warnings = "\n".join(plan["warnings"])
    assert "arm 'two' differs from 'reference' in method and pairing" in warnings
    assert "arm 'fewer' is not exposure-matched (10 pairs instead of 20)" in warnings
    assert "arm 'oracle' is not exposure-matched (its filter throws pairs away)" in warnings


def test_a_queue_as_long_as_the_pairs_is_remarked_once(client: TestClient, experiment: Make) -> None:
    arms = {"clean": temporal(rate=0.0), "half": temporal(rate=0.5)}
    method = {"name": "moco", "queue_size": 20}
    plan = validate(client, experiment(arms=arms, reference="clean", method=method)).json()
    (said,) = (warning for warning in plan["warnings"] if "queue" in warning)
    assert said.startswith("the queue of moco holds 20 keys and the run has 20 pairs")
    short = validate(client, experiment(arms=arms, reference="clean", method={**method, "queue_size": 8})).json()
    assert not any("queue" in warning for warning in short["warnings"])


def test_a_transductive_plan_says_so_and_draws_from_all_splits(client: TestClient, experiment: Make) -> None:
    arms = {"same": {"pairing": {"policy": "same_image", "pairs": 58}}, "temporal": temporal(58)}
    assert "48" in problem_of(validate(client, experiment(arms=arms)), 422)["problems"][0]
    plan = validate(client, experiment(arms=arms, transductive=True)).json()
    assert plan["balance"]["same"]["splits"] == pytest.approx({"train": 48 / 58, "validation": 4 / 58, "test": 6 / 58})
    assert any(warning.startswith("transductive: ") for warning in plan["warnings"])
    arms["temporal"] = temporal(rate=0.5)
    refused = validate(client, experiment(arms=arms, transductive=True))
    assert "noise.rate needs labels" in problem_of(refused, 422)["detail"]


@pytest.fixture
def hazy(client: TestClient) -> str:
    """Name of a synthetic dataset with the strongest nuisance."""
    answer = client.post(f"{API}/datasets", json={"name": "hazy", "config": {**SYNTHETIC, "preset": "nuisance"}})
    assert answer.status_code == 201, answer.text
    return "hazy"


def test_an_arm_can_be_pretrained_on_another_dataset(client: TestClient, experiment: Make, hazy: str) -> None:
    arms = {"clear": temporal(), "hazy": {**temporal(), "dataset": hazy}, "other": {**temporal(10), "dataset": hazy}}
    content = experiment(arms=arms, reference="clear")
    plan = validate(client, content).json()
    assert plan["factors"] == {"clear": [], "hazy": ["dataset"], "other": ["dataset", "pairing"]}
    assert plan["exposure_matched"] == {"clear": True, "hazy": True, "other": False}
    warnings = "\n".join(plan["warnings"])
    assert "arm 'hazy'" not in warnings
    assert "arm 'other' is not exposure-matched (10 pairs instead of 20)" in warnings
    assert "arm 'other' differs from 'clear' in dataset and pairing" in warnings
    answer = submit(client, content)
    assert answer.status_code == 202, answer.text
    jobs = client.get(answer.headers["location"]).json()["job_list"]
    used = {(job["kind"], use["arm"]): job["dataset"] for job in jobs for use in job["uses"]}
    assert {used["segment", arm] for arm in arms} == {"scenes"}
    assert [used["pretrain", arm] for arm in arms] == ["scenes", hazy, hazy]
    refused = problem_of(client.delete(f"{API}/datasets/{hazy}"), 409)
    assert "is used by experiment 'three arms'" in refused["detail"]


def test_an_arm_on_a_dataset_that_is_not_there_is_refused(client: TestClient, experiment: Make) -> None:
    content = experiment(arms={"same": {**temporal(), "dataset": "nowhere"}})
    for answer in (validate(client, content), submit(client, content)):
        (problem,) = problem_of(answer, 422)["problems"]
        assert problem.startswith("arms.same.dataset: no dataset 'nowhere'; there are: scenes")
    assert client.get(f"{API}/experiments").json()["total"] == 0


def test_a_dataset_registered_anew_in_the_meantime_is_noticed(
    client: TestClient, experiment: Make, hazy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.experiments import service

    def planned_late(*arguments: Any, **named: Any) -> planning.Plan:  # noqa: ANN401
        plan = plan_experiment(*arguments, **named)
        assert client.delete(f"{API}/datasets/{hazy}").status_code == 204
        return plan

    monkeypatch.setattr(service, "plan_experiment", planned_late)
    answer = submit(client, experiment(arms={"same": {**temporal(), "dataset": hazy}}))
    assert "'hazy' was deleted or registered anew" in problem_of(answer, 422)["detail"]
    assert client.get(f"{API}/jobs").json()["total"] == 0
