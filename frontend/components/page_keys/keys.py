"""Keys for the buttons of a page, and the legend that tells them."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TypedDict

import streamlit as st

_BUTTON = re.compile(r"[a-z0-9-]{1,60}")


class KeySpec(TypedDict):
    """One button's keys, as browsers name them (`j`, `ArrowRight`), and in a word what it does."""

    keys: Sequence[str]
    label: str
    button: str
    """Streamlit's key of the button."""


_assets = files("frontend.components.page_keys")
_mount = st.components.v2.component(
    "pairlab.page_keys",
    html=(_assets / "keys.html").read_text("utf-8"),
    css=(_assets / "keys.css").read_text("utf-8"),
    js=(_assets / "keys.js").read_text("utf-8"),
)


def page_keys(bindings: Sequence[KeySpec], *, key: str) -> None:
    """Shows which keys press which buttons, and presses them; while text is written, keys are letters.

    Raises:
        ValueError: a key that two buttons want, or a button whose key is none of Streamlit's.
    """
    taken: set[str] = set()
    for binding in bindings:
        if not _BUTTON.fullmatch(binding["button"]):
            raise ValueError(f"{binding['button']!r} cannot be the key of a button: use small letters, digits and -")
        for each in binding["keys"]:
            if each in taken:
                raise ValueError(f"two buttons want the key {each!r}")
            taken.add(each)
    _mount(key=key, data={"bindings": [dict(binding) for binding in bindings]})
