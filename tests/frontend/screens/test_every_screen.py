import pytest

from tests.frontend.screens.conftest import opened_screen, texts

SCREENS = ("pairs", "design", "jobs", "compare", "inspect", "datasets")


@pytest.mark.usefixtures("no_api")
@pytest.mark.parametrize("name", SCREENS)
def test_without_an_api_a_screen_says_how_to_start_it(name: str) -> None:
    app = opened_screen(name)
    assert not app.exception
    assert "PairLab is not running" in texts(app)
    assert "pairlab up" in texts(app)


@pytest.mark.usefixtures("empty_api")
@pytest.mark.parametrize("name", SCREENS)
def test_without_data_a_screen_says_what_to_do_next(name: str) -> None:
    app = opened_screen(name)
    assert not app.exception
    says = {
        "pairs": "Register the synthetic scenes",
        "design": "is not registered here",
        "jobs": "Design one, or start from a shipped example",
        "compare": "Design one first",
        "inspect": "Design an experiment",
        "datasets": "Register the synthetic scenes below",
    }
    assert says[name] in texts(app)


@pytest.mark.usefixtures("empty_api")
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_that_is_opened_anew_takes_its_place_in_the_title(name: str) -> None:
    assert [title.value for title in opened_screen(name).title] == [name.capitalize()]
