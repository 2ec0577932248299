"""Two views of a pair in a real Chromium: what is on the canvases, and what points at what."""

import urllib.request
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

TURNED = np.array([[0.0, 0.5, 8.0], [0.5, 0.0, 4.0]])
MOVED = np.array([[0.75, 0.0, -6.0], [0.0, 0.75, 2.0]])
SIZE = 64
IntArray = NDArray[np.int64]


def opened(page: Page, url: str) -> Locator:
    """Returns the views of gallery.py once both canvases are drawn."""
    page.goto(f"{url}/?size=64")
    views = page.locator('[data-part="pair"]')
    for side in ("anchor", "positive"):
        expect(views.locator(f'[data-side="{side}"] canvas')).to_have_js_property("width", SIZE)
    return views


def pixels(views: Locator, side: str) -> IntArray:
    """Returns the canvas of a side, RGB of shape (size, size, 3)."""
    flat = views.locator(f'[data-side="{side}"] canvas').evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    )
    return np.array(flat).reshape(SIZE, SIZE, 4)[:, :, :3]


def picture(url: str, kind: str) -> NDArray[np.uint8]:
    with urllib.request.urlopen(f"{url}/api/v1/pictures/{kind}?size=64&seed=0", timeout=10) as answer:
        decoded = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def remapped(image: NDArray[np.uint8], matrix: NDArray[np.float64], interpolation: int) -> IntArray:
    """Returns what OpenCV makes of a view: pixel centres at half numbers, and borders that go on."""
    along = np.arange(SIZE) + 0.5
    x, y = np.meshgrid(along, along)
    at = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)])) - 0.5
    maps = at.astype(np.float32)
    seen = cv2.remap(image.astype(np.float32), maps[0], maps[1], interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen).round().astype(np.int64)


def test_canvases_show_what_the_matrices_cut_and_borders_go_on(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    for side, kind, matrix in (("anchor", "pre", TURNED), ("positive", "post", MOVED)):
        expected = remapped(picture(gallery_url, kind)[:, :, ::-1], matrix, cv2.INTER_LINEAR)
        assert np.abs(pixels(views, side) - expected).max() <= 3
    assert (pixels(views, "positive")[:, 0] == pixels(views, "positive")[:, 6]).all()


def await_pixels(page: Page, is_there: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_there():
            return
        page.wait_for_timeout(50)
    pytest.fail("the canvas has not changed within 5 s")


def test_change_is_laid_over_the_view_that_has_a_map(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    before = {side: pixels(views, side) for side in ("anchor", "positive")}
    views.get_by_label("Show change").check()
    expect(views.get_by_text("relevant change")).to_be_visible()
    changed = remapped(picture(gallery_url, "change"), TURNED, cv2.INTER_NEAREST) != 0
    await_pixels(page, lambda: bool((pixels(views, "anchor") != before["anchor"]).any()))
    differs = (pixels(views, "anchor") != before["anchor"]).any(axis=2)
    assert (differs == changed).mean() > 0.99
    assert (pixels(views, "positive") == before["positive"]).all()
    views.get_by_label("Show change").uncheck()
    await_pixels(page, lambda: bool((pixels(views, "anchor") == before["anchor"]).all()))


def centre(views: Locator, side: str, point: int) -> tuple[float, float]:
    box = views.locator(f'[data-side="{side}"] [data-point="{point}"] .over').bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def line(page: Page) -> list[float]:
    """Returns the ends of the line on the screen: x, y, x, y."""
    ends: list[float] = page.locator('[data-part="link"] .line').evaluate(
        """(line) => {
            const { left, top } = line.ownerSVGElement.getBoundingClientRect();
            return ["x1", "y1", "x2", "y2"].map((name, at) => Number(line.getAttribute(name)) + (at % 2 ? top : left));
        }"""
    )
    return ends


@pytest.mark.parametrize("width", [1280, 400])
def test_pointing_at_a_point_draws_the_line_to_its_partner(page: Page, gallery_url: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    views = opened(page, gallery_url)
    views.locator('[data-side="anchor"] [data-point="1"] .over').hover()
    expect(views.locator('[data-part="told"]')).to_contain_text("Point 2 of 9")
    ends = [*centre(views, "anchor", 1), *centre(views, "positive", 1)]
    assert line(page) == pytest.approx(ends, abs=9.5)  # it ends at the marks' rims
    x1, y1, x2, y2 = line(page)
    on_line = [(x - x1) * (y2 - y1) - (y - y1) * (x2 - x1) for x, y in (ends[:2], ends[2:])]
    assert np.abs(on_line).max() / np.hypot(x2 - x1, y2 - y1) < 1
    fills = {
        views.locator(f'[data-side="{side}"] [data-point="1"] .over').evaluate("(mark) => getComputedStyle(mark).fill")
        for side in ("anchor", "positive")
    }
    assert len(fills) == 1
    frames = [views.locator(f'[data-side="{side}"] .frame').bounding_box() for side in ("anchor", "positive")]
    assert frames[0] is not None
    assert frames[1] is not None
    assert (frames[1]["y"] > frames[0]["y"]) == (width == 400)
    views.get_by_label("Show change").hover()
    expect(views.locator('[data-part="link"] .line')).to_be_hidden()
    expect(views.locator('[data-part="told"]')).to_contain_text("9 matched points, 2 of them hollow")


def test_a_chosen_point_shows_how_far_around_its_partner_cells_match(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    ring = views.locator(".reach")
    expect(ring).to_have_count(0)
    views.locator('[data-side="anchor"] [data-point="1"] .over').hover()
    expect(ring).to_have_count(1)
    box = views.locator('[data-side="positive"] .reach').bounding_box()
    frame = views.locator('[data-side="positive"] .marks').bounding_box()
    assert box is not None
    assert frame is not None
    x, y = centre(views, "positive", 1)
    assert (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) == pytest.approx((x, y), abs=1)
    assert box["width"] == pytest.approx(2 * 6.0 / SIZE * frame["width"], abs=2.5)
    views.get_by_label("Show change").hover()
    expect(ring).to_have_count(0)


def test_keys_go_from_point_to_point_and_tell_where_they_are(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    stage = views.get_by_role("group", name="Views of pair 1")
    told = views.get_by_role("status")
    stage.press("ArrowLeft")
    expect(told).to_contain_text("Point 9 of 9")
    stage.press("ArrowRight")
    expect(told).to_have_text("Point 1 of 9: x, y 8.0, 0.0 in the anchor is matched with 18.7, 8.0 in the positive.")
    stage.press("End")
    stage.press("Home")
    for _ in range(3):
        views.get_by_role("button", name="Next point").click()
    expect(told).to_contain_text("Point 4 of 9")
    expect(told).to_contain_text("left out of the loss")
    stage.press("Escape")
    expect(told).to_contain_text("9 matched points")


def test_points_left_out_are_hollow(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)

    def style(point: int) -> dict[str, Any]:
        found: dict[str, Any] = views.locator(f'[data-side="positive"] [data-point="{point}"] .over').evaluate(
            "(mark) => ({ fill: getComputedStyle(mark).fill, stroke: getComputedStyle(mark).stroke })"
        )
        return found

    assert style(3)["fill"].startswith("rgba(0, 0, 0")
    assert style(3)["stroke"] != "rgb(255, 255, 255)"
    assert not style(2)["fill"].startswith("rgba(0, 0, 0")


def test_a_click_keeps_a_point_until_the_next(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    views.locator('[data-side="positive"] [data-point="2"] .over').click()
    views.get_by_label("Show change").hover()
    expect(views.get_by_role("status")).to_contain_text("Point 3 of 9")
    page.get_by_role("button", name="Run again").click()
    expect(views.get_by_role("status")).to_contain_text("Point 3 of 9")


def test_a_view_that_is_missing_says_so_and_names_are_text(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    page.get_by_text("Broken prediction").click()
    expect(views.get_by_role("alert")).to_contain_text(
        "positive · post could not be loaded: there is no picture 'gone'"
    )
    page.get_by_text("Hostile names").click()
    expect(views.locator('[data-side="positive"] figcaption')).to_contain_text("<img src=x onerror")
    assert page.title() != "broken in"


def test_without_points_there_is_nothing_to_step_through(page: Page, gallery_url: str) -> None:
    views = opened(page, gallery_url)
    page.get_by_text("No viewer").click()
    expect(views.get_by_role("button", name="Next point")).to_be_hidden()
    expect(views.locator("[data-point]")).to_have_count(0)


def test_arms_side_by_side_have_the_change_over_their_pictures(page: Page, gallery_url: str) -> None:
    page.goto(f"{gallery_url}/?size=64")
    table = page.get_by_role("region", name="Arms side by side")
    expect(table.get_by_role("columnheader")).to_have_text(["Arm 0", "Arm 1", "Arm 2"])
    table.scroll_into_view_if_needed()
    expect(table.locator("canvas.overlay")).to_have_count(5)
    expect(table.get_by_text("thrown away by the filter")).to_have_count(1)
    page.set_viewport_size({"width": 400, "height": 800})
    assert table.evaluate("(region) => region.scrollWidth > region.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
