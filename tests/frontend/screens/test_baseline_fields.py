"""Baselines: random weights, and a supervised start from a file."""

from frontend.api_client import ApiClient
from tests.frontend.screens.design_screen import draft, field, opened_file, three_arms
from tests.live_stack import as_yaml

BUTTON = "arm-add-baseline"


def buttons(app: object) -> set[str]:
    return {button.key for button in app.button}  # type: ignore[attr-defined]


def test_an_experiment_without_random_initialisation_is_offered_one(api: ApiClient) -> None:
    arms = {"clean": {"pairing": {"policy": "temporal", "pairs": 16, "noise": {"rate": 0}}}}
    text = as_yaml(
        {
            "name": "One",
            "dataset": "scenes",
            "labels": {"train_chips": 4},
            "arms": arms,
            "reference": "clean",
            "seeds": [0],
        }
    )
    app = opened_file(api, text)
    assert BUTTON in buttons(app)
    app.button(key=BUTTON).click().run()
    assert not app.exception
    assert draft(app).arms["random initialisation"].baseline == "random_initialisation"
    assert BUTTON not in buttons(app)


def test_a_baseline_can_start_from_a_file_of_its_own(api: ApiClient) -> None:
    app = opened_file(api, three_arms())
    assert BUTTON not in buttons(app)
    app.selectbox(key=field(app, "arm", "0", "baseline")).set_value("initial_weights").run()
    assert not app.exception
    arm = draft(app).arms["random"]
    assert arm.baseline == "initial_weights"
    assert arm.initial is not None
    assert arm.initial.source == "file"
    app.text_input(key=field(app, "arm", "0", "initial-path")).set_value("supervised.pth").run()
    found = draft(app).arms["random"].initial
    assert found is not None
    assert found.model_dump(include={"root", "path", "part"}) == {
        "root": "data",
        "path": "supervised.pth",
        "part": "encoder",
    }
    app.selectbox(key=field(app, "arm", "0", "baseline")).set_value("random_initialisation").run()
    assert draft(app).arms["random"].initial is None
