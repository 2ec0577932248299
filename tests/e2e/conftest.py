from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

PATIENCE_MILLISECONDS = 60_000
"""Jobs train on the same cores as the browser runs on."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose script errors fail the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: _note(message, errors))
    yield page
    context.close()
    assert not errors, f"the browser reported: {errors}"


def _note(message: ConsoleMessage, errors: list[str]) -> None:
    # Streamlit looks for itself below each page's own path first; that 404 is its normal start.
    if message.type == "error" and "404" not in message.text:
        errors.append(message.text)
