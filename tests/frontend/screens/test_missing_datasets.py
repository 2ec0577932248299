"""Files that name datasets nobody has registered."""

import pytest

from frontend.api_client import ApiClient
from tests.frontend.screens.conftest import opened_screen, texts


def test_the_scenes_that_a_shipped_file_describes_are_registered_by_a_click(api: ApiClient) -> None:
    example = next(each for each in api.examples() if each["name"] == "class-balance")
    wanted = {each["name"] for each in example["registrations"]}
    assert wanted
    assert not wanted & {each["name"] for each in api.datasets()["items"]}
    app = opened_screen("design", example="class-balance")
    assert "not registered here" in texts(app)
    app.button(key="design-register").click().run(timeout=60)
    assert not app.exception
    found = {each["name"]: each["config"] for each in api.datasets()["items"]}
    for each in example["registrations"]:
        assert found[each["name"]]["knobs"] == each["config"]["knobs"]
    assert "not registered here" not in texts(app)
    for name in wanted:
        api.delete_dataset(name)


@pytest.mark.usefixtures("api")
def test_datasets_of_files_are_registered_elsewhere() -> None:
    app = opened_screen("design", example="noise-rate-xbd")
    assert "not registered here" in texts(app)
    assert not [button for button in app.button if button.key == "design-register"]
