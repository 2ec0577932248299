import re
from pathlib import Path

import pytest

from frontend.page import plain, screen, verbatim


@pytest.mark.parametrize("name", ["pairs", "design", "jobs", "compare", "inspect", "datasets"])
def test_every_screen_of_the_router_has_its_file(name: str) -> None:
    assert Path(screen(name)).is_file()


@pytest.mark.parametrize(
    "text",
    ["<img src=x>", "[a](javascript:alert(1))", "**bold** _it_ `open", ":red[no]", "$x^2$", "# head", "a|b", "\\*"],
)
def test_plain_text_has_no_markup_left(text: str) -> None:
    shown = plain(text)
    assert shown.replace("\\", "") == text.replace("\\", "")
    for place, letter in enumerate(shown):
        if letter in "<[*_`:$#|>":
            assert shown[place - 1] == "\\"


def test_commands_between_backticks_stay_code() -> None:
    assert plain("a_b: `pairlab up --data-root my_root=FOLDER` [x]") == (
        "a\\_b\\: `pairlab up --data-root my_root=FOLDER` \\[x\\]"
    )


def test_words_and_figures_stay_as_they_are() -> None:
    assert plain("chips 1, 300 and 4.5 %; é") == "chips 1, 300 and 4.5 %; é"


@pytest.mark.parametrize(
    "text",
    ["<img src=x>", "**x** `code`", "www.evil.example", "a@evil.example", "&lt;b&gt;", ":red[x] $y$", "- a_b-c 1."],
)
def test_names_and_values_are_shown_letter_by_letter(text: str) -> None:
    shown = verbatim(text)
    assert re.sub(r"\\([^\w\s]|_)", r"\1", shown) == text
    assert not re.search(r"(?<!\\)[^\w\s\\]", shown)
