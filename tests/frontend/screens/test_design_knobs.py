"""Every knob of an arm: the form edits the file, only what applies is shown, and defaults stay out of the file."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from pairlab.experiment.methods import ChangeWeight, PixelInfoNCE
from pairlab.experiment.pairing import ChangeScoreFilter, Pairing
from tests.frontend.screens.conftest import DATASET, texts
from tests.frontend.screens.design_screen import TEXT, draft, field, fields, opened_file, pairing_of, table, three_arms

HALF = 2
"""Where the arm `half` stands."""


@pytest.fixture
def app(api: ApiClient) -> AppTest:
    app = opened_file(api, three_arms())
    assert not app.exception
    assert not app.error
    return app


def changed(app: AppTest, kind: str, name: str, value: Any) -> Pairing:  # noqa: ANN401
    """Returns the pairing of `half` after one of its fields got a value."""
    getattr(app, kind)(key=field(app, "arm", str(HALF), name)).set_value(value).run()
    assert not app.exception
    return pairing_of(app, "half")


def written(app: AppTest) -> dict[str, Any]:
    """Returns what the file says of the pairing of `half`, and no more."""
    return pairing_of(app, "half").model_dump(mode="json", exclude_unset=True)


def test_the_knobs_that_apply_are_shown_and_no_others(app: AppTest) -> None:
    assert fields(app, 0) == {"name", "kind", "baseline"}
    clean = {"name", "kind", "pairs", "fixed", "rate", "control", "mismatch_rate", "shift_px", "filter", "method"}
    assert fields(app, 1) == clean
    assert fields(app, HALF) == clean | {"extent"}


def test_rate_and_extent(app: AppTest) -> None:
    assert changed(app, "slider", "rate", 25).noise.rate == 0.25
    assert changed(app, "slider", "extent", (50, 100)).noise.extent == (0.5, 1.0)
    changed(app, "slider", "extent", (0, 100))
    assert written(app)["noise"] == {"rate": 0.25}
    changed(app, "slider", "rate", 100)
    assert "control" not in fields(app, HALF)
    assert "mismatch_rate" not in fields(app, HALF)


def test_a_control_is_explained_and_the_one_by_itself_stays_out_of_the_file(app: AppTest) -> None:
    control = app.selectbox(key=field(app, "arm", str(HALF), "control"))
    assert list(control.options) == [
        "by itself: rendered again without its change",
        "rendered again without its change",
        "the changed pixels excluded",
        "one image of the place, twice",
        "a clean place instead",
    ]
    assert changed(app, "selectbox", "control", "same_acquisition").noise.control == "same_acquisition"
    assert "loses the differences of light, season and sensor too" in texts(app)
    changed(app, "selectbox", "control", "by itself")
    assert written(app)["noise"] == {"rate": 0.5}


def test_positives_of_another_place(app: AppTest) -> None:
    assert "mismatch_from" not in fields(app, HALF)
    assert changed(app, "slider", "mismatch_rate", 25).noise.mismatch_rate == 0.25
    assert changed(app, "selectbox", "mismatch_from", "similar").noise.mismatch_from == "similar"
    changed(app, "slider", "mismatch_rate", 0)
    assert written(app)["noise"] == {"rate": 0.5}


def test_more_than_all_pairs_is_refused_in_a_sentence_and_the_next_move_counts(app: AppTest) -> None:
    assert changed(app, "slider", "mismatch_rate", 75).noise.mismatch_rate == 0
    assert "rate 0.5 and mismatch_rate 0.75 must add up to at most 1" in texts(app)
    assert changed(app, "slider", "rate", 25).noise.mismatch_rate == 0.75
    assert pairing_of(app, "half").noise.rate == 0.25
    assert "must add up" not in texts(app)


def test_misregistration(app: AppTest) -> None:
    assert changed(app, "slider", "shift_px", 2.5).noise.shift_px == 2.5
    assert changed(app, "slider", "rate", 25).noise.shift_px == 2.5
    changed(app, "slider", "rate", 50)
    changed(app, "slider", "shift_px", 0.0)
    assert written(app)["noise"] == {"rate": 0.5}


def test_a_filter_by_the_labels(app: AppTest) -> None:
    assert changed(app, "selectbox", "filter", "oracle").filter.by == "oracle"
    assert changed(app, "selectbox", "filter", "none").filter.by == "none"
    assert "filter" not in written(app)


def test_a_filter_by_a_change_score(app: AppTest) -> None:
    chosen = changed(app, "selectbox", "filter", "change_score").filter
    assert isinstance(chosen, ChangeScoreFilter)
    assert (chosen.score.name, chosen.quantile) == ("cva", 0.9)
    assert "mismatch_rate" not in fields(app, HALF)
    chosen = changed(app, "slider", "quantile", 25).filter
    assert isinstance(chosen, ChangeScoreFilter)
    assert chosen.quantile == 0.75
    changed(app, "selectbox", "score", "irmad")
    changed(app, "number_input", "iterations", 10)
    assert written(app)["filter"]["score"] == {"name": "irmad", "iterations": 10}
    app.segmented_control(key=field(app, "arm", str(HALF), "bound")).set_value("threshold").run()
    changed(app, "number_input", "threshold", 1.5)
    assert written(app)["filter"]["threshold"] == 1.5
    assert "quantile" not in written(app)["filter"]
    changed(app, "selectbox", "score", "embedding")
    changed(app, "selectbox", "weights", "random")
    changed(app, "selectbox", "encoder", "resnet18")
    assert written(app)["filter"]["score"] == {"name": "embedding", "weights": "random", "encoder": "resnet18"}
    assert not app.error


def test_without_a_rate_the_other_knobs_stay(app: AppTest) -> None:
    changed(app, "slider", "shift_px", 4.0)
    changed(app, "toggle", "fixed", False)
    assert written(app) == {"policy": "temporal", "pairs": 16, "noise": {"shift_px": 4.0}}
    assert {"rate", "extent", "control"} & fields(app, HALF) == set()
    changed(app, "slider", "shift_px", 0.0)
    assert written(app) == {"policy": "temporal", "pairs": 16}


def test_the_date_of_the_same_image(app: AppTest) -> None:
    changed(app, "selectbox", "kind", "same_image")
    date = app.selectbox(key=field(app, "arm", str(HALF), "acquisition"))
    assert list(date.options) == ["balanced", "pre", "post"]
    assert changed(app, "selectbox", "acquisition", "post").acquisition == "post"
    changed(app, "selectbox", "acquisition", "balanced")
    assert written(app) == {"policy": "same_image", "pairs": 16}


def test_an_arm_has_a_method_of_its_own(app: AppTest) -> None:
    changed(app, "selectbox", "method", "pixel_infonce")
    changed(app, "selectbox", "method-matching", "feature")
    assert draft(app).arms["half"].method == PixelInfoNCE(matching="feature")
    assert "differs in method and pairing" in texts(app)
    control = app.selectbox(key=field(app, "arm", str(HALF), "control"))
    assert "the changed pixels excluded" not in control.options
    changed(app, "toggle", "method-change_weight", True)
    changed(app, "number_input", "method-scale", 2.0)
    assert draft(app).arms["half"].method == PixelInfoNCE(matching="feature", change_weight=ChangeWeight(scale=2.0))
    changed(app, "toggle", "method-change_weight", False)
    changed(app, "selectbox", "method", "")
    assert draft(app).arms["half"].method is None
    assert "differs in method" not in texts(app)


def test_a_method_that_the_file_left_out_gets_its_name(app: AppTest) -> None:
    app.number_input(key=field(app, "method", "temperature")).set_value(0.1).run()
    assert not app.error
    assert draft(app).method == PixelInfoNCE(temperature=0.1)


def test_an_arm_is_pretrained_on_another_dataset(app: AppTest, api: ApiClient) -> None:
    assert "dataset" not in fields(app, HALF)
    api.create_dataset("others", {**DATASET, "train": 30})
    try:
        app.run()
        changed(app, "selectbox", "dataset", "others")
        assert draft(app).arms["half"].dataset == "others"
        assert "differs in dataset and pairing" in texts(app)
        changed(app, "selectbox", "dataset", "")
        assert draft(app).arms["half"].dataset is None
    finally:
        api.delete_dataset("others")


def test_a_selection_from_the_pair_browser_is_taken_for_one_arm(app: AppTest) -> None:
    app.session_state["pending-scenes"] = {"dataset": "scenes", "filter": {"without": ["train-000001"]}}
    app.run()
    app.button(key=field(app, "scenes", "all")).click().run()
    app.button(key=field(app, "arm", str(HALF), "scenes-take")).click().run()
    scenes = draft(app).arms["half"].scenes
    assert scenes is not None
    assert scenes.without == ("train-000001",)
    assert "1 scene left out by name" in texts(app)
    app.button(key=field(app, "arm", str(HALF), "scenes-all")).click().run()
    assert draft(app).arms["half"].scenes is None


def test_transductive_hides_the_knobs_that_need_labels(api: ApiClient) -> None:
    app = opened_file(api, three_arms().replace('"noise": {"rate": 0}', "").replace('"noise": {"rate": 0.5}', ""))
    for spot in (1, HALF):
        app.toggle(key=field(app, "arm", str(spot), "fixed")).set_value(False).run()
    app.toggle(key=field(app, "transductive")).set_value(True).run()
    assert draft(app).transductive
    assert not app.error
    assert "split validation" in {row[0] for row in table(app, "balance")}
    assert "fixed" not in fields(app, HALF)
    options = app.selectbox(key=field(app, "arm", str(HALF), "filter")).options
    assert "the labels throw noisy pairs away" not in options
    app.toggle(key=field(app, "transductive")).set_value(False).run()
    assert "transductive" not in app.session_state[TEXT]
    assert "fixed" in fields(app, HALF)


def test_transductive_is_refused_with_a_rate(app: AppTest) -> None:
    app.toggle(key=field(app, "transductive")).set_value(True).run()
    assert "needs labels" in texts(app)
    assert not draft(app).transductive


def test_from_how_many_pixels_a_pair_is_noisy_is_one_number_for_all_arms(app: AppTest) -> None:
    app.number_input(key=field(app, "min_changed_pixels")).set_value(40).run()
    assert {pairing_of(app, arm).noise.min_changed_pixels for arm in ("clean", "half")} == {40}
    app.number_input(key=field(app, "min_changed_pixels")).set_value(16).run()
    assert "min_changed_pixels" not in app.session_state[TEXT]


def test_of_many_arms_those_that_are_opened_show_their_knobs(app: AppTest) -> None:
    for _ in range(2):
        app.button(key="arm-duplicate-2").click().run()
    assert fields(app, HALF) == set()
    assert "16 pairs · 50 % noisy" in texts(app)
    app.toggle(key="arm-open-half").set_value(True).run()
    assert changed(app, "slider", "rate", 75).noise.rate == 0.75
    assert fields(app, 3) == set()


def test_the_yaml_edits_every_knob_of_the_form(app: AppTest) -> None:
    app.segmented_control(key="side").set_value("YAML").run()
    text = app.session_state[TEXT].replace('"rate": 0.5', '"rate": 0.25, "mismatch_rate": 0.5, "shift_px": 20.0')
    app.text_area(key="yaml-box").set_value(text).run()
    assert not app.exception
    assert app.slider(key=field(app, "arm", str(HALF), "mismatch_rate")).value == 50
    assert app.slider(key=field(app, "arm", str(HALF), "shift_px")).value == 20.0
    assert app.slider(key=field(app, "arm", str(HALF), "rate")).value == 25
    for shift in (10.0, 5.0):
        assert changed(app, "slider", "shift_px", shift).noise.shift_px == shift
