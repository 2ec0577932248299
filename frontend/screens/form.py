"""Fields beside an experiment's YAML: each shows the file's value, and a change is an edit of the file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from frontend.draft import Path


@dataclass
class Form:
    """Widgets that show an experiment's values; what differs from them after a run is an edit.

    `revision` is part of every widget's key: a new one makes all widgets take the file's values again.
    """

    revision: int
    edits: dict[Path, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    restructures: bool = False
    """Whether an edit changes which fields there are."""

    def key(self, *path: str) -> str:
        """Returns the key of a field's widget."""
        return f"form-{self.revision}-{'-'.join(path)}"

    def note(self, path: Path, value: object, old: object, *, default: object = ...) -> None:
        """Notes an edit where the value differs; a value that is the default leaves the file."""
        if value != old:
            self.edits[path] = None if value == default else value

    def restructure(self, path: Path, value: object) -> None:
        """Notes an edit after which there are other fields."""
        self.edits[path] = value
        self.restructures = True

    def text(self, label: str, path: Path, value: str, *, key: str | None = None, **options: Any) -> None:  # noqa: ANN401
        """Shows a line of text."""
        self.note(path, st.text_input(label, value, key=key or self.key(*path), **options).strip(), value)

    def number(
        self,
        label: str,
        path: Path,
        value: float,
        *,
        key: str | None = None,
        default: object = ...,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Shows a number; a whole one where the value is whole."""
        if isinstance(value, float):
            options = {"format": "%.6g", "step": value / 10, **options}
        new = st.number_input(label, value=value, key=key or self.key(*path), **options)
        self.note(path, new, value, default=default)

    def option(
        self,
        label: str,
        path: Path,
        value: str,
        options: Sequence[str],
        *,
        key: str | None = None,
        default: object = ...,
        shown: Callable[[str], str] = str,
        restructures: bool = False,
        **others: Any,  # noqa: ANN401
    ) -> str:
        """Shows a box of options and returns the chosen one; a value that is none of them is added."""
        listed = list(dict.fromkeys([*options, value]))
        place = listed.index(value)
        chosen = st.selectbox(label, listed, index=place, key=key or self.key(*path), format_func=shown, **others)
        new = value if chosen is None else str(chosen)
        self.note(path, new, value, default=default)
        self.restructures |= restructures and new != value
        return new

    def percent(
        self,
        label: str,
        path: Path,
        value: float,
        *,
        key: str,
        default: object = ...,
        help: str | None = None,
        most: int = 100,
        step: int = 5,
    ) -> float:
        """Shows a share as a slider of percentages and returns it; one between its steps stays until it is moved.

        Its ends are fixed: a slider whose ends follow from another field would be another widget after that one is
        moved, and lose what the user does to it meanwhile.
        """
        at = round(100 * value)
        moved = st.slider(label, 0, most, at, step=step, key=key, help=help)
        new = value if moved == at else moved / 100
        self.note(path, new, value, default=default)
        return new
