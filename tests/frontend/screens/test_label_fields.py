"""The fields of the labels: one budget at a time, and the earlier image for buildings alone."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.draft import with_edits
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.protocols import Labels
from tests.live_stack import as_yaml

SCHEMES = {"building": ["background", "building"], "intact_damaged": ["background", "intact", "damaged"]}


def shown(labels: dict[str, Any]) -> AppTest:
    """Returns a page with these fields alone; what they edit is in its session state."""

    def page(labels: dict[str, object], schemes: dict[str, list[str]]) -> None:
        import streamlit as st

        from frontend.screens.form import Form
        from frontend.screens.label_fields import show_label_fields
        from pairlab.experiment.protocols import Labels

        form = Form(revision=0)
        dataset = {"label_schemes": schemes}
        show_label_fields(form, Labels.model_validate(labels), dataset, list(schemes))  # type: ignore[arg-type]
        st.session_state["edits"] = form.edits

    app = AppTest.from_function(page, default_timeout=30, args=(labels, SCHEMES)).run()
    assert not app.exception
    return app


def key(name: str) -> str:
    return f"form-0-labels-{name}"


def edited(app: AppTest, labels: dict[str, Any]) -> Labels:
    """Returns the labels of a file with these ones after the edits."""
    arms = {"random": {"baseline": "random_initialisation"}}
    text = as_yaml({"name": "x", "dataset": "d", "labels": labels, "arms": arms, "reference": "random"})
    return load_experiment(with_edits(text, app.session_state["edits"])).labels


@pytest.mark.parametrize("labels", [{}, {"train_share": 0.1}, {"train_scenes": 3, "input": "difference"}])
def test_untouched_fields_edit_nothing(labels: dict[str, Any]) -> None:
    assert shown(labels).session_state["edits"] == {}


@pytest.mark.parametrize("labels", [{}, {"train_chips": 8}, {"train_scenes": 3}])
def test_another_budget_takes_the_place_of_the_old_one(labels: dict[str, Any]) -> None:
    app = shown(labels)
    app.selectbox(key=key("budget")).set_value("train_share").run()
    assert edited(app, labels) == Labels(train_share=0.1)


def test_a_share_is_shown_in_percent_and_keeps_its_fractions() -> None:
    app = shown({"train_share": 0.015})
    assert app.number_input(key=key("train_share")).value == 1.5
    app.number_input(key=key("train_share")).set_value(0.5).run()
    assert edited(app, {"train_share": 0.015}).train_share == 0.005


def test_both_dates_can_be_seen_and_the_earlier_one_for_buildings_alone() -> None:
    app = shown({})
    sees = app.selectbox(key=key("input"))
    assert "the earlier image" not in sees.options
    sees.set_value("concatenation").run()
    assert edited(app, {}).input == "concatenation"
    buildings = shown({"scheme": "building"})
    assert "the earlier image" in buildings.selectbox(key=key("input")).options


def test_other_classes_than_buildings_drop_the_earlier_image() -> None:
    labels = {"scheme": "building", "input": "pre"}
    app = shown(labels)
    app.selectbox(key=key("scheme")).set_value("intact_damaged").run()
    assert not app.exception
    assert edited(app, labels) == Labels(scheme="intact_damaged")
