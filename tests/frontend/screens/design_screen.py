"""The Design screen with a file in it, and what a test asks of it."""

import json
import re
from typing import Any

from streamlit.testing.v1 import AppTest

from frontend.api_client import ApiClient
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.pairing import Pairing
from tests.frontend.screens.conftest import opened_screen
from tests.live_stack import as_yaml

TEXT = "draft-text"


def opened_file(api: ApiClient, text: str, **parameters: str) -> AppTest:
    """Returns the screen with an experiment file in it, as an address names it."""
    experiment = api.submit(text)
    api.cancel_experiment(experiment["id"])
    return opened_screen("design", **{"from": experiment["id"], **parameters})


def three_arms(**half: Any) -> str:  # noqa: ANN401
    """Returns a file on the dataset `scenes`: a baseline, `clean` (the reference) and `half`; fields are of `half`."""
    pairing = {"policy": "temporal", "pairs": 16}
    return as_yaml(
        {
            "name": "Three arms",
            "dataset": "scenes",
            "labels": {"train_chips": 4},
            "pretraining": {"steps": 4, "batch_size": 4, "warmup_steps": 1},
            "arms": {
                "random": {"baseline": "random_initialisation"},
                "clean": {"pairing": {**pairing, "noise": {"rate": 0}}},
                "half": {"pairing": {**pairing, "noise": {"rate": 0.5}}, **half},
            },
            "reference": "clean",
            "seeds": [0],
        }
    )


def draft(app: AppTest) -> Experiment:
    """Returns the file."""
    return load_experiment(app.session_state[TEXT])


def pairing_of(app: AppTest, arm: str) -> Pairing:
    """Returns an arm's pairing in the file."""
    found = draft(app).arms[arm].pairing
    assert found is not None
    return found


def field(app: AppTest, *path: str) -> str:
    """Returns the key of a field's widget."""
    return f"form-{app.session_state['draft-revision']}-{'-'.join(path)}"


def fields(app: AppTest, spot: int) -> set[str]:
    """Returns the names of the fields that the card of an arm shows."""
    start = field(app, "arm", str(spot), "")
    kinds = (app.slider, app.selectbox, app.number_input, app.toggle, app.text_input, app.multiselect)
    keys = (element.key or "" for elements in kinds for element in elements)
    return {key.removeprefix(start) for key in keys if key.startswith(start)}


def component(app: AppTest, key: str) -> dict[str, Any]:
    """Returns what a component of the page was given."""
    found = next(each for each in app.get("bidi_component") if each.key == key or f"-{key}" in str(each.proto.id))
    data: dict[str, Any] = json.loads(found.proto.json)
    return data


def table(app: AppTest, name: str) -> list[list[str]]:
    """Returns the texts of a table that the page shows as HTML, row by row."""
    body = next(each.proto.body for each in app.get("html") if f'data-testid="{name}"' in each.proto.body)
    rows = re.findall(r"<tr.*?</tr>", body)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def figures(app: AppTest) -> dict[str, str]:
    """Returns the figures that the page shows large, by label."""
    return {metric.label: metric.value for metric in app.metric}
