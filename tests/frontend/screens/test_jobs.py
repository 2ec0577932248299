import pytest

from frontend.api_client import ApiClient
from frontend.api_records import ExperimentDetail, Job
from tests.frontend.screens.conftest import EXPERIMENT, charts, opened_screen, texts


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


@pytest.mark.parametrize("kind", ["pretrain", "segment"])
def test_the_address_opens_one_job_with_its_curves_and_log(finished: ExperimentDetail, kind: str) -> None:
    job = job_of(finished, kind, "half noisy")
    app = opened_screen("jobs", experiment=finished["id"], job=job["id"])
    assert not app.exception
    assert len(charts(app)) == 4
    assert [tab.label for tab in app.tabs] == ["Curves", "Log", "Configuration"]
    assert '"kind"' in app.json[0].value


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
