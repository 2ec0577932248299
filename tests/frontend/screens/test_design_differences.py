"""In what the file differs from an earlier one."""

import json

from frontend.api_client import ApiClient
from tests.frontend.screens.conftest import texts
from tests.frontend.screens.design_screen import field, opened_file, table, three_arms
from tests.live_stack import as_yaml


def test_the_file_is_compared_with_what_it_was_started_from(api: ApiClient) -> None:
    app = opened_file(api, three_arms(), side="Differences")
    assert app.success[0].value == "Every field is the same."
    app.slider(key=field(app, "arm", "2", "rate")).set_value(75).run()
    head, row = table(app, "differences")
    assert head == ["field", "there", "here"]
    assert row == ["arms › half › pairing › noise › rate", "0.5", "0.75"]
    assert "1 field differs" in texts(app)


def test_another_file_is_chosen_and_names_are_text(api: ApiClient) -> None:
    content = json.loads(three_arms())
    content["arms"]["<b>bold</b>"] = content["arms"].pop("half")
    other = api.submit(as_yaml({**content, "name": "Earlier", "margin": 2.0}))
    api.cancel_experiment(other["id"])
    app = opened_file(api, three_arms(), side="Differences")
    app.selectbox(key="differences-with").set_value(f"from:{other['id']}").run()
    assert not app.exception
    rows = {row[0]: row[1:] for row in table(app, "differences")}
    assert rows["name"] == ["Earlier", "Three arms"]
    assert rows["margin"] == ["2.0", "1.0"]
    assert rows["arms › half"][0] == "–"
    assert rows["arms › &lt;b&gt;bold&lt;/b&gt;"][1] == "–"
