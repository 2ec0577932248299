"""The Design screen on images in files: three dates, two events, no scene that could be rendered again."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.frontend.screens.design_screen import component, draft, field, fields, figures, opened_file, pairing_of
from tests.live_stack import LiveStack, as_yaml
from tests.pairlab.scenes.bitemporal_tree import write_manifest, write_scenes

DATES = ("2019-01-01", "2020-01-01", "2022-01-01")
NAME = "three-dates"


@pytest.fixture(scope="session")
def three_dates(stack: LiveStack) -> str:
    """Name of a dataset of ten places at three dates, indexed in a real stack."""
    root = Path(json.loads((stack.home / "endpoints.json").read_text())["data_roots"]["generated"])
    splits = ("train",) * 8 + ("val", "test")
    write_manifest(root / "dates", write_scenes(root / "dates", seed=3, splits=splits, acquisitions=DATES))
    config = {"kind": "bitemporal", "root": "generated", "folder": "dates", "manifest": "manifest.csv"}
    return stack.register(NAME, {**config, "classes": ["ground", "house", "road"]})


@pytest.fixture
def app(stack: LiveStack, three_dates: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The screen with an arm that takes the pairs as the data has them."""
    monkeypatch.setenv("PAIRLAB_API_URL", stack.api)
    content = {
        "name": "Dates",
        "dataset": three_dates,
        "labels": {"scheme": "classes", "train_chips": 4},
        "pretraining": {"batch_size": 4},
        "arms": {
            "same": {"pairing": {"policy": "same_image", "pairs": 8}},
            "dates": {"pairing": {"policy": "temporal", "pairs": 8}},
        },
        "reference": "same",
        "seeds": [0],
    }
    app = opened_file(stack.client, as_yaml(content), arm="dates")
    assert not app.exception
    assert not app.error
    return app


def shown_dates(app: AppTest) -> set[frozenset[str]]:
    """Returns which two dates the pairs on view have."""
    pairs = component(app, "design-pairs")["pairs"]
    return {frozenset(image["label"] for image in pair["images"][:2]) for pair in pairs}


def test_the_time_gap_is_chosen_and_the_pairs_follow(app: AppTest) -> None:
    assert shown_dates(app) == {frozenset((DATES[0], DATES[2]))}
    app.selectbox(key=field(app, "arm", "1", "time_gap")).set_value("steps").run()
    assert not app.error
    assert shown_dates(app) == {frozenset(DATES[:2]), frozenset(DATES[1:])}
    assert "fixed" not in fields(app, 1)
    app.selectbox(key=field(app, "arm", "1", "time_gap")).set_value("days").run()
    app.number_input(key=field(app, "arm", "1", "days-low")).set_value(700.0).run()
    app.number_input(key=field(app, "arm", "1", "days-high")).set_value(800.0).run()
    assert shown_dates(app) == {frozenset(DATES[1:])}
    app.selectbox(key=field(app, "arm", "1", "time_gap")).set_value("").run()
    assert pairing_of(app, "dates").model_dump(exclude_unset=True) == {"policy": "temporal", "pairs": 8}


def test_same_image_takes_any_of_the_dates(app: AppTest) -> None:
    dates = app.selectbox(key=field(app, "arm", "0", "acquisition"))
    assert list(dates.options) == ["balanced", *DATES]
    dates.set_value(DATES[1]).run()
    app.selectbox(key="choose-arm").set_value("same").run()
    assert shown_dates(app) == {frozenset(DATES[1:2])}


def test_a_place_of_another_event_and_an_own_event(app: AppTest) -> None:
    app.slider(key=field(app, "arm", "1", "mismatch_rate")).set_value(50).run()
    app.selectbox(key=field(app, "arm", "1", "mismatch_from")).set_value("other_event").run()
    assert not app.error
    assert figures(app)["Other place, realised"] == "50.0 %"
    others = [pair for pair in component(app, "design-pairs")["pairs"] if pair["badges"][0]["text"] == "other place"]
    assert len(others) == 4
    assert all("north" in pair["subtitle"] and "south" in pair["subtitle"] for pair in others)
    app.slider(key=field(app, "arm", "1", "mismatch_rate")).set_value(0).run()
    app.number_input(key=field(app, "arm", "1", "pairs")).set_value(4).run()
    app.multiselect(key=field(app, "arm", "1", "events")).set_value(["north"]).run()
    scenes = draft(app).arms["dates"].scenes
    assert scenes is not None
    assert scenes.events == ("north",)
    assert all("north" in pair["subtitle"] for pair in component(app, "design-pairs")["pairs"])
    app.multiselect(key=field(app, "arm", "1", "events")).set_value([]).run()
    assert draft(app).arms["dates"].scenes is None


def test_a_rate_on_real_images_masks_and_cannot_render_again(app: AppTest) -> None:
    app.toggle(key=field(app, "arm", "1", "fixed")).set_value(True).run()
    assert "time_gap" not in fields(app, 1)
    control = app.selectbox(key=field(app, "arm", "1", "control"))
    assert control.options[0] == "by itself: the changed pixels excluded"
    assert "rendered again without its change" not in control.options
