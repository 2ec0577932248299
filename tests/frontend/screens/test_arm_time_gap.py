"""The form's time gap, of a dataset with more than two dates."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

SCORED = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.5}
DATES = ["2019-05-01", "2020-05-01", "2021-05-01"]


def script(acquisitions: list[str], pairing: dict[str, object]) -> None:
    import json
    from typing import Any

    import streamlit as st

    from frontend.screens.arm_place import ArmPlace
    from frontend.screens.arm_time_gap import show_time_gap
    from frontend.screens.form import Form
    from pairlab.experiment.experiment import Arm
    from pairlab.experiment.methods import PixelInfoNCE

    arm = Arm.model_validate({"pairing": pairing})
    assert arm.pairing is not None
    dataset: Any = {"acquisitions": acquisitions}
    place = ArmPlace(Form(0), "dated", "0", arm, PixelInfoNCE(), dataset, transductive=False)
    show_time_gap(place, arm.pairing)
    st.code(json.dumps([[".".join(path), value] for path, value in place.form.edits.items()]))


def shown(acquisitions: list[str], **pairing: Any) -> AppTest:  # noqa: ANN401
    kwargs = {"acquisitions": acquisitions, "pairing": {"policy": "temporal", **pairing}}
    app = AppTest.from_function(script, kwargs=kwargs).run()
    assert not app.exception
    return app


def edits(app: AppTest) -> dict[str, Any]:
    return dict(json.loads(app.code[0].value))


@pytest.mark.parametrize(
    ("acquisitions", "pairing"),
    [(DATES[:2], {}), (DATES, {"noise": {"rate": 0.5}}), (DATES, {"filter": SCORED})],
)
def test_there_is_none_where_there_is_no_choice(acquisitions: list[str], pairing: dict[str, Any]) -> None:
    assert not shown(acquisitions, **pairing).selectbox


def test_steps_and_days_are_chosen() -> None:
    app = shown(DATES)
    assert len(app.selectbox[0].options) == 3
    app.selectbox[0].set_value("steps").run()
    assert edits(app) == {"arms.dated.pairing.time_gap": {"steps": [1, 1]}}
    app.selectbox[0].set_value("days").run()
    assert edits(app) == {"arms.dated.pairing.time_gap": {"days": [0.0, 365.0]}}


def test_days_need_dates() -> None:
    assert len(shown(["a", "b", "c"]).selectbox[0].options) == 2


def test_bounds_are_edited_and_the_gap_is_removed() -> None:
    app = shown(DATES, time_gap={"steps": [1, 2]})
    app.slider[0].set_value((2, 2)).run()
    assert edits(app) == {"arms.dated.pairing.time_gap.steps": [2, 2]}
    app.selectbox[0].set_value("").run()
    assert edits(app)["arms.dated.pairing.time_gap"] is None
    app = shown(DATES, time_gap={"days": [10.0, 400.0]})
    app.number_input[1].set_value(800.0).run()
    assert edits(app) == {"arms.dated.pairing.time_gap.days": [10.0, 800.0]}
