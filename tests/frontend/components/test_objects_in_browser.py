"""Polygons of labelled objects over the images, in a real Chromium."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.frontend.components.test_viewer_in_browser import color_at, expect_returned, open_gallery, place, stage

pytestmark = pytest.mark.browser

LOWER_ROOF = (2 / 16, 11.5 / 16)
GROUND = (8 / 16, 8 / 16)
DESTROYED = (0xBB, 0x11, 0x66)


def is_destroyed(color: tuple[int, int, int]) -> bool:
    """Whether a line's colour is it, give or take its soft rim."""
    return all(abs(channel - wanted) < 30 for channel, wanted in zip(color, DESTROYED, strict=True))


def facts_of(viewer: Locator) -> Locator:
    return viewer.locator('[data-part="object"]')


def open_polygons(page: Page, url: str, **params: object) -> Locator:
    viewer = open_gallery(page, url, polygons="1", **{"left": "post", "opacity": "0", **params})
    expect(viewer.locator('[data-part="legend"]')).to_contain_text("destroyed")
    return viewer


def test_polygons_are_asked_for_when_they_are_wanted(page: Page, gallery_url: str) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    viewer = open_gallery(page, gallery_url, left="post")
    page.wait_for_timeout(300)
    assert not any("objects-" in url for url in requested)
    stage(viewer).press("p")
    expect_returned(page, polygons="1")
    expect(viewer.locator('[data-part="legend"]')).to_contain_text("destroyed")
    assert next(url for url in requested if "objects-" in url).endswith("objects-post?size=64&seed=0")


def test_hovering_tells_name_class_and_area_as_text(page: Page, gallery_url: str) -> None:
    viewer = open_polygons(page, gallery_url)
    x, y = place(viewer, *LOWER_ROOF)
    stage(viewer).hover(position={"x": x, "y": y})
    facts = facts_of(viewer)
    expect(facts).to_contain_text("<img src=x onerror=")
    expect(facts).to_contain_text("destroyed")
    expect(facts).to_contain_text("96 px²")
    expect(facts.locator("img")).to_have_count(0)
    x, y = place(viewer, *GROUND)
    stage(viewer).hover(position={"x": x, "y": y})
    expect(facts).to_be_hidden()
    assert "broken in" not in page.title()


def test_a_click_keeps_an_object_in_view_and_shows_it_in_both_images(page: Page, gallery_url: str) -> None:
    viewer = open_polygons(page, gallery_url, mode="side_by_side", left="pre", right="post")
    stage(viewer).scroll_into_view_if_needed()
    box = stage(viewer).bounding_box()
    assert box is not None
    half = (box["width"] - 6) / 2
    size = min(half, box["height"])
    position = {
        "x": half / 2 + (LOWER_ROOF[0] - 0.5) * size,
        "y": box["height"] / 2 + (LOWER_ROOF[1] - 0.5) * size,
    }
    stage(viewer).click(position=position)  # type: ignore[arg-type]
    stage(viewer).hover(position={"x": half / 2, "y": box["height"] / 2})
    facts = facts_of(viewer)
    expect(facts).to_contain_text("no-damage")
    expect(facts).to_contain_text("destroyed")
    assert facts.locator(".value-label").all_inner_texts() == ["Before", "After"]
    stage(viewer).click(position=position)  # type: ignore[arg-type]
    stage(viewer).hover(position={"x": half / 2, "y": box["height"] / 2})
    expect(facts).to_be_hidden()


def test_a_kind_that_is_switched_off_is_neither_drawn_nor_found(page: Page, gallery_url: str) -> None:
    viewer = open_polygons(page, gallery_url)
    edge = (1 / 16, 11.5 / 16)
    assert is_destroyed(color_at(viewer, edge))
    viewer.locator('[data-part="legend"] button').filter(has_text="destroyed").click()
    assert not is_destroyed(color_at(viewer, edge))
    x, y = place(viewer, *LOWER_ROOF)
    stage(viewer).hover(position={"x": x, "y": y})
    expect(facts_of(viewer)).to_be_hidden()


def test_polygons_that_do_not_come_are_named(page: Page, gallery_url: str) -> None:
    page.route("**/objects-post?**", lambda route: route.fulfill(body="<html>"))
    viewer = open_gallery(page, gallery_url, left="post", polygons="1")
    expect(viewer.get_by_role("alert")).to_contain_text("The polygons could not be loaded: the answer cannot be read.")
    page.unroute("**/objects-post?**")
    viewer.get_by_role("button", name="Try again").click()
    expect(viewer.locator('[data-part="legend"]')).to_contain_text("destroyed")
    expect(viewer.get_by_role("alert")).to_be_hidden()
