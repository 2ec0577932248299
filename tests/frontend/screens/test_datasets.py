from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from pairlab.experiment.synthetic_scenes import QUESTIONS
from tests.frontend.conftest import RecordingServer, Served
from tests.frontend.hostile_dataset import BAD, generated_root, register_hostile
from tests.frontend.screens.conftest import EXPERIMENT, charts, opened_screen, texts
from tests.live_stack import LiveStack
from tests.pairlab.scenes.bitemporal_tree import write_levir


def html(app: AppTest) -> str:
    return "".join(block.value for block in app.html)


def test_synthetic_scenes_are_registered_and_removed(empty_api: ApiClient) -> None:
    app = opened_screen("datasets")
    app.text_input(key="synthetic-name").set_value("mine")
    app.number_input(key="synthetic-train").set_value(10)
    app.number_input(key="synthetic-validation").set_value(2)
    app.number_input(key="synthetic-test").set_value(3)
    app.button(key="synthetic-register").click().run()
    assert not app.exception
    assert "15 scenes: 10 train" in texts(app)
    app.button(key="remove-mine").click().run()
    assert "No dataset yet" in texts(app)
    assert not empty_api.datasets()["items"]


def test_a_preset_is_named_by_its_question_and_its_knobs_are_turned(empty_api: ApiClient) -> None:
    app = opened_screen("datasets")
    assert f"season – {QUESTIONS['season']}" in app.selectbox(key="synthetic-preset").options
    app.selectbox(key="synthetic-preset").set_value("season").run()
    assert app.text_input(key="synthetic-name").value == "season"
    app.text_area(key="synthetic-knobs").set_value("change_rate: 0.25\nobjects: [2, 3]")
    app.button(key="synthetic-register").click().run()
    assert not app.exception
    assert empty_api.dataset("season")["config"]["knobs"] == {"change_rate": 0.25, "objects": [2, 3]}
    assert "preset season with change_rate 0.25, objects [2, 3]" in texts(app)
    assert app.text_input(key="synthetic-name").value == ""


@pytest.mark.usefixtures("empty_api")
@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ("change_rate = 1", "write one a line, like `change_rate: 0.3`"),
        ("change_rate: [", "not valid YAML"),
        ("speed: 1", "unknown knob 'speed'"),
        ("change_rate: 7", "change_rate"),
    ],
)
def test_knobs_that_there_are_not_are_refused_in_a_sentence(knobs: str, sentence: str) -> None:
    app = opened_screen("datasets")
    app.text_area(key="synthetic-knobs").set_value(knobs)
    app.button(key="synthetic-register").click().run()
    assert not app.exception
    assert sentence in texts(app)
    assert "No dataset yet" in texts(app)


@pytest.mark.usefixtures("empty_api")
def test_a_name_that_the_api_refuses_is_a_sentence() -> None:
    app = opened_screen("datasets")
    app.text_input(key="synthetic-name").set_value("Not Allowed!")
    app.button(key="synthetic-register").click().run()
    assert not app.exception
    assert "name" in app.error[0].value


@pytest.mark.usefixtures("empty_api")
def test_without_a_name_nothing_is_sent() -> None:
    app = opened_screen("datasets")
    app.text_input(key="synthetic-name").set_value(" ")
    app.button(key="synthetic-register").click().run()
    assert "needs a name" in app.error[0].value


@pytest.mark.usefixtures("empty_api")
@pytest.mark.parametrize("kind", ["xbd", "bitemporal"])
def test_without_a_data_root_it_says_how_to_get_one(kind: str) -> None:
    app = opened_screen("datasets", kind=kind)
    assert not app.exception
    assert "pairlab up --data-root NAME=FOLDER" in texts(app)


def test_a_dataset_that_is_used_says_why_it_stays(api: ApiClient) -> None:
    experiment = api.submit(EXPERIMENT)
    app = opened_screen("datasets")
    app.button(key="remove-scenes").click().run()
    assert not app.exception
    assert app.error
    assert [dataset["name"] for dataset in api.datasets()["items"]] == ["scenes"]
    api.cancel_experiment(experiment["id"])


def test_the_report_has_histograms_counts_and_the_state_of_the_store(browsed: ApiClient) -> None:
    app = opened_screen("datasets")
    app.button(key="report-browsed").click().run()
    assert not app.exception
    assert app.query_params["report"] == "browsed"
    assert len(charts(app)) == 4
    assert '<td class="strong">11</td>' in html(app)
    assert "22 images" in texts(app)
    assert "Every file can be used" in texts(app)
    app.selectbox(key="choose-column").set_value("pre_gsd").run()
    assert len(charts(app)) == 5
    app.button(key="report-browsed").click().run()
    assert "report" not in app.query_params
    assert not charts(app)
    assert browsed.report("browsed")["quarantined_total"] == 0


def test_what_cannot_be_used_is_listed_as_text(stack: LiveStack, browsed: ApiClient) -> None:
    name = register_hostile(stack)
    app = opened_screen("datasets", report=name)
    assert not app.exception
    assert "2 scenes take no part in anything" in texts(app)
    table = next(block.value for block in app.html if 'data-testid="quarantine"' in block.value)
    assert BAD not in table
    assert "&lt;b&gt;place&lt;/b&gt;" in table
    assert {each["scene"] for each in browsed.report(name)["quarantined"]} == {BAD, "place-3"}


def test_folders_of_images_are_registered_and_indexed(stack: LiveStack, browsed: ApiClient) -> None:
    write_levir(generated_root(stack) / "levir", seed=2, scenes={"train": 4, "val": 1, "test": 2})
    app = opened_screen("datasets", kind="bitemporal", root="generated")
    app.selectbox(key="bitemporal-folder").set_value("levir").run()
    assert app.text_input(key="bitemporal-name-levir").value == "levir"
    app.button(key="bitemporal-register").click().run()
    assert not app.exception
    assert not app.error
    assert "7 scenes: 4 train · 1 validation · 2 test" in texts(app)
    stack.register("levir", {})
    assert browsed.dataset("levir")["config"]["manifest"] is None


def test_a_table_of_images_needs_its_name_and_may_name_classes(stack: LiveStack, browsed: ApiClient) -> None:
    register_hostile(stack)
    app = opened_screen("datasets", kind="bitemporal", root="generated")
    app.selectbox(key="bitemporal-folder").set_value("hostile").run()
    assert app.selectbox(key="bitemporal-manifest").options == ["manifest.csv"]
    app.text_input(key="bitemporal-name-hostile").set_value("two-classes")
    app.text_input(key="bitemporal-classes").set_value("background, roof , tree")
    app.number_input(key="bitemporal-no-data").set_value(0.0)
    app.button(key="bitemporal-register").click().run()
    assert not app.exception
    config = browsed.dataset("two-classes")["config"]
    assert config["classes"] == ["background", "roof", "tree"]
    assert config["no_data"] == 0
    stack.register("two-classes", {})


def relay(server: RecordingServer, api: ApiClient, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Has the server answer as the real API does, but for fields of the paths that end as the changes' keys do."""

    def answer(request: Served) -> Response:
        found = httpx.request(
            request.method, api.base_url + request.path, params=tuple(request.query), json=request.body, trust_env=False
        )
        content = found.json()
        for ending, change in changes.items():
            if request.path.endswith(ending):
                content |= change
        return JSONResponse(content, status_code=found.status_code)

    server.answer = answer


def test_a_dataset_being_indexed_shows_how_far_it_is(
    server: RecordingServer, browsed: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of the real API, but for the state of the dataset, which would not hold still."""
    state = {"state": "indexing", "phase": "pixels", "progress": 0.42}
    relay(server, browsed, {"/report": state, "/datasets": {"items": [{**browsed.dataset("browsed"), **state}]}})
    monkeypatch.setenv("PAIRLAB_API_URL", server.url)
    app = opened_screen("datasets")
    assert not app.exception
    assert "reading pixels · 42 %" in app.get("progress")[0].proto.text.lower()
    assert app.button(key="index-cancel-browsed").label == "Cancel"
    app = opened_screen("pairs", dataset="browsed")
    assert not app.exception
    assert "11** scenes" in texts(app)
    assert app.get("progress")


def test_a_dataset_that_could_not_be_indexed_says_why_and_is_tried_again(
    server: RecordingServer, browsed: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = {**browsed.dataset("browsed"), "state": "failed"}
    job = {"status": "failed", "error": "train/<b>x</b>.png: no PNG **at all**"}
    relay(server, browsed, {"/datasets": {"items": [dataset]}, f"/jobs/{dataset['index_job']}": job})
    monkeypatch.setenv("PAIRLAB_API_URL", server.url)
    app = opened_screen("datasets")
    assert not app.exception
    assert "browsed could not be indexed" in app.error[0].value
    assert "\\<b\\>" in app.error[0].value
    app.button(key="index-retry-browsed").click().run()
    assert any(request.path.endswith("/retry") for request in server.requests)
