import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from frontend.scene_query import SceneQuery
from pairlab.experiment.yaml_text import parse_yaml
from tests.frontend.screens.conftest import charts, opened_screen, texts


def address(app: AppTest) -> dict[str, str | list[str]]:
    """Returns the parameters of the screen's URL but for the dataset."""
    return {name: value for name, value in app.query_params.items() if name != "dataset"}


@pytest.mark.usefixtures("api")
def test_the_list_counts_its_scenes_and_has_pages() -> None:
    app = opened_screen("pairs")
    assert not app.exception
    assert "32** scenes, showing 1 to 24" in texts(app)
    app.pagination(key="pairs-page").set_value(2).run()
    assert "showing 25 to 32" in texts(app)
    assert address(app) == {"page": "2"}
    app.pagination(key="pairs-page").set_value(1).run()
    assert "showing 1 to 24" in texts(app)
    assert address(app) == {}


@pytest.mark.usefixtures("api")
def test_a_page_behind_the_last_is_the_last() -> None:
    app = opened_screen("pairs", page="99")
    assert not app.exception
    assert "showing 25 to 32" in texts(app)
    assert app.query_params["page"] == "2"


@pytest.mark.usefixtures("api")
def test_another_size_of_pages_begins_at_the_first() -> None:
    app = opened_screen("pairs", page="2")
    app.selectbox(key="choose-size").set_value("96").run()
    assert "showing 1 to 32" in texts(app)
    assert address(app) == {"size": "96"}


@pytest.mark.usefixtures("api")
def test_a_filter_begins_a_list_of_its_own() -> None:
    app = opened_screen("pairs", page="2")
    app.multiselect(key="filter-split").set_value(["test"]).run()
    assert "4 of 32** scenes, showing 1 to 4" in texts(app)
    assert address(app) == {"split": ["test"]} or address(app) == {"split": "test"}


@pytest.mark.usefixtures("api")
def test_filters_that_nothing_meets_say_so_and_can_be_dropped() -> None:
    app = opened_screen("pairs", min_change="0.99")
    assert not app.exception
    assert "No scene matches" in texts(app)
    assert not charts(app)
    app.button(key="filter-clear").click().run()
    assert "32** scenes" in texts(app)
    assert address(app) == {}


@pytest.mark.usefixtures("api")
def test_a_dataset_that_is_gone_gives_way_to_another() -> None:
    app = opened_screen("pairs", dataset="gone", event="x", page="3")
    assert "“gone” is not here" in texts(app)


def test_every_filter_is_what_the_api_makes_of_it(browsed: ApiClient) -> None:
    parameters: dict[str, str | list[str]] = {
        "event": ["testville-flooding", "sampleton-wildfire"],
        "split": "train",
        "object": "destroyed",
        "min_change": "0.001",
        "max_object_change": "0.9",
        "max_no_data": "0.5",
        "max_offset": "30",
        "where": ["pre_sensor=INVENTED01", "pre_gsd=..3"],
        "q": "0",
        "sort": "-column/pre_gsd",
    }
    app = opened_screen("pairs", dataset="browsed", **parameters)
    assert not app.exception
    as_lists = {name: [value] if isinstance(value, str) else value for name, value in parameters.items()}
    query = SceneQuery.from_params(as_lists, browsed.dataset("browsed")["columns"])
    found = browsed.scenes("browsed", query)
    assert 0 < found["total"] < 11
    assert f"{found['total']} of 11** scene" in texts(app)
    shown = [button.label for button in app.button if str(button.key).startswith("drop-")]
    assert len(shown) == 11 + 1
    assert app.multiselect(key="filter-event").value == parameters["event"]
    assert app.multiselect(key="filter-column-pre_sensor").value == ["INVENTED01"]
    assert app.select_slider(key="filter-change").value == (0.001, 1.0)
    assert app.select_slider(key="filter-offset").value == (0.0, 30.0)
    assert app.selectbox(key="order-key").value == "column/pre_gsd"


@pytest.mark.usefixtures("browsed")
def test_fields_rewrite_the_address_and_conditions_are_dropped_one_by_one() -> None:
    app = opened_screen("pairs", dataset="browsed")
    app.select_slider(key="filter-change").set_range(0.001, 1.0).run()
    app.text_input(key="filter-name").set_value(" FLOOD ").run()
    app.multiselect(key="filter-columns-browsed").set_value(["pre_sensor"]).run()
    app.multiselect(key="filter-column-pre_sensor").set_value(["INVENTED01"]).run()
    app.selectbox(key="order-key").set_value("objects").run()
    app.segmented_control(key="order-way").set_value("descending").run()
    assert not app.exception
    assert address(app) == {
        "min_change": "0.001",
        "q": "FLOOD",
        "where": "pre_sensor=INVENTED01",
        "sort": "-objects",
    }
    app.button(key="drop-0").click().run()
    assert address(app) == {"q": "FLOOD", "where": "pre_sensor=INVENTED01", "sort": "-objects"}
    assert app.select_slider(key="filter-change").value == (0.0, 1.0)
    app.button(key="drop-all").click().run()
    assert address(app) == {"sort": "-objects"}
    assert app.text_input(key="filter-name").value == ""


@pytest.mark.usefixtures("browsed")
def test_the_distribution_is_of_the_filtered_scenes_and_shows_any_column() -> None:
    app = opened_screen("pairs", dataset="browsed", split="train", spread="column/pre_gsd")
    assert not app.exception
    assert len(charts(app)) == 4
    rows = "".join(block.value for block in app.html)
    assert "testville-flooding" in rows
    assert ">3</td>" in rows
    app.selectbox(key="choose-spread").set_value("column/pre_sensor").run()
    assert len(charts(app)) == 3
    assert app.query_params["spread"] == "column/pre_sensor"


def test_flagged_scenes_are_listed_alone(browsed: ApiClient) -> None:
    name = browsed.scenes("browsed")["items"][2]["name"]
    browsed.mark("browsed", name, flagged=True, note="")
    app = opened_screen("pairs", dataset="browsed")
    app.pills(key="filter-flagged").set_value(True).run()
    assert "1 of 11** scenes, showing 1 to 1" in texts(app)
    app.pills(key="filter-flagged").set_value(False).run()
    assert "10 of 11** scenes" in texts(app)
    assert address(app) == {"flagged": "false"}
    browsed.unmark("browsed", name)


@pytest.mark.usefixtures("browsed")
def test_the_selection_is_exported_as_csv_and_as_a_filter() -> None:
    app = opened_screen("pairs", dataset="browsed", event="testville-flooding", sort="-offset")
    app.button(key="pairs-export").click().run()
    assert not app.exception
    assert parse_yaml(app.code[0].value) == {"scenes": {"events": ["testville-flooding"]}}
    link = app.link_button[0].proto.url
    assert link == "/api/v1/datasets/browsed/selection.csv?event=testville-flooding&sort=-offset"
