"""What arms would draw: pairs, views, arms side by side, and why one draws none."""

import json
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from tests.frontend.screens.conftest import charts, texts
from tests.frontend.screens.design_screen import component, draft, field, figures, opened_file, table, three_arms
from tests.live_stack import LiveStack, as_yaml

HALF = 2


def shown(cell: dict[str, Any]) -> list[str]:
    """Returns scene and acquisition of both images of a pair."""
    return [image["url"].split("/scenes/")[1].split("?")[0] for image in cell["images"]]


@pytest.fixture
def app(api: ApiClient) -> AppTest:
    return opened_file(api, three_arms())


def test_a_slider_changes_what_is_shown_at_once(app: AppTest) -> None:
    assert figures(app)["Noisy, realised"] == "50.0 %"
    app.slider(key=field(app, "arm", str(HALF), "rate")).set_value(25).run()
    assert figures(app)["Noisy, realised"] == "25.0 %"
    app.slider(key=field(app, "arm", str(HALF), "mismatch_rate")).set_value(50).run()
    assert not app.error, app.error[0].value
    assert figures(app)["Other place, asked for"] == "50 %"
    assert figures(app)["Other place, realised"] == "50.0 %"
    assert len(charts(app)) == 1
    assert not app.error


def test_cards_tell_what_a_pair_is(app: AppTest) -> None:
    app.slider(key=field(app, "arm", str(HALF), "shift_px")).set_value(4.0).run()
    app.slider(key=field(app, "arm", str(HALF), "mismatch_rate")).set_value(25).run()
    pairs = component(app, "design-pairs")["pairs"]
    said = [badge["text"] for pair in pairs for badge in pair["badges"]]
    assert {"other place", "clean", "rendered again"} <= set(said)
    assert any(text.startswith("noisy · ") for text in said)
    assert any(text.startswith("shifted ") for text in said)
    assert all("/change?" in pair["images"][2]["overlay"] for pair in pairs)
    app.segmented_control(key="preview-change").set_value("over").run()
    for pair in component(app, "design-pairs")["pairs"]:
        mismatched = any(badge["text"] == "other place" for badge in pair["badges"])
        assert ["overlay" in image for image in pair["images"]] == [True, not mismatched]
    app.segmented_control(key="preview-change").set_value("off").run()
    assert not any("overlay" in image for pair in component(app, "design-pairs")["pairs"] for image in pair["images"])


def test_pages_go_through_all_pairs(app: AppTest) -> None:
    first = component(app, "design-pairs")["pairs"]
    app.session_state["preview-page"] = 2
    app.run()
    second = component(app, "design-pairs")["pairs"]
    assert [len(first), len(second)] == [12, 4]
    assert {pair["key"] for pair in first} | {pair["key"] for pair in second} == {str(each) for each in range(16)}


def test_the_balance_stands_beside_the_reference(app: AppTest) -> None:
    rows = {row[0]: row[1:] for row in table(app, "balance")}
    assert rows[""] == ["clean (reference)", "half"]
    assert rows["pairs"] == ["16", "16"]
    assert rows["images: pre"] == ["50.0 %", "50.0 %"]
    assert rows["a place is shown, least"] == rows["a place is shown, most"] == ["2 ×", "2 ×"]


def test_what_a_filter_throws_away_is_told(app: AppTest) -> None:
    app.selectbox(key=field(app, "arm", str(HALF), "filter")).set_value("oracle").run()
    assert figures(app)["Thrown away"] == "8"
    assert figures(app)["Pairs drawn"] == "8"
    said = texts(app)
    assert "The filter throws away 8 pairs of 16 (50 %), 8 of them noisy." in said
    assert "not exposure-matched" in said
    assert "class=differs" in next(each.proto.body for each in app.get("html") if "balance" in each.proto.body)


def test_the_views_of_a_pair_have_matched_points(app: AppTest) -> None:
    app.segmented_control(key="side").set_value("Views").run()
    data = component(app, "design-views")
    assert (data["size"], data["chip_size"]) == (64, 64)
    assert data["points"]
    assert all(0 <= x <= 64 for point in data["points"] for end in ("a", "b") for x in point[end])
    assert data["anchor"]["url"] != data["positive"]["url"]
    assert any("that is not drawn" in note for note in data["notes"])
    app.number_input(key="views-pair").set_value(3).run()
    assert app.query_params["pair"] == "3"
    assert component(app, "design-views")["anchor"] != data["anchor"]


def test_the_views_of_a_global_method_match_nothing_and_say_so(api: ApiClient) -> None:
    app = opened_file(api, three_arms(method={"name": "simclr"}), side="Views", arm="half")
    data = component(app, "design-views")
    assert data["points"] == []
    assert "no pixel is matched" in data["notes"][0]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"name": "pixel_infonce", "match_tolerance_px": 6}, "lie within 6 px of it on the ground"),
        ({"name": "pixpro"}, "all cells of the anchor that match"),
    ],
)
def test_views_show_how_far_around_a_point_cells_match(api: ApiClient, method: dict[str, Any], said: str) -> None:
    app = opened_file(api, three_arms(method=method), side="Views", arm="half")
    data = component(app, "design-views")
    assert data["points"]
    assert data["reach"] > 0
    assert said in data["notes"][0]


def test_the_views_of_a_method_that_chooses_cells_by_itself_say_so(api: ApiClient) -> None:
    app = opened_file(api, three_arms(method={"name": "vicregl"}), side="Views", arm="half")
    data = component(app, "design-views")
    assert (data["points"], data["reach"]) == ([], None)
    assert "chooses the cells that it matches as it learns" in data["notes"][0]


def test_views_by_features_and_shifts_say_what_the_points_are(api: ApiClient) -> None:
    method = {"name": "pixel_infonce", "matching": "feature"}
    app = opened_file(api, three_arms(method=method), side="Views", arm="half")
    app.slider(key=field(app, "arm", str(HALF), "shift_px")).set_value(8.0).run()
    notes = " ".join(component(app, "design-views")["notes"])
    assert "the same ground, not its choice" in notes
    assert "the loss does not know" in notes


def test_arms_stand_side_by_side_at_the_same_places(api: ApiClient) -> None:
    text = json.loads(three_arms())
    text["arms"]["filtered"] = {"pairing": {**text["arms"]["half"]["pairing"], "filter": "oracle"}}
    app = opened_file(api, as_yaml(text), side="Arms")
    data = component(app, "design-arms")
    assert [column["title"] for column in data["columns"]] == ["clean", "half", "filtered"]
    assert len(data["rows"]) == 6
    noisy = 0
    for row in data["rows"]:
        clean, half, filtered = row["cells"]
        assert shown(clean) == shown(half)
        is_noisy = half["badges"][0]["text"].startswith("noisy")
        assert (filtered["note"] == "thrown away by the filter") == is_noisy
        noisy += is_noisy
    assert 0 < noisy < 6
    assert table(app, "balance")[0] == ["", "clean (reference)", "half", "filtered"]
    app.toggle(key="arms-change").set_value(True).run()
    assert "overlay" in component(app, "design-arms")["rows"][0]["cells"][0]["images"][0]


def test_an_arm_that_is_refused_says_why_and_the_others_are_shown(app: AppTest) -> None:
    app.slider(key=field(app, "arm", str(HALF), "rate")).set_value(50).run()
    app.segmented_control(key="side").set_value("YAML").run()
    content = json.loads(three_arms())
    content["arms"]["half"]["pairing"]["noise"]["control"] = "replace"
    content["arms"]["half"]["pairing"]["noise"]["rate"] = 0
    app.text_area(key="yaml-box").set_value(as_yaml(content)).run()
    app.segmented_control(key="side").set_value("Arms").run()
    assert not app.exception
    assert "half: Control replace needs 16 clean chips" in texts(app).replace("*", "")
    rows = component(app, "design-arms")["rows"]
    assert {row["cells"][1]["note"] for row in rows} == {"draws no pairs"}
    assert all(row["cells"][0]["images"] for row in rows)


def test_a_score_that_is_not_computed_yet_can_be_from_here(app: AppTest, api: ApiClient) -> None:
    app.selectbox(key=field(app, "arm", str(HALF), "filter")).set_value("change_score").run()
    assert not app.error
    assert "is not computed yet" in app.info[0].value
    assert "Before the filter" in texts(app)
    assert figures(app)["Pairs drawn"] == "16"
    app.button(key="missing-score-queue").click().run()
    assert not app.exception
    (score,) = (each for each in api.scores("scenes") if each["score"]["name"] == "cva")
    assert score["draw"] == 0
    assert "queued" in texts(app)
    assert not [button for button in app.button if button.key == "missing-score-queue"]
    api.act_on_job(score["job"], "cancel")


def test_a_score_is_computed_from_here_and_the_preview_follows(
    stack: LiveStack, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRLAB_API_URL", stack.api)
    app = opened_file(stack.client, three_arms().replace('"dataset": "scenes"', f'"dataset": "{tiny}"'))
    app.selectbox(key=field(app, "arm", str(HALF), "filter")).set_value("change_score").run()
    app.slider(key=field(app, "arm", str(HALF), "quantile")).set_value(60).run()
    app.button(key="missing-score-queue").click().run()
    deadline = time.monotonic() + 120
    while "Thrown away" not in figures(app) and time.monotonic() < deadline:
        time.sleep(0.5)
        app.run()
    assert not app.exception
    assert int(figures(app)["Thrown away"]) > 0


def test_another_seed_draws_other_pairs(api: ApiClient) -> None:
    app = opened_file(api, three_arms().replace('"seeds": [\n    0\n  ]', '"seeds": [0, 1]'))
    before = component(app, "design-pairs")["pairs"]
    app.selectbox(key="choose-seed").set_value("1").run()
    assert app.query_params["seed"] == "1"
    assert component(app, "design-pairs")["pairs"] != before


def test_a_filter_by_a_computed_score_shows_scores_and_what_it_throws_away(scored: ApiClient, stack: LiveStack) -> None:
    text = three_arms().replace('"dataset": "scenes"', '"dataset": "scored"')
    app = opened_file(scored, text)
    app.selectbox(key=field(app, "arm", str(HALF), "filter")).set_value("change_score").run()
    app.slider(key=field(app, "arm", str(HALF), "quantile")).set_value(50).run()
    assert not app.exception
    assert int(figures(app)["Thrown away"]) > 0
    assert any("score" in badge["text"] for pair in component(app, "design-pairs")["pairs"] for badge in pair["badges"])
    assert draft(app).arms["half"].pairing is not None
    assert stack.api
