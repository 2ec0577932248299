from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from pairlab.experiment.experiment import Experiment, dump_experiment
from tests.backend.conftest import API
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


def preview(client: TestClient, experiment: dict[str, Any], **more: object) -> Response:
    return client.post(f"{API}/experiments/preview", json={"experiment": experiment, **more})


def arms_of(client: TestClient, experiment: dict[str, Any], **more: object) -> dict[str, dict[str, Any]]:
    answer = preview(client, experiment, **more)
    assert answer.status_code == 200, answer.text
    return {arm["arm"]: arm for arm in answer.json()["arms"]}


def ladder(experiment: Make, **changes: object) -> dict[str, Any]:
    noise = {"none": {"rate": 0.0}, "half": {"rate": 0.5}, "all": {"rate": 1.0}}
    arms = {name: {"pairing": {"policy": "temporal", "pairs": 20, "noise": noise[name]}} for name in noise}
    oracle = {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}, "filter": "oracle"}
    same = {"policy": "same_image", "pairs": 20}
    arms |= {"oracle": {"pairing": oracle}, "same image": {"pairing": same}}
    return experiment(arms={"random": {"baseline": "random_initialisation"}, **arms}, reference="none", **changes)


def place(pair: dict[str, Any]) -> tuple[str, int, int]:
    return pair["scene"], pair["y"], pair["x"]


def test_arms_are_laid_at_equal_places(client: TestClient, experiment: Make) -> None:
    arms = arms_of(client, ladder(experiment), count=20)
    assert list(arms) == ["none", "half", "all", "oracle", "same image"]
    lists = {name: arm["pairs"]["pairs"] for name, arm in arms.items()}
    reference = {pair["position"]: place(pair) for pair in lists["none"]}
    assert sorted(reference) == list(range(20))
    for pairs in lists.values():
        assert all(place(pair) == reference[pair["position"]] for pair in pairs)
    noisy = {name: {pair["position"] for pair in pairs if pair["noisy"]} for name, pairs in lists.items()}
    assert (len(noisy["none"]), len(noisy["half"]), len(noisy["all"])) == (0, 10, 20)
    assert {pair["position"] for pair in lists["oracle"]} == set(range(20)) - noisy["half"]
    assert arms["oracle"]["factors"] == ["pairing"]
    assert arms["none"]["factors"] == []


def test_an_arm_shows_what_its_own_preview_shows(client: TestClient, experiment: Make) -> None:
    content = ladder(experiment)
    arms = arms_of(client, content, seed=5, first=4, count=3)
    body = {"dataset": "scenes", "seed": 5, "first": 4, "count": 3}
    for name in ("half", "all"):
        pairing = content["arms"][name]["pairing"]
        assert client.post(f"{API}/pairing/preview", json={**body, "pairing": pairing}).json() == arms[name]["pairs"]


def test_the_first_seed_is_shown_unless_another_is_asked_for(client: TestClient, experiment: Make) -> None:
    content = ladder(experiment, seeds=[3, 4])
    answers = [preview(client, content, **more).json() for more in ({}, {"seed": 3}, {"seed": 4}, {"seed": 9})]
    assert [answer["seed"] for answer in answers] == [3, 3, 4, 9]
    assert answers[0] == answers[1]
    shown = [place(answer["arms"][0]["pairs"]["pairs"][0]) for answer in answers[1:]]
    assert len(set(shown)) > 1


def test_an_arm_that_is_refused_leaves_the_others_alone(client: TestClient, experiment: Make) -> None:
    content = ladder(experiment)
    content["arms"]["many"] = {"pairing": {"policy": "temporal", "pairs": 900, "noise": {"rate": 0.5}}}
    chosen = {"by": "change_score", "score": {"name": "irmad"}, "quantile": 0.5}
    content["arms"]["scored"] = {
        "pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}, "filter": chosen}
    }
    arms = arms_of(client, content)
    assert arms["many"]["pairs"] is None
    assert "900" in arms["many"]["problem"]
    assert arms["scored"]["pairs"] is None
    assert "change score irmad, draw 0, of dataset 'scenes' is not computed yet" in arms["scored"]["problem"]
    assert arms["half"]["problem"] is None
    assert len(arms["half"]["pairs"]["pairs"]) == 12


def test_arms_can_be_chosen(client: TestClient, experiment: Make) -> None:
    content = ladder(experiment)
    assert list(arms_of(client, content, arms=["all", "random", "none"])) == ["none", "all"]
    assert "'nobody' is no arm" in problem_of(preview(client, content, arms=["nobody"]), 422)["detail"]


def test_a_text_is_previewed_like_the_model(client: TestClient, experiment: Make) -> None:
    content = ladder(experiment)
    text = dump_experiment(Experiment.model_validate(content))
    answer = client.post(f"{API}/experiments/preview", json={"yaml": text, "count": 2})
    assert answer.json() == preview(client, content, count=2).json()
    assert client.get(f"{API}/jobs").json()["total"] == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset": "nothing"}, "dataset: no dataset 'nothing'"),
        ({"chip_size": 128}, "chip_size 128 is larger than the scenes"),
        ({"reference": "nobody"}, "is not an arm"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused_as_a_whole(
    client: TestClient, experiment: Make, changes: dict[str, Any], sentence: str
) -> None:
    content = {**ladder(experiment), **changes}
    assert sentence in problem_of(preview(client, content), 422)["detail"]
