"""The fields of the protocols: what is the default leaves the file, and what is wrong is said in a sentence."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.screens.protocol_fields import parse_rates
from pairlab.experiment.problems import ExperimentError

CLASSES = ["background", "intact", "damaged"]
DEFAULTS = [{"name": "linear_probe"}, {"name": "fine_tuning"}]


def shown(protocols: list[dict[str, Any]]) -> AppTest:
    """Returns a page with these fields alone; what they edit and remark is in its session state."""

    def page(protocols: list[dict[str, object]], classes: list[str]) -> None:
        import streamlit as st
        from pydantic import TypeAdapter

        from frontend.screens.form import Form
        from frontend.screens.protocol_fields import show_protocols
        from pairlab.experiment.protocols import Protocol

        form, adapter = Form(revision=0), TypeAdapter(Protocol)
        show_protocols(form, [adapter.validate_python(each) for each in protocols], classes)
        st.session_state["edits"], st.session_state["problems"] = form.edits, form.problems

    app = AppTest.from_function(page, default_timeout=30, args=(protocols, CLASSES)).run()
    assert not app.exception
    return app


def key(*path: str) -> str:
    return "-".join(("form-0-protocols", *path))


def edited(app: AppTest) -> list[dict[str, Any]]:
    assert not app.exception
    found: list[dict[str, Any]] = app.session_state["edits"]["protocols",]
    return found


@pytest.mark.parametrize(
    "protocols",
    [
        DEFAULTS,
        [{"name": "small_decoder", "channels": 32, "steps": 7}],
        [{"name": "fine_tuning", "learning_rates": [1e-4, 3e-4], "class_weights": {"damaged": 3.0}}],
        [{"name": "linear_probe", "loss": "cross_entropy", "checkpoint": "best", "learning_rate": 0.0123456789}],
    ],
)
def test_untouched_fields_edit_nothing(protocols: list[dict[str, Any]]) -> None:
    app = shown(protocols)
    assert app.session_state["edits"] == {}
    assert app.session_state["problems"] == []


def test_a_small_decoder_is_added_with_its_defaults() -> None:
    app = shown(DEFAULTS)
    app.multiselect(key=key()).set_value(["linear_probe", "small_decoder", "fine_tuning"]).run()
    assert edited(app) == [{"name": "linear_probe"}, {"name": "small_decoder"}, {"name": "fine_tuning"}]
    assert app.number_input(key=key("small_decoder", "channels")).value == 64


def test_several_rates_are_a_search_and_one_is_none() -> None:
    app = shown(DEFAULTS)
    app.text_input(key=key("linear_probe", "learning_rate")).set_value("0.001, 0.01 0.1").run()
    assert edited(app)[0] == {"name": "linear_probe", "learning_rates": [0.001, 0.01, 0.1]}
    assert any("3 rates: 600 steps in each job" in caption.value for caption in app.caption)
    app = shown([{"name": "linear_probe", "learning_rates": [0.001, 0.01]}])
    app.text_input(key=key("linear_probe", "learning_rate")).set_value("0.02").run()
    assert edited(app) == [{"name": "linear_probe", "learning_rate": 0.02}]
    app.text_input(key=key("linear_probe", "learning_rate")).set_value("0.01").run()
    assert edited(app) == [{"name": "linear_probe"}]


@pytest.mark.parametrize("text", ["", "fast", "0", "0.1 0.1", "11", "nan", " ".join(map(str, range(1, 10)))])
def test_what_is_no_list_of_rates_is_said_and_edits_nothing(text: str) -> None:
    with pytest.raises(ExperimentError, match="learning rates are"):
        parse_rates(text)


def test_a_wrong_rate_is_said_with_its_protocol() -> None:
    app = shown(DEFAULTS)
    app.text_input(key=key("fine_tuning", "learning_rate")).set_value("fast").run()
    (said,) = app.session_state["problems"]
    assert said == "fine-tuning: learning rates are numbers, as in 0.001, 0.01; got 'fast'"
    assert app.session_state["edits"] == {}


def test_loss_rule_and_weights_go_into_the_file_and_leave_it_again() -> None:
    app = shown(DEFAULTS)
    app.selectbox(key=key("fine_tuning", "loss")).set_value("focal")
    app.selectbox(key=key("fine_tuning", "checkpoint")).set_value("best")
    app.selectbox(key=key("fine_tuning", "class_weights")).set_value("balanced").run()
    changed = {"name": "fine_tuning", "loss": "focal", "checkpoint": "best", "class_weights": "balanced"}
    assert edited(app) == [DEFAULTS[0], changed]
    app = shown([changed])
    app.selectbox(key=key("fine_tuning", "loss")).set_value("cross_entropy")
    app.selectbox(key=key("fine_tuning", "checkpoint")).set_value("last")
    app.selectbox(key=key("fine_tuning", "class_weights")).set_value("equal").run()
    assert edited(app) == [{"name": "fine_tuning"}]


def test_weights_are_given_class_by_class() -> None:
    app = shown(DEFAULTS)
    app.selectbox(key=key("fine_tuning", "class_weights")).set_value("given").run()
    assert app.session_state["edits"] == {}
    app.number_input(key=key("fine_tuning", "class_weights", "damaged")).set_value(4.0).run()
    assert edited(app)[1]["class_weights"] == {"damaged": 4.0}
