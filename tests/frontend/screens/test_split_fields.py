"""The fields of the splits: one way at a time, and nothing of another way stays in the file."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.draft import with_edits
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.protocols import Splits
from tests.live_stack import as_yaml

EVENTS = ("flood", "quake", "wind")


def shown(splits: dict[str, Any], *, kind: str = "xbd", events: tuple[str, ...] = EVENTS) -> AppTest:
    """Returns a page with these fields alone; what they edit and remark is in its session state."""

    def page(splits: dict[str, object], dataset: object) -> None:
        import streamlit as st

        from frontend.screens.form import Form
        from frontend.screens.split_fields import show_split_fields
        from pairlab.experiment.protocols import Splits

        form = Form(revision=0)
        show_split_fields(form, Splits.model_validate(splits), dataset)  # type: ignore[arg-type]
        st.session_state["edits"], st.session_state["problems"] = form.edits, form.problems

    dataset = {"config": {"kind": kind}, "events": dict.fromkeys(events, 4)}
    app = AppTest.from_function(page, default_timeout=30, args=(splits, dataset)).run()
    assert not app.exception
    return app


def key(name: str) -> str:
    return f"form-0-splits-{name}"


def fields(app: AppTest) -> set[str]:
    kinds = (app.slider, app.selectbox, app.number_input, app.multiselect)
    return {(element.key or "").removeprefix(key("")) for elements in kinds for element in elements}


def choose(app: AppTest, way: str) -> AppTest:
    app.selectbox(key=key("by")).set_value(way).run()
    assert not app.exception
    return app


def edited(app: AppTest, splits: dict[str, Any]) -> Splits:
    """Returns the splits of a file with these ones after the edits."""
    text = as_yaml(
        {
            "name": "Which scenes test?",
            "dataset": "tiles",
            "splits": splits,
            "arms": {"random": {"baseline": "random_initialisation"}, "one": {"pairing": {"policy": "same_image"}}},
            "reference": "random",
        }
    )
    return load_experiment(with_edits(text, app.session_state["edits"])).splits


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({}, {"by"}),
        ({"by": "random", "seed": 3}, {"by", "test_share", "validation_share", "seed"}),
        ({"by": "blocks"}, {"by", "test_share", "validation_share", "seed", "block_metres"}),
        ({"test_events": ["wind"]}, {"by", "test_events", "validation_share", "seed"}),
        ({"by": "events", "test_events": ["wind"]}, {"by", "test_events", "validation_share", "seed"}),
    ],
)
def test_a_way_shows_its_own_knobs_and_edits_nothing_untouched(splits: dict[str, Any], expected: set[str]) -> None:
    app = shown(splits)
    assert fields(app) == expected
    assert app.session_state["edits"] == {}
    assert app.session_state["problems"] == []
    assert app.expander[0].proto.expanded is bool(splits)


@pytest.mark.parametrize(
    ("name", "set_to", "value"),
    [("test_share", 35, 0.35), ("validation_share", 10, 0.1), ("block_metres", 750.0, 750.0), ("seed", 7, 7)],
)
def test_a_knob_edits_the_file_and_the_default_leaves_it(name: str, set_to: float, value: float) -> None:
    kind = "slider" if name.endswith("share") else "number_input"
    app = shown({"by": "blocks"})
    default = getattr(app, kind)(key=key(name)).value
    getattr(app, kind)(key=key(name)).set_value(set_to).run()
    assert app.session_state["edits"] == {("splits", name): value}
    back = shown({"by": "blocks", name: value})
    getattr(back, kind)(key=key(name)).set_value(default).run()
    assert app.session_state["edits"] == {("splits", name): value}
    assert back.session_state["edits"] == {("splits", name): None}


@pytest.mark.parametrize(
    "splits",
    [
        {},
        {"by": "random", "test_share": 0.3, "seed": 4},
        {"by": "blocks", "block_metres": 700.0},
        {"test_events": ["wind"], "validation_share": 0.1},
        {"by": "events", "test_events": ["wind"]},
    ],
)
@pytest.mark.parametrize("way", ["official", "random", "blocks"])
def test_another_way_leaves_nothing_of_the_one_before(splits: dict[str, Any], way: str) -> None:
    found = edited(choose(shown(splits), way), splits)
    assert found.by == way
    assert found.test_events == ()
    if way == "official":
        assert found == Splits()
    if way == "random":
        assert found.block_metres == Splits().block_metres


def test_events_are_the_datasets_and_naming_them_is_enough() -> None:
    app = choose(shown({"by": "random", "test_share": 0.4}), "events")
    box = app.multiselect(key=key("test_events"))
    assert tuple(box.options) == EVENTS
    assert app.session_state["edits"] == {}  # nothing half done is in the file
    assert app.session_state["problems"] == [
        "splits: choose an event that is held out for the test, or another way to split"
    ]
    box.set_value(["quake"]).run()
    assert app.session_state["problems"] == []
    assert edited(app, {"by": "random", "test_share": 0.4}) == Splits(test_events=("quake",))


def test_no_event_left_is_refused_in_words() -> None:
    app = shown({"test_events": ["wind"]})
    app.multiselect(key=key("test_events")).set_value([]).run()
    assert app.session_state["edits"] == {}
    assert "choose an event" in app.session_state["problems"][0]


def test_shares_that_leave_nothing_to_train_on_are_refused_by_the_model() -> None:
    app = shown({"by": "random"})
    app.slider(key=key("test_share")).set_value(85).run()
    with pytest.raises(ExperimentError, match="leave nothing to train on"):
        edited(app, {"by": "random"})


def test_only_ways_that_fit_the_dataset_are_offered() -> None:
    ways = [["official", "random"], ["official", "random", "blocks"], ["official", "random", "blocks", "events"]]
    cases = [("synthetic", ()), ("bitemporal", ("all",)), ("xbd", EVENTS)]
    for expected, (kind, events) in zip(ways, cases, strict=True):
        app = shown({}, kind=kind, events=events)
        words = app.selectbox(key=key("by")).options
        assert len(words) == len(expected)
    assert len(shown({"by": "blocks"}, kind="synthetic", events=()).selectbox(key=key("by")).options) == 3
