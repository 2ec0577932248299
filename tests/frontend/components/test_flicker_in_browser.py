"""Two pictures in turn, in a real Chromium."""

import pytest
from playwright.sync_api import Page, expect

from tests.frontend.components.test_viewer_in_browser import (
    INTACT_ROOF,
    color_at,
    expect_returned,
    open_gallery,
    place,
    stage,
)

pytestmark = pytest.mark.browser

GROUND = (4 / 16, 1 / 16)


def test_pictures_change_by_themselves_until_they_are_stopped(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, mode="flicker", left="pre", right="post", speed="5")
    tags = {side: viewer.locator(f'[data-part="{side}-tag"]') for side in ("left", "right")}
    for _ in range(2):
        expect(tags["left"]).to_be_visible()
        expect(tags["right"]).to_be_hidden()
        expect(tags["right"]).to_be_visible()
        expect(tags["left"]).to_be_hidden()
    viewer.get_by_role("button", name="Stop").click()
    expect(viewer.get_by_role("button", name="Start")).to_be_visible()
    was = tags["left"].is_visible()
    page.wait_for_timeout(700)
    assert tags["left"].is_visible() == was


def test_a_key_flips_by_hand_and_the_picture_is_the_other_one(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, mode="swipe", left="pre", right="post+prediction", opacity="100")
    canvas = stage(viewer)
    canvas.press("x")
    expect_returned(page, mode="flicker")
    expect(viewer.locator('[data-part="left-tag"]')).to_have_text("Before")
    before = (color_at(viewer, GROUND), color_at(viewer, INTACT_ROOF))
    canvas.press("x")
    expect(viewer.locator('[data-part="right-tag"]')).to_be_visible()
    after = (color_at(viewer, GROUND), color_at(viewer, INTACT_ROOF))
    assert before[0] != after[0]
    assert after[1] == (0x33, 0xBB, 0xEE)
    assert before[1] == (190, 186, 180)
    x, y = place(viewer, *INTACT_ROOF)
    canvas.hover(position={"x": x, "y": y})
    expect(viewer.locator('[data-part="readout"]')).to_contain_text("Labelintact")


def test_speed_is_told_to_the_page_and_a_key_starts_it(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    expect(viewer.locator('[data-part="turns"]')).to_be_hidden()
    stage(viewer).press("t")
    expect_returned(page, mode="flicker")
    viewer.locator('[data-part="speed"]').fill("3")
    expect_returned(page, speed="3")
    expect(viewer.locator('[data-part="speed-value"]')).to_have_text("3 / s")
    stage(viewer).press("t")
    expect(viewer.get_by_role("button", name="Start")).to_be_visible()


def test_who_asked_for_less_motion_starts_it_by_hand(page: Page, gallery_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    viewer = open_gallery(page, gallery_url, mode="flicker", left="pre", right="post", speed="5")
    page.wait_for_timeout(700)
    expect(viewer.locator('[data-part="left-tag"]')).to_be_visible()
    viewer.get_by_role("button", name="Start").click()
    expect(viewer.locator('[data-part="right-tag"]')).to_be_visible()
