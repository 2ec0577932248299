import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from tests.frontend.screens.conftest import opened_screen, texts


def html(app: AppTest) -> str:
    return "".join(block.value for block in app.html)


@pytest.mark.usefixtures("api")
def test_the_address_opens_one_scene_among_those_of_the_filter() -> None:
    app = opened_screen("pairs", dataset="scenes", scene="train-000001", split="train", sort="-name")
    assert not app.exception
    assert app.title[0].value == "train\\-000001" or app.title[0].value == "train-000001"
    assert "**23** of 24" in texts(app)
    app.button(key="scene-next").click().run()
    assert app.query_params["scene"] == "train-000000"
    assert app.button(key="scene-next").disabled
    app.button(key="scene-previous").click().run()
    app.button(key="scene-previous").click().run()
    assert app.query_params["scene"] == "train-000002"


@pytest.mark.usefixtures("api")
def test_the_way_back_leads_to_the_page_of_the_scene() -> None:
    app = opened_screen("pairs", dataset="scenes", scene="train-000020", mode="swipe", left="post", opacity="20")
    app.button(key="scene-close").click().run()
    assert not app.exception
    assert app.title[0].value == "Pairs"
    assert "showing 25 to 32" in texts(app)
    assert dict(app.query_params) == {"dataset": "scenes", "page": "2"}


@pytest.mark.usefixtures("api")
def test_a_scene_outside_of_the_filter_says_so() -> None:
    app = opened_screen("pairs", dataset="scenes", scene="train-000001", split="test")
    assert not app.exception
    assert "not among the 4 of the filter" in texts(app)
    assert app.button(key="scene-next").disabled
    app.button(key="scene-close").click().run()
    assert "showing 1 to 4" in texts(app)


@pytest.mark.usefixtures("api")
def test_a_scene_that_is_not_there_is_a_sentence() -> None:
    app = opened_screen("pairs", dataset="scenes", scene="nowhere")
    assert not app.exception
    assert "nowhere" in app.error[0].value


def test_a_flag_and_a_note_are_kept_and_taken_away(browsed: ApiClient) -> None:
    name = browsed.scenes("browsed")["items"][0]["name"]
    app = opened_screen("pairs", dataset="browsed", scene=name)
    app.button(key="scene-flag").click().run()
    assert app.button(key="scene-flag").label == "Flagged"
    app.text_area(key=f"note-text-{name}").set_value(" shifted, **look** again ")
    app.button(key="scene-note-save").click().run()
    assert not app.exception
    mark = browsed.scene("browsed", name)["mark"]
    assert mark is not None
    assert (mark["flagged"], mark["note"]) == (True, "shifted, **look** again")
    app.button(key="scene-flag").click().run()
    mark = browsed.scene("browsed", name)["mark"]
    assert mark is not None
    assert (mark["flagged"], mark["note"]) == (False, "shifted, **look** again")
    app.text_area(key=f"note-text-{name}").set_value("")
    app.button(key="scene-note-save").click().run()
    assert browsed.scene("browsed", name)["mark"] is None


def test_metadata_stand_side_by_side_and_differences_are_marked(browsed: ApiClient) -> None:
    found = browsed.scene("browsed", browsed.scenes("browsed")["items"][0]["name"])
    app = opened_screen("pairs", dataset="browsed", scene=found["name"])
    assert not app.exception
    table = next(block.value for block in app.html if 'data-testid="metadata"' in block.value)
    differing = {row.partition("<td>")[2].partition("<")[0] for row in table.split("<tr") if "differs" in row}
    pre, post = found["metadata"]["pre"], found["metadata"]["post"]
    assert differing == {name.replace("_", " ") for name in {*pre, *post} if pre.get(name) != post.get(name)}
    assert "capture date" in differing
    assert "disaster" not in differing


def test_the_offset_is_a_number_and_an_arrow(browsed: ApiClient) -> None:
    for scene in browsed.scenes("browsed")["items"]:
        vector = browsed.scene("browsed", scene["name"])["offset_vector"]
        app = opened_screen("pairs", dataset="browsed", scene=scene["name"])
        if vector is None:
            assert "Not estimated" in texts(app)
        else:
            assert f"<b>{scene['offset']:.1f} px</b>" in html(app)
            assert "transform:rotate(" in html(app)


def test_objects_are_listed_once_they_are_asked_for(browsed: ApiClient) -> None:
    scene = max(browsed.scenes("browsed")["items"], key=lambda each: sum(each["objects"].values()))
    app = opened_screen("pairs", dataset="browsed", scene=scene["name"])
    assert not app.dataframe
    app.session_state["scene-objects"] = True
    app.run()
    assert not app.exception
    table = app.dataframe[0].value
    objects = browsed.objects("browsed", scene["name"], "post")
    assert len(table) == len({each["name"] for each in objects})
    assert set(table["class, post"].dropna()) == {each["kind"] for each in objects}


def test_labels_are_shown_by_another_scheme(browsed: ApiClient) -> None:
    name = browsed.scenes("browsed")["items"][0]["name"]
    app = opened_screen("pairs", dataset="browsed", scene=name, hidden="1")
    app.selectbox(key="choose-scheme").set_value("damage_levels").run()
    assert not app.exception
    assert app.query_params["scheme"] == "damage_levels"
    assert "hidden" not in app.query_params
