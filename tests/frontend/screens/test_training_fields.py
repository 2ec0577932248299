"""The fields of the optimizer: each edits the file, and a value that is the default leaves it."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.screens.training_fields import COMPILING, OPTIMIZERS, PRECISIONS, SCHEDULES
from pairlab.experiment.training import Pretraining
from tests.frontend.screens.form_edits import edits


def shown(**values: Any) -> AppTest:  # noqa: ANN401
    """Returns a page with these fields alone; what they edit is in its session state."""

    def page(values: dict[str, object]) -> None:
        import streamlit as st

        from frontend.screens.form import Form
        from frontend.screens.training_fields import show_training_fields
        from pairlab.experiment.training import Pretraining

        form = Form(revision=0)
        show_training_fields(form, Pretraining.model_validate(values))
        st.session_state["edits"] = form.edits

    app = AppTest.from_function(page, default_timeout=30, args=(values,)).run()
    assert not app.exception
    return app


def key(name: str) -> str:
    return f"form-0-pretraining-{name}"


def test_fields_that_nobody_touched_edit_nothing() -> None:
    assert edits(shown()) == {}
    assert edits(shown(optimizer="lars", parts=4, warmup_steps=0, precision="float32", learning_rate=1e-3)) == {}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("selectbox", "optimizer", "lars"),
        ("selectbox", "schedule", "constant"),
        ("selectbox", "precision", "bfloat16"),
        ("selectbox", "compile", "never"),
        ("toggle", "scale_learning_rate", True),
        ("number_input", "learning_rate", 0.03),
        ("number_input", "warmup_steps", 50),
        ("number_input", "weight_decay", 0.01),
        ("number_input", "parts", 4),
        ("number_input", "checkpoint_every", 10),
    ],
)
def test_a_field_edits_the_file_and_the_default_leaves_it(kind: str, name: str, value: object) -> None:
    app = shown()
    getattr(app, kind)(key=key(name)).set_value(value).run()
    assert edits(app) == {("pretraining", name): value}
    changed = Pretraining.model_validate({name: value})
    back = shown(**changed.model_dump(exclude_unset=True))
    getattr(back, kind)(key=key(name)).set_value(getattr(Pretraining(), name)).run()
    default = None if name != "learning_rate" else Pretraining().learning_rate
    assert edits(back) == {("pretraining", name): default}


def test_momentum_is_shown_where_an_optimizer_has_it() -> None:
    names = [element.key for element in shown().number_input]
    assert key("momentum") not in names
    app = shown(optimizer="sgd")
    app.number_input(key=key("momentum")).set_value(0.95).run()
    assert edits(app) == {("pretraining", "momentum"): 0.95}


def test_every_value_has_its_words() -> None:
    schema = Pretraining.model_json_schema()["properties"]
    for name, words in (
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("precision", PRECISIONS),
        ("compile", COMPILING),
    ):
        assert list(words) == schema[name]["enum"]
