import pytest

from frontend.api_client import ApiClient
from frontend.api_records import ExperimentDetail
from tests.frontend.screens.conftest import EXPERIMENT, opened_screen, texts


@pytest.mark.parametrize("protocol", ["linear_probe", "fine_tuning"])
def test_the_address_opens_one_prediction(finished: ExperimentDetail, protocol: str) -> None:
    app = opened_screen("inspect", experiment=finished["id"], arm="half noisy", seed="1", protocol=protocol)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="choose-arm").value == "half noisy"
    assert app.selectbox(key="choose-seed").value == "1"
    assert app.selectbox(key="choose-protocol").value == protocol
    tables = "".join(str(element.proto.body) for element in app.get("html"))
    assert 'data-testid="scene-iou"' in tables
    assert "damaged" in tables


def test_training_can_be_looked_at_step_by_step(finished: ExperimentDetail) -> None:
    app = opened_screen("inspect", experiment=finished["id"], protocol="linear_probe")
    slider = app.select_slider(key="inspect-step")
    assert len(slider.options) >= 2
    assert "step" not in app.query_params
    slider.set_value(slider.options[0]).run()
    assert not app.exception
    assert app.query_params["step"] == str(slider.options[0])
    assert f"at step {slider.options[0]}" in texts(app)


def test_a_test_scene_is_predicted_once(finished: ExperimentDetail) -> None:
    app = opened_screen("inspect", experiment=finished["id"], scene="test-000000")
    assert not app.exception
    assert "predicted once" in texts(app)


def test_the_protocol_changes_with_the_choice(finished: ExperimentDetail) -> None:
    app = opened_screen("inspect", experiment=finished["id"])
    app.selectbox(key="choose-protocol").set_value("linear_probe").run()
    assert app.query_params["protocol"] == "linear_probe"
    app.selectbox(key="choose-arm").set_value("random").run()
    assert app.query_params["arm"] == "random"
    assert app.query_params["protocol"] == "linear_probe"
    assert not app.exception


def test_a_job_without_predictions_says_when_they_come(api: ApiClient) -> None:
    experiment = api.submit(EXPERIMENT.replace("seeds: [0]", "seeds: [51]"))
    app = opened_screen("inspect", experiment=experiment["id"])
    assert not app.exception
    assert "Predictions appear here at its first evaluation" in texts(app)
    api.cancel_experiment(experiment["id"])
    app.run()
    assert "wrote no prediction" in texts(app)
