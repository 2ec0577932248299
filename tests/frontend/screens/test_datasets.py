import pytest

from frontend.api_client import ApiClient
from tests.frontend.screens.conftest import EXPERIMENT, opened_screen, texts


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


def test_a_dataset_that_is_used_says_why_it_stays(api: ApiClient) -> None:
    experiment = api.submit(EXPERIMENT)
    app = opened_screen("datasets")
    app.button(key="remove-scenes").click().run()
    assert not app.exception
    assert app.error
    assert [dataset["name"] for dataset in api.datasets()["items"]] == ["scenes"]
    api.cancel_experiment(experiment["id"])
