"""The fields of the network: each edits the file, and what a source needs appears with it."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pairlab.experiment.experiment import Experiment
from tests.frontend.screens.form_edits import edits

BASE: dict[str, Any] = {
    "name": "e",
    "dataset": "d",
    "arms": {"a": {"pairing": {"policy": "temporal"}}},
    "reference": "a",
}
FILE = {"source": "file", "root": "models", "path": "r18.safetensors"}


def shown(**values: Any) -> AppTest:  # noqa: ANN401
    """Returns a page with these fields alone; what they edit is in its session state."""

    def page(values: dict[str, object]) -> None:
        import streamlit as st

        from frontend.screens.form import Form
        from frontend.screens.network_fields import show_decoder, show_encoder, show_start_and_transfer
        from pairlab.experiment.experiment import Experiment

        form, experiment = Form(revision=0), Experiment.model_validate(values)
        for show in (show_encoder, show_decoder, show_start_and_transfer):
            show(form, experiment)
        st.session_state["edits"] = form.edits
        st.session_state["restructures"] = form.restructures

    app = AppTest.from_function(page, default_timeout=30, args=({**BASE, **values},)).run()
    assert not app.exception
    return app


def test_fields_that_nobody_touched_edit_nothing() -> None:
    hub = {"source": "hub", "name": "resnet18.a1_in1k"}
    for initial in (
        {"source": "random"},
        FILE,
        FILE | {"part": "encoder_decoder"},
        {"source": "job", "key": "a" * 64},
        hub,
    ):
        assert (
            edits(shown(initial=initial, transfer="encoder", network={"encoder": "tu-vit_x", "decoder": "dpt"})) == {}
        )


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("network-encoder", "resnet50", ("network", "encoder")),
        ("network-decoder", "segformer", ("network", "decoder")),
        ("transfer", "encoder", ("transfer",)),
    ],
)
def test_a_choice_edits_the_file(name: str, value: str, path: tuple[str, ...]) -> None:
    app = shown()
    app.selectbox(key=f"form-0-{name}").set_value(value).run()
    assert edits(app) == {path: value}
    Experiment.model_validate({**BASE, **({path[0]: value} if len(path) == 1 else {path[0]: {path[1]: value}})})


def test_the_default_transfer_leaves_the_file() -> None:
    app = shown(transfer="encoder")
    app.selectbox(key="form-0-transfer").set_value("encoder_decoder").run()
    assert edits(app) == {("transfer",): None}


@pytest.mark.parametrize("source", ["file", "job", "hub"])
def test_another_source_brings_its_own_fields_and_is_valid_at_once(source: str) -> None:
    app = shown()
    app.selectbox(key="form-0-initial-source").set_value(source).run()
    (value,) = edits(app).values()
    assert app.session_state["restructures"]
    assert Experiment.model_validate({**BASE, "initial": value}).initial.source == source
    back = shown(initial=value)
    back.selectbox(key="form-0-initial-source").set_value("random").run()
    assert edits(back) == {("initial",): None}


def test_a_file_is_named_by_root_path_and_part() -> None:
    app = shown(initial=FILE)
    app.text_input(key="form-0-initial-path").set_value("other.pth").run()
    app.text_input(key="form-0-initial-root").set_value("disk").run()
    app.selectbox(key="form-0-initial-part").set_value("encoder_decoder").run()
    assert edits(app) == {
        ("initial", "path"): "other.pth",
        ("initial", "root"): "disk",
        ("initial", "part"): "encoder_decoder",
    }
    assert not shown().text_input
