import pytest

from frontend.api_client import ApiClient
from tests.frontend.screens.conftest import opened_screen, texts


@pytest.mark.usefixtures("api")
def test_the_list_counts_its_scenes_and_offers_the_next_page() -> None:
    app = opened_screen("pairs")
    assert not app.exception
    assert "32 scenes, showing 1 to 24" in texts(app)
    app.button(key="pairs-more").click().run()
    assert "32 scenes, showing 25 to 32" in texts(app)
    app.button(key="pairs-back").click().run()
    assert "showing 1 to 24" in texts(app)


@pytest.mark.usefixtures("api")
def test_a_filter_begins_a_list_of_its_own() -> None:
    app = opened_screen("pairs")
    app.button(key="pairs-more").click().run()
    app.selectbox(key="split").set_value("test").run()
    assert "4 scenes, showing 1 to 4" in texts(app)
    assert "cursor" not in app.query_params


@pytest.mark.usefixtures("api")
def test_filters_that_nothing_meets_say_so() -> None:
    app = opened_screen("pairs")
    app.slider(key="change").set_value((99.0, 100.0)).run()
    assert not app.exception
    assert "No scene matches" in texts(app)


@pytest.mark.usefixtures("api")
def test_the_address_opens_one_scene() -> None:
    app = opened_screen("pairs", dataset="scenes", scene="train-000001")
    assert not app.exception
    assert "train-000001" in texts(app)
    app.button(key="scene-next").click().run()
    assert app.query_params["scene"] == "train-000002"
    app.button(key="scene-close").click().run()
    assert "scene" not in app.query_params


def test_the_first_scene_has_none_before_it(api: ApiClient) -> None:
    first = api.scenes("scenes", limit=1)["items"][0]["name"]
    app = opened_screen("pairs", dataset="scenes", scene=first)
    assert app.button(key="scene-previous").disabled
    assert not app.button(key="scene-next").disabled


@pytest.mark.usefixtures("api")
def test_a_scene_that_is_not_there_is_a_sentence() -> None:
    app = opened_screen("pairs", dataset="scenes", scene="nowhere")
    assert not app.exception
    assert "nowhere" in app.error[0].value


@pytest.mark.usefixtures("api")
def test_a_dataset_that_is_gone_gives_way_to_another() -> None:
    app = opened_screen("pairs", dataset="gone")
    assert "“gone” is not here" in texts(app)
    assert "32 scenes" in texts(app)
