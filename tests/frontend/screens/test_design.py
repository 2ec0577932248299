import pytest
from pydantic import TypeAdapter
from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from frontend.screens.method_fields import MAIN_FIELDS, METHODS
from pairlab.experiment.methods import Method
from pairlab.experiment.scene_filter import SceneFilter
from tests.frontend.screens.conftest import EXPERIMENT, opened_screen, texts
from tests.frontend.screens.design_screen import TEXT, draft, field


@pytest.fixture
def app(api: ApiClient) -> AppTest:
    """The screen with a short experiment on the registered dataset in it."""
    experiment = api.submit(EXPERIMENT)
    api.cancel_experiment(experiment["id"])
    app = opened_screen("design", **{"from": experiment["id"]})
    assert not app.exception
    assert not app.error
    return app


def test_a_shipped_example_is_there_to_start_from(api: ApiClient) -> None:
    app = opened_screen("design")
    assert not app.exception
    quickstart = next(example for example in api.examples() if example["name"] == "quickstart")
    assert app.session_state[TEXT] == quickstart["yaml"]


def test_the_address_names_an_earlier_experiment(app: AppTest) -> None:
    assert app.session_state[TEXT] == EXPERIMENT


def test_another_file_is_loaded_over_the_draft(app: AppTest, api: ApiClient) -> None:
    app.text_input(key=field(app, "name")).set_value("To be thrown away").run()
    app.selectbox(key="design-source").set_value("example:quickstart").run()
    app.button(key="design-load").click().run()
    assert not app.exception
    assert app.session_state[TEXT] == next(each["yaml"] for each in api.examples() if each["name"] == "quickstart")
    assert (app.query_params["example"], "from" in app.query_params) == ("quickstart", False)
    assert app.text_input(key=field(app, "name")).value == "Quickstart"


@pytest.mark.usefixtures("api")
def test_a_source_that_is_not_there_is_a_sentence() -> None:
    app = opened_screen("design", **{"from": "nothing"})
    assert not app.exception
    assert "nothing" in app.error[0].value
    app = opened_screen("design", example="nothing")
    assert "There is no example 'nothing'" in app.error[0].value


def test_the_form_shows_the_file(app: AppTest) -> None:
    assert app.text_input(key=field(app, "name")).value == "Screens"
    assert app.text_input(key=field(app, "seeds")).value == "0"
    assert app.number_input(key=field(app, "pretraining", "steps")).value == 4
    assert app.slider(key=field(app, "arm", "1", "rate")).value == 50


def test_a_field_edits_the_file_and_keeps_its_comments(app: AppTest) -> None:
    app.slider(key=field(app, "arm", "1", "rate")).set_value(25).run()
    app.text_input(key=field(app, "seeds")).set_value("0-2").run()
    pairing = draft(app).arms["noisy"].pairing
    assert pairing is not None
    assert pairing.noise.rate == 0.25
    assert draft(app).seeds == (0, 1, 2)
    assert "# every second pair" in app.session_state[TEXT]
    assert "# A ladder too short" in app.session_state[TEXT]


def test_a_field_that_is_not_valid_leaves_the_file_and_says_why(app: AppTest) -> None:
    app.text_input(key=field(app, "seeds")).set_value("0, none").run()
    assert "'none' is no whole number" in texts(app)
    assert app.session_state[TEXT] == EXPERIMENT


def test_the_yaml_edits_the_form(app: AppTest) -> None:
    app.segmented_control(key="side").set_value("YAML").run()
    app.text_area(key="yaml-box").set_value(EXPERIMENT.replace("steps: 4", "steps: 6"))
    app.run()
    assert app.number_input(key=field(app, "pretraining", "steps")).value == 6


def test_yaml_that_is_not_valid_stays_in_its_box_with_its_problems(app: AppTest) -> None:
    app.segmented_control(key="side").set_value("YAML").run()
    box = app.text_area(key="yaml-box")
    box.set_value(f"{EXPERIMENT}surprise: 1\n").run()
    assert "surprise: unknown key" in texts(app)
    assert app.session_state[TEXT] == EXPERIMENT
    assert app.button(key="design-queue").disabled
    app.button(key="yaml-back").click().run()
    assert not app.error
    assert not app.button(key="design-queue").disabled


def test_the_form_edits_the_yaml_beside_it(app: AppTest) -> None:
    app.segmented_control(key="side").set_value("YAML").run()
    app.text_input(key=field(app, "name")).set_value("Another").run()
    assert "name: Another" in str(app.text_area(key="yaml-box").value)


def test_arms_are_added_duplicated_renamed_and_removed(app: AppTest) -> None:
    app.button(key="arm-add").click().run()
    app.button(key="arm-duplicate-1").click().run()
    assert list(draft(app).arms) == ["random", "noisy", "noisy 2", "temporal"]
    app.text_input(key=field(app, "arm", "2", "name")).set_value("half").run()
    app.button(key="arm-remove-0").click().run()
    assert list(draft(app).arms) == ["noisy", "half", "temporal"]
    assert draft(app).reference == "noisy"
    assert not app.exception


@pytest.mark.parametrize("kind", ["baseline", "same_image"])
def test_an_arm_of_another_kind_loses_the_knobs_it_has_not(app: AppTest, kind: str) -> None:
    app.selectbox(key=field(app, "arm", "1", "kind")).set_value(kind).run()
    arm = draft(app).arms["noisy"]
    assert (arm.baseline is not None) == (kind == "baseline")
    assert not app.exception
    assert not app.error


def test_without_a_rate_pairs_are_as_the_data_has_them(app: AppTest) -> None:
    app.toggle(key=field(app, "arm", "1", "fixed")).set_value(False).run()
    pairing = draft(app).arms["noisy"].pairing
    assert pairing is not None
    assert pairing.noise.rate is None
    app.toggle(key=field(app, "arm", "1", "fixed")).set_value(True).run()
    pairing = draft(app).arms["noisy"].pairing
    assert pairing is not None
    assert pairing.noise.rate == 0.5


def test_another_method_takes_its_own_defaults(app: AppTest) -> None:
    app.selectbox(key=field(app, "method")).set_value("simclr").run()
    assert draft(app).method.name == "simclr"
    assert not app.exception


@pytest.mark.parametrize("name", list(MAIN_FIELDS))
def test_a_global_methods_main_numbers_are_edited_in_the_file(app: AppTest, name: str) -> None:
    app.selectbox(key=field(app, "method")).set_value(name).run()
    assert draft(app).method.model_dump(exclude_unset=True) == {"name": name}
    defaults = {each: getattr(draft(app).method, each) for each in MAIN_FIELDS[name]}
    assert {each: app.number_input(key=field(app, "method", name, each)).value for each in defaults} == defaults
    wanted = {each: value * 2 or 64 if isinstance(value, int) else value / 2 or 1.0 for each, value in defaults.items()}
    for each, value in wanted.items():
        app.number_input(key=field(app, "method", name, each)).set_value(value).run()
    assert not app.exception
    assert not app.error
    assert draft(app).method.model_dump(exclude_unset=True) == {"name": name, **wanted}


@pytest.mark.usefixtures("api")
def test_a_method_that_does_not_fit_an_arm_is_refused_in_words_and_nothing_is_lost() -> None:
    app = opened_screen("design", example="quickstart")
    before = app.session_state[TEXT]
    app.selectbox(key=field(app, "method")).set_value("seco").run()
    assert not app.exception
    assert "seco learns from what differs between two dates" in app.error[0].value
    assert app.session_state[TEXT] == before


@pytest.mark.parametrize("name", ["pixel_infonce", "densecl", "pixpro", "vicregl"])
def test_a_dense_methods_grid_is_chosen_and_its_default_leaves_the_file(app: AppTest, name: str) -> None:
    app.selectbox(key=field(app, "method")).set_value(name).run()
    grid = field(app, "method", name, "grid_stride")
    default = app.selectbox(key=grid).value
    app.selectbox(key=grid).set_value(16).run()
    assert draft(app).method.model_dump(exclude_unset=True)["grid_stride"] == 16
    app.selectbox(key=field(app, "method", name, "grid_stride")).set_value(default).run()
    assert "grid_stride" not in draft(app).method.model_dump(exclude_unset=True)
    assert not app.exception
    assert not app.error


def test_vicregls_tolerance_is_a_number_or_nothing(app: AppTest) -> None:
    app.selectbox(key=field(app, "method")).set_value("vicregl").run()
    tolerance = field(app, "method", "vicregl", "match_tolerance_px")
    assert app.number_input(key=tolerance).value is None
    app.number_input(key=tolerance).set_value(12.0).run()
    assert draft(app).method.model_dump(exclude_unset=True) == {"name": "vicregl", "match_tolerance_px": 12.0}
    app.number_input(key=field(app, "method", "vicregl", "match_tolerance_px")).set_value(None).run()
    assert draft(app).method.model_dump()["match_tolerance_px"] is None
    assert not app.exception
    assert not app.error


def test_a_tolerance_belongs_to_matching_by_place(app: AppTest) -> None:
    app.selectbox(key=field(app, "method")).set_value("pixel_infonce").run()
    tolerance = field(app, "method", "tolerance")
    app.number_input(key=tolerance).set_value(6.0).run()
    assert draft(app).method.model_dump(exclude_unset=True)["match_tolerance_px"] == 6.0
    app.number_input(key=field(app, "method", "tolerance")).set_value(0.0).run()
    app.selectbox(key=field(app, "method", "matching")).set_value("feature").run()
    assert not app.error
    assert all(each.key != field(app, "method", "tolerance") for each in app.number_input)


def test_the_form_offers_every_method_there_is() -> None:
    known = TypeAdapter(Method).json_schema()["discriminator"]["mapping"].keys()
    assert METHODS.keys() == known == MAIN_FIELDS.keys() | {"pixel_infonce"}


def test_the_preview_says_what_would_be_drawn(app: AppTest) -> None:
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Noisy, asked for"] == "50 %"
    assert figures["Noisy, realised"] == "50.0 %"
    assert figures["Pairs drawn"] == "8"


def test_the_preview_of_a_baseline_says_that_it_draws_nothing(app: AppTest) -> None:
    app.selectbox(key="choose-arm").set_value("random").run()
    assert "it draws no pairs" in texts(app)


def test_what_the_data_cannot_meet_is_refused_before_anything_is_queued(app: AppTest) -> None:
    app.number_input(key=field(app, "arm", "1", "pairs")).set_value(1000).run()
    assert not app.exception
    assert app.error
    assert app.button(key="design-queue").disabled


def test_the_plan_counts_jobs(app: AppTest) -> None:
    figures = {metric.label: metric.value for metric in app.metric}
    assert figures["Jobs"] == "3"
    assert "1 pretraining and 2 segmentations" in texts(app)


def test_queueing_goes_to_the_jobs_of_the_new_experiment(app: AppTest, api: ApiClient) -> None:
    app.text_input(key=field(app, "name")).set_value("Queued from the form").run()
    app.button(key="design-queue").click().run()
    assert not app.exception
    newest = api.experiments(limit=1)["items"][0]
    assert newest["name"] == "Queued from the form"
    assert [title.value for title in app.title] == ["Jobs"]
    assert app.query_params["experiment"] == newest["id"]


def test_a_selection_that_was_handed_over_is_taken_into_the_file(app: AppTest) -> None:
    content = {"events": ["fire", "flood"], "change_share": [0.25, 1.0]}
    app.session_state["pending-scenes"] = {"dataset": "scenes", "filter": content}
    app.run()
    assert not app.exception
    assert draft(app).scenes.events == ("fire", "flood")
    assert draft(app).scenes.change_share == (0.25, 1.0)
    assert "# every second pair" in app.session_state[TEXT]
    assert "event fire · event flood · change share 25 % to 100 %" in texts(app)
    app.button(key=field(app, "scenes", "all")).click().run()
    assert not app.exception
    assert draft(app).scenes == SceneFilter()
    assert "Only some scenes take part" not in texts(app)


def test_scenes_named_one_by_one_are_counted(app: AppTest) -> None:
    app.session_state["pending-scenes"] = {"dataset": "scenes", "filter": {"without": ["a <b>", "b"]}}
    app.run()
    assert not app.exception
    assert "2 scenes left out by name" in texts(app)


def test_a_selection_that_does_not_fit_leaves_the_file_and_says_why(app: AppTest) -> None:
    before = app.session_state[TEXT]
    app.session_state["pending-scenes"] = {"dataset": "scenes", "filter": {"splits": ["holiday"]}}
    app.run()
    assert not app.exception
    assert "does not fit into this file" in app.error[0].value
    assert app.session_state[TEXT] == before
