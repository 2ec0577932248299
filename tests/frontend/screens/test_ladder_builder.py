"""The builder of ladders: what it makes is seen, counted and estimated before it is taken into the file."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from frontend.screens.ladder_builder import extent, filter_words, number, share
from pairlab.experiment.problems import ExperimentError
from tests.frontend.screens.conftest import texts
from tests.frontend.screens.design_screen import TEXT, draft, opened_file, pairing_of, three_arms

FILE = "# Kept.\n" + three_arms()


def script() -> None:
    """The content of the dialog on a page of its own: a test of a page runs no fragments."""
    from frontend.page import problems_in_sentences
    from frontend.screens.ladder_builder import show_builder

    with problems_in_sentences():
        show_builder()


@pytest.fixture
def app(api: ApiClient) -> AppTest:
    """The builder with a file."""
    assert api.answers()
    app = AppTest.from_function(script, default_timeout=60)
    app.session_state[TEXT] = FILE
    app.run()
    assert not app.exception
    assert not app.error
    return app


def test_the_first_ladder_is_one_of_rates(app: AppTest) -> None:
    said = texts(app).replace("**", "")
    assert "6 arms × 1 seed:" in said
    assert "random · noise 0 % (reference) · noise 25 % · noise 50 % · noise 75 % · noise 100 %" in said
    assert "5 pretrainings and 6 segmentations" in said
    assert [(metric.label, metric.value) for metric in app.metric] == [("Jobs", "11"), ("Time", "unknown")]
    assert app.session_state[TEXT] == FILE
    app.button(key="ladder-take").click().run()
    assert not app.exception
    assert list(draft(app).arms) == ["random", *(f"noise {rate} %" for rate in (0, 25, 50, 75, 100))]
    assert draft(app).reference == "noise 0 %"
    assert app.session_state[TEXT].startswith("# Kept.")


def test_the_screen_opens_the_builder(api: ApiClient) -> None:
    app = opened_file(api, three_arms())
    app.button(key="ladder-open").click().run()
    assert not app.exception
    assert "6 arms × 1 seed:" in texts(app)


def test_knobs_are_combined_and_typed_values_count(app: AppTest) -> None:
    app.multiselect(key="ladder-rates").set_value(["0", "30"]).run()
    app.multiselect(key="ladder-shifts").set_value(["0", "2.5 px"]).run()
    app.multiselect(key="ladder-keep").set_value(["clean"]).run()
    app.text_input(key="ladder-seeds").set_value("3-5").run()
    app.button(key="ladder-take").click().run()
    assert list(draft(app).arms) == [
        "clean",
        "noise 30 %, shift 0 px",
        "noise 0 %, shift 2.5 px",
        "noise 30 %, shift 2.5 px",
    ]
    assert (draft(app).reference, draft(app).seeds) == ("clean", (3, 4, 5))
    assert pairing_of(app, "noise 30 %, shift 2.5 px").noise.shift_px == 2.5


def test_filters_and_policies_make_arms(app: AppTest) -> None:
    app.multiselect(key="ladder-rates").set_value([]).run()
    app.multiselect(key="ladder-policies").set_value(["same_image", "temporal"]).run()
    app.multiselect(key="ladder-filters").set_value(["none", "cva 0.9"]).run()
    app.selectbox(key="ladder-of").set_value("half").run()
    app.button(key="ladder-take").click().run()
    assert list(draft(app).arms) == ["random", "same image", "no filter", "filter cva, quantile 0.9"]
    assert pairing_of(app, "no filter").noise.rate == 0.5


def test_a_filter_that_an_arm_has_already_is_on_offer(api: ApiClient) -> None:
    assert api.answers()
    chosen = {"by": "change_score", "score": {"name": "embedding", "weights": "random"}, "threshold": 0.25}
    app = AppTest.from_function(script, default_timeout=60)
    app.session_state[TEXT] = FILE.replace('"rate": 0.5\n        }', f'"rate": 0.5 }}, "filter": {json.dumps(chosen)}')
    app.run()
    app.multiselect(key="ladder-rates").set_value([]).run()
    app.multiselect(key="ladder-filters").set_value(["none", "as arm half"]).run()
    assert not app.exception
    app.button(key="ladder-take").click().run()
    assert list(draft(app).arms) == ["random", "no filter", "filter embedding, threshold 0.25"]
    filtered = pairing_of(app, "filter embedding, threshold 0.25").filter
    assert filtered.model_dump(mode="json", exclude_unset=True) == chosen


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ladder-rates", ["0", "much"], "'much' is no number"),
        ("ladder-rates", ["0", "150"], "less than or equal to 1"),
        ("ladder-extents", ["all"], "'all' is no extent: write its bounds in percent, like 25-50"),
        ("ladder-rates", [], "A ladder needs values of at least one knob"),
        ("ladder-mismatches", ["50"], "add up to at most 1"),
    ],
)
def test_what_makes_no_ladder_is_a_sentence(app: AppTest, key: str, value: list[str], said: str) -> None:
    app.multiselect(key=key).set_value(value).run()
    assert not app.exception
    assert said in texts(app)
    assert not [button for button in app.button if button.key == "ladder-take"]


def test_what_the_data_cannot_serve_is_seen_before_it_is_taken(app: AppTest) -> None:
    app.multiselect(key="ladder-extents").set_value(["0-1"]).run()
    assert not app.exception
    assert "the train split has" in texts(app)


def test_values_are_read_as_people_write_them() -> None:
    assert [number("2,5 px"), share("25 %"), share("0.5")] == [2.5, 0.25, 0.005]
    assert [extent("25-50"), extent(" 0 % – 12.5 %")] == [(0.25, 0.5), (0.0, 0.125)]
    assert filter_words("irmad 0.75") == "IR-MAD, highest 25 % away"
    with pytest.raises(ExperimentError, match="'-5' is no extent"):
        extent("-5")
