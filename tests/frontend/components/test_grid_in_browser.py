"""The grid of pairs in a real Chromium."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_click_tells_the_page_once(page: Page, gallery_url: str) -> None:
    page.goto(f"{gallery_url}/?size=64")
    page.locator('[data-key="pair-2"]').click()
    expect(page.get_by_text("Clicked: pair-2")).to_be_visible()
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("Clicked: None")).to_be_visible()


def test_arrows_move_the_focus_and_enter_opens(page: Page, gallery_url: str) -> None:
    page.goto(f"{gallery_url}/?size=64")
    page.locator('[data-key="pair-0"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-key="pair-1"]')).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.shadowRoot.activeElement.dataset.key")
    columns = int(below.removeprefix("pair-")) - 1
    assert columns >= 2
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Clicked: {below}")).to_be_visible()
    expect(page.locator(f'[data-key="{below}"]')).to_be_focused()


def test_thumbnails_load_as_they_come_near_and_a_missing_one_says_so(page: Page, gallery_url: str) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.set_viewport_size({"width": 400, "height": 700})
    page.goto(f"{gallery_url}/?size=64")
    expect(page.locator('[data-key="pair-0"] img')).to_have_count(2)
    page.wait_for_timeout(500)
    assert not any("seed=39" in url for url in requested)
    missing = page.locator('[data-key="pair-3"]')
    missing.scroll_into_view_if_needed()
    expect(missing).to_contain_text("could not be loaded")
    page.locator('[data-key="pair-39"]').scroll_into_view_if_needed()
    expect(page.locator('[data-key="pair-39"] img').first).to_have_js_property("complete", True)
    assert any("seed=39" in url for url in requested)
