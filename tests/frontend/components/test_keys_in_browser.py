"""Keys that press a page's buttons, in a real Chromium."""

import pytest
from playwright.sync_api import Page, expect

from tests.frontend.components.test_viewer_in_browser import open_gallery, stage

pytestmark = pytest.mark.browser


def counted(page: Page, count: int) -> None:
    expect(page.get_by_text(f"Counted: {count}")).to_be_visible()


def test_a_key_presses_its_button(page: Page, gallery_url: str) -> None:
    open_gallery(page, gallery_url)
    expect(page.locator(".st-key-keys .binding").first).to_have_text("→jcount")
    page.keyboard.press("j")
    counted(page, 1)
    page.keyboard.press("ArrowRight")
    counted(page, 2)
    page.keyboard.press("Control+j")
    page.keyboard.press("f")  # of a button that is disabled
    page.get_by_role("button", name="Run again").click()
    counted(page, 2)


def test_what_is_written_stays_letters(page: Page, gallery_url: str) -> None:
    open_gallery(page, gallery_url)
    page.get_by_role("textbox", name="Written").press_sequentially("jj")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Written")).to_have_value("jj")
    counted(page, 0)


def test_the_viewer_keeps_the_keys_it_has_a_use_for(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    canvas = stage(viewer)
    canvas.press("ArrowRight")  # nothing to move while all is in view
    counted(page, 1)
    canvas.press("+")
    canvas.press("ArrowRight")
    canvas.press("j")
    counted(page, 2)


def test_the_grid_brings_a_card_into_view_once(page: Page, gallery_url: str) -> None:
    page.goto(f"{gallery_url}/?size=64&focus=30")
    card = page.locator('[data-key="pair-30"]')
    expect(card).to_be_focused()
    expect(card).to_be_in_viewport()
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("button", name="Run again")).to_be_focused()
