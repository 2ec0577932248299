"""What the fields of a form page edited, as the page left it in its session state."""

from streamlit.testing.v1 import AppTest


def edits(app: AppTest) -> dict[tuple[str, ...], object]:
    assert not app.exception
    found: dict[tuple[str, ...], object] = app.session_state["edits"]
    return found
