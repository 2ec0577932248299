"""The fields of the augmentation: each edits the file, and a value that is the default leaves it."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from frontend.screens.augmentation_fields import FACTORS
from pairlab.experiment.training import Augmentation
from tests.frontend.screens.form_edits import edits


def shown(**values: Any) -> AppTest:  # noqa: ANN401
    """Returns a page with these fields alone; what they edit is in its session state."""

    def page(values: dict[str, object]) -> None:
        import streamlit as st

        from frontend.screens.augmentation_fields import show_augmentation_fields
        from frontend.screens.form import Form
        from pairlab.experiment.training import Augmentation

        form = Form(revision=0)
        show_augmentation_fields(form, Augmentation.model_validate(values))
        st.session_state["edits"] = form.edits

    app = AppTest.from_function(page, default_timeout=30, args=(values,)).run()
    assert not app.exception
    return app


def key(name: str) -> str:
    return f"form-0-pretraining-augmentation-{name}"


def test_every_knob_has_a_field() -> None:
    app = shown()
    names = {(element.key or "").removeprefix(key("")) for element in (*app.slider, *app.toggle)}
    assert names == set(Augmentation.model_fields)
    assert set(FACTORS) == names - {"crop_scale", "flips"}


def test_fields_that_nobody_touched_edit_nothing() -> None:
    assert edits(shown()) == {}
    assert edits(shown(crop_scale=(0.083, 0.999), flips=False, brightness=0.123, hue=0.5, blur=1.0)) == {}


@pytest.mark.parametrize(
    ("kind", "name", "set_to", "value"),
    [
        ("toggle", "flips", False, False),
        ("slider", "crop_scale", (8, 100), [0.08, 1.0]),
        ("slider", "brightness", 0, 0.0),
        ("slider", "contrast", 80, 0.8),
        ("slider", "saturation", 65, 0.65),
        ("slider", "hue", 3, 0.03),
        ("slider", "grayscale", 100, 1.0),
        ("slider", "blur", 5, 0.05),
    ],
)
def test_a_field_edits_the_file_and_the_default_leaves_it(kind: str, name: str, set_to: object, value: object) -> None:
    app = shown()
    default = getattr(app, kind)(key=key(name)).value
    getattr(app, kind)(key=key(name)).set_value(set_to).run()
    assert edits(app) == {("pretraining", "augmentation", name): value}
    back = shown(**{name: value})
    getattr(back, kind)(key=key(name)).set_value(default).run()
    assert edits(back) == {("pretraining", "augmentation", name): None}


def test_an_end_of_the_crop_that_is_no_whole_percent_stays_while_the_other_moves() -> None:
    app = shown(crop_scale=(0.083, 1.0))
    app.slider(key=key("crop_scale")).set_value((8, 90)).run()
    assert edits(app) == {("pretraining", "augmentation", "crop_scale"): [0.083, 0.9]}


def test_it_is_folded_in_while_all_are_the_defaults() -> None:
    assert not shown().expander[0].proto.expanded
    assert shown(blur=0.1).expander[0].proto.expanded


def test_ends_are_those_of_the_model() -> None:
    app = shown()
    assert (app.slider(key=key("hue")).min, app.slider(key=key("hue")).max) == (0, 50)
    for name in FACTORS:
        Augmentation.model_validate({name: app.slider(key=key(name)).max / 100})
    low = app.slider(key=key("crop_scale")).min / 100
    Augmentation.model_validate({"crop_scale": (low, low)})
