import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from frontend.api_records import ExperimentDetail, Job
from tests.frontend.screens.conftest import EXPERIMENT, charts, opened_screen, texts
from tests.live_stack import LiveStack


def job_of(experiment: ExperimentDetail, kind: str, arm: str) -> Job:
    return next(
        job for job in experiment["job_list"] if job["kind"] == kind and any(use["arm"] == arm for use in job["uses"])
    )


def test_every_job_has_its_row(finished: ExperimentDetail) -> None:
    app = opened_screen("jobs", experiment=finished["id"])
    assert not app.exception
    table = app.dataframe[0].value
    assert len(table) == len(finished["job_list"]) == 6
    assert set(table["state"]) == {"done"}
    assert set(table["progress"]) == {100}
    assert "6 of 6 jobs over" in app.get("progress")[0].proto.text


@pytest.mark.parametrize(
    ("kind", "tabs"),
    [("pretrain", ["Curves", "Maps", "Log", "Configuration"]), ("segment", ["Curves", "Log", "Configuration"])],
)
def test_the_address_opens_one_job_with_its_curves_and_log(
    finished: ExperimentDetail, kind: str, tabs: list[str]
) -> None:
    job = job_of(finished, kind, "half noisy")
    app = opened_screen("jobs", experiment=finished["id"], job=job["id"])
    assert not app.exception
    assert len(charts(app)) == (11 if kind == "pretrain" else 4)
    assert [tab.label for tab in app.tabs] == tabs
    assert '"kind"' in app.json[0].value


def test_a_pretraining_tells_whether_it_learns(finished: ExperimentDetail) -> None:
    app = opened_screen("jobs", experiment=finished["id"], job=job_of(finished, "pretrain", "half noisy")["id"])
    assert [each.label for each in app.expander] == ["Experiment file", "Does it learn?", "Learning rate and speed"]
    titles = [json.loads(chart.proto.spec)["title"]["text"] for chart in charts(app)]  # type: ignore[attr-defined]
    assert titles[0] == "Contrastive loss"
    assert {"Spread of embeddings", "Effective rank of embeddings", "Gradient norm", "Pairs per second"} <= set(titles)
    assert "effective dimensions" in texts(app)


def test_only_a_finished_pretraining_can_be_exported(finished: ExperimentDetail) -> None:
    for kind, buttons in (("pretrain", ["Export"]), ("segment", [])):
        app = opened_screen("jobs", experiment=finished["id"], job=job_of(finished, kind, "half noisy")["id"])
        assert not app.exception
        assert [each.proto.label for each in app.get("download_button")] == buttons


def test_the_slider_leads_through_the_maps_of_a_pretraining(finished: ExperimentDetail, stack: LiveStack) -> None:
    job = job_of(finished, "pretrain", "half noisy")
    maps = stack.client.embedding_maps(job["id"])
    app = opened_screen("jobs", experiment=finished["id"], job=job["id"])
    slider = app.select_slider(key="job-map-step")
    assert slider.value == maps[-1]["step"]
    assert len(slider.options) == len(maps) >= 8
    assert shown_map(app) == maps[-1]["url"]
    slider.set_value(0).run()
    assert not app.exception
    assert shown_map(app) == maps[0]["url"]


def shown_map(app: AppTest) -> str:
    """Returns the address of the map that stands beside the first chip."""
    (html,) = [each.proto.body for each in app.get("html") if '<div class="pl-maps">' in each.proto.body]
    match = re.search(r'<span><img src="([^"]+)"', html)
    assert match is not None
    return match[1]


def test_a_job_that_is_not_there_is_a_sentence(finished: ExperimentDetail) -> None:
    app = opened_screen("jobs", experiment=finished["id"], job="nothing")
    assert not app.exception
    assert "nothing" in app.error[0].value


def test_an_experiment_that_is_gone_gives_way_to_the_newest(finished: ExperimentDetail) -> None:
    app = opened_screen("jobs", experiment="gone")
    assert not app.exception
    assert "“gone” is not here" in texts(app)
    assert app.query_params["experiment"] != "gone"
    assert finished["id"] in app.selectbox(key="choose-experiment").options or app.dataframe


def test_experiments_of_one_name_and_minute_are_told_apart(api: ApiClient) -> None:
    ids = [api.submit(EXPERIMENT.replace("seeds: [0]", f"seeds: [{seed}]"))["id"] for seed in (61, 62, 63)]
    app = opened_screen("jobs", experiment=ids[1])
    for _ in range(2):
        app.run()
        assert app.query_params["experiment"] == ids[1]
    app.selectbox(key="choose-experiment").set_value(ids[0]).run()
    assert app.query_params["experiment"] == ids[0]
    for experiment in ids:
        api.cancel_experiment(experiment)
    app.run()
    assert app.query_params["experiment"] == ids[0]


def test_jobs_that_wait_for_a_worker_say_so_and_can_be_cancelled(api: ApiClient) -> None:
    experiment = api.submit(EXPERIMENT.replace("seeds: [0]", "seeds: [31]"))
    app = opened_screen("jobs", experiment=experiment["id"])
    assert "No worker is connected" in texts(app)
    app.button(key="experiment-cancel").click().run()
    assert not app.exception
    assert api.experiment(experiment["id"])["status"] == "cancelled"
    app.button(key="experiment-retry").click().run()
    assert not [each.value for each in (*app.error, *app.exception)]
    assert api.experiment(experiment["id"])["status"] == "queued"
    api.cancel_experiment(experiment["id"])


def test_a_job_offers_what_its_state_allows(api: ApiClient) -> None:
    experiment = api.submit(EXPERIMENT.replace("seeds: [0]", "seeds: [32]"))
    job = next(job for job in api.experiment(experiment["id"])["job_list"] if job["kind"] == "pretrain")
    app = opened_screen("jobs", experiment=experiment["id"], job=job["id"])
    app.button(key="job-pause").click().run()
    assert not [each.value for each in (*app.error, *app.exception)]
    assert api.job(job["id"])["status"] == "paused"
    app.button(key="job-resume").click().run()
    assert api.job(job["id"])["status"] == "queued"
    app.button(key="job-cancel").click().run()
    assert api.job(job["id"])["status"] == "cancelled"
    app.button(key="job-close").click().run()
    assert "job" not in app.query_params
    assert not app.exception
    api.cancel_experiment(experiment["id"])


def test_index_jobs_stand_in_a_list_of_their_own(browsed: ApiClient) -> None:
    job = browsed.dataset("browsed")["index_job"]
    assert job is not None
    app = opened_screen("jobs", experiment="index", job=job)
    assert not app.exception
    table = app.dataframe[0].value
    assert "browsed" in set(table["dataset"])
    assert set(table["job"]) == {"indexing"}
    assert "seed" not in table.columns
    assert "Indexing · dataset browsed" in texts(app)
    assert len(charts(app)) == 1


def test_score_jobs_stand_in_a_list_of_their_own(scored: ApiClient, scored_ids: list[str]) -> None:
    job = next(each["job"] for each in scored.scores("scored") if each["id"] == scored_ids[1])
    app = opened_screen("jobs", experiment="score", job=job)
    assert not app.exception
    table = app.dataframe[0].value
    assert "scored" in set(table["dataset"])
    assert {"CVA", "IR-MAD"} < set(table["job"])
    assert "seed" not in table.columns
    assert "Change score · IR-MAD · dataset scored" in texts(app)
    assert len(charts(app)) == 1
