"""A mistyped encoder is refused at submission, unless a worker may have what the list of names does not."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.encoders import library_versions
from backend.jobs import workers
from pairlab.experiment.encoder_names import listed_encoders
from tests.backend.conftest import API
from tests.backend.problem_document import problem_of
from tests.live_stack import as_yaml

Make = Callable[..., dict[str, Any]]
LISTED = dict(listed_encoders().versions)
NEWER = {**LISTED, "timm": "999.0"}


def connect(context: Context, name: str, facts: dict[str, Any]) -> None:
    with context.database.write() as session:
        workers.note_seen(session, name=name, hardware="cpu", slots=1, facts=facts)


def with_encoder(experiment: Make, encoder: str) -> dict[str, Any]:
    return experiment(network={"encoder": encoder})


@pytest.mark.parametrize("form", ["experiment", "yaml"])
@pytest.mark.parametrize("path", ["experiments", "experiments/validate"])
def test_a_mistyped_encoder_is_refused_with_the_nearest_names(
    client: TestClient, context: Context, experiment: Make, path: str, form: str
) -> None:
    connect(context, "one", {"libraries": LISTED})
    content = with_encoder(experiment, "tu-resnet10x")
    body = {form: as_yaml(content) if form == "yaml" else content}
    (problem,) = problem_of(client.post(f"{API}/{path}", json=body), 422)["problems"]
    assert problem.startswith("network.encoder: there is no encoder 'tu-resnet10x': did you mean ")
    assert "tu-resnet10t" in problem
    assert client.get(f"{API}/jobs").json()["total"] == 0


@pytest.mark.parametrize("facts", [{"libraries": NEWER}, {"libraries": {}}, {}], ids=["newer", "none", "not told"])
def test_an_encoder_that_a_worker_may_have_is_a_warning(
    client: TestClient, context: Context, experiment: Make, facts: dict[str, Any]
) -> None:
    connect(context, "one", {"libraries": LISTED})
    connect(context, "two", facts)
    answer = client.post(f"{API}/experiments/validate", json={"experiment": with_encoder(experiment, "tu-resnet10x")})
    assert answer.status_code == 200, answer.text
    (warning,) = [each for each in answer.json()["warnings"] if "tu-resnet10x" in each]
    assert f"timm {LISTED['timm']}" in warning
    assert "tu-resnet10t" in warning


def test_without_a_worker_what_is_installed_here_decides(client: TestClient, experiment: Make) -> None:
    answer = client.post(f"{API}/experiments/validate", json={"experiment": with_encoder(experiment, "tu-resnet10x")})
    assert answer.status_code == (422 if library_versions() == LISTED else 200)


def test_known_encoders_pass_whatever_is_connected(client: TestClient, context: Context, experiment: Make) -> None:
    connect(context, "one", {"libraries": NEWER})
    for encoder in ("resnet18", "tu-resnet18.a1_in1k"):
        answer = client.post(f"{API}/experiments/validate", json={"experiment": with_encoder(experiment, encoder)})
        assert answer.status_code == 200, answer.text
        assert not [each for each in answer.json()["warnings"] if "encoder" in each]


def test_a_mistyped_encoder_of_a_change_score_is_refused_too(
    client: TestClient, context: Context, synthetic: str
) -> None:
    connect(context, "one", {"libraries": LISTED})
    score = {"name": "embedding", "weights": "random", "encoder": "resnet17"}
    answer = client.post(f"{API}/datasets/{synthetic}/scores", json={"score": score})
    assert problem_of(answer, 422)["detail"].startswith("score.encoder: there is no encoder 'resnet17': did you mean ")
