"""The overlay viewer in a real Chromium: what is on the canvas, and what stays over runs of the page."""

import json
from typing import Any, Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

INTACT_ROOF = (6 / 16, 4.5 / 16)  # (u, v) in the picture, in [0, 1]
MISSED_ROOF = (2 / 16, 4.5 / 16)
WRONG_ROOF = (2 / 16, 11.5 / 16)


def open_gallery(page: Page, url: str, **params: object) -> Locator:
    """Returns the viewer once it has loaded its pictures."""
    page.goto(f"{url}/?{urlencode({'size': 64, **params})}")
    viewer = page.locator('[data-part="viewer"]')
    expect(viewer).to_have_attribute("data-ready", "true")
    return viewer


def stage(viewer: Locator) -> Locator:
    return viewer.locator('[data-part="stage"]')


def pixel(viewer: Locator, x: float, y: float) -> tuple[int, int, int]:
    """Returns the colour at (x, y), in CSS pixels of the canvas, after the next frame."""
    rgb: list[int] = stage(viewer).evaluate(
        """async (canvas, [x, y]) => {
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            return [...canvas.getContext("2d").getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data];
        }""",
        [x, y],
    )
    return rgb[0], rgb[1], rgb[2]


def place(viewer: Locator, u: float, v: float) -> tuple[float, float]:
    """Returns where (u, v) of a square picture lies at zoom 1 in a canvas that is wider than high."""
    box = stage(viewer).bounding_box()
    assert box is not None
    size = min(box["width"], box["height"])
    return box["width"] / 2 + (u - 0.5) * size, box["height"] / 2 + (v - 0.5) * size


def color_at(viewer: Locator, spot: tuple[float, float]) -> tuple[int, int, int]:
    return pixel(viewer, *place(viewer, *spot))


def is_bluish(color: tuple[int, int, int]) -> bool:
    return color[2] > color[0] + 60


def returned(page: Page) -> dict[str, Any]:
    """Returns the state as the page's script has it."""
    result: dict[str, Any] = json.loads(page.get_by_test_id("stCode").inner_text())
    return result


def expect_returned(page: Page, **wanted: object) -> None:
    text = page.get_by_test_id("stCode")
    for name, value in wanted.items():
        expect(text).to_contain_text(f'"{name}": {json.dumps(value)}')


def test_class_toggle_changes_pixels_and_tells_the_page(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    assert is_bluish(color_at(viewer, INTACT_ROOF))
    viewer.get_by_role("button", name="intact").click()
    assert not is_bluish(color_at(viewer, INTACT_ROOF))
    expect_returned(page, hidden="1")
    viewer.get_by_role("button", name="intact").click()
    assert is_bluish(color_at(viewer, INTACT_ROOF))
    expect_returned(page, hidden="")


def test_opacity_none_shows_imagery_and_full_shows_the_class_colour(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    slider = viewer.locator('[data-part="opacity"]')
    slider.fill("100")
    assert color_at(viewer, INTACT_ROOF) == (0x33, 0xBB, 0xEE)
    slider.fill("0")
    assert color_at(viewer, INTACT_ROOF) == (190, 186, 180)
    expect_returned(page, opacity="0")


def test_small_chip_fills_the_view_with_sharp_pixels(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, opacity=0)
    box = stage(viewer).bounding_box()
    assert box is not None
    left, top = place(viewer, 4 / 64, 12 / 64)  # a roof's corner: one step from ground to roof, no blend between
    assert top == pytest.approx(box["height"] * 12 / 64)
    assert [pixel(viewer, left + dx, top + 4) for dx in (1, 3, 5, 7)] == [(190, 186, 180)] * 4
    assert pixel(viewer, left - 5, top + 4) == pixel(viewer, left - 2, top + 4) != (190, 186, 180)


def test_errors_are_computed_from_label_and_prediction(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, left="post+errors:prediction", opacity="100")
    assert color_at(viewer, MISSED_ROOF) == (0xEE, 0x77, 0x33)
    assert color_at(viewer, WRONG_ROOF) == (0xBB, 0x44, 0xFF)
    assert color_at(viewer, INTACT_ROOF) == (190, 186, 180)
    false_alarm = (2 / 16, 8 / 16)
    assert color_at(viewer, false_alarm) == (0xFF, 0xDD, 0x55)
    names = viewer.locator('[data-part="legend"] .legend-text').all_inner_texts()
    assert names == ["missed", "false alarm", "wrong class"]


def test_outlines_leave_the_inside_visible(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, opacity="100")
    viewer.get_by_role("button", name="Outline").click()
    expect_returned(page, outline="1")
    assert color_at(viewer, INTACT_ROOF) == (190, 186, 180)
    left, top = place(viewer, 5 / 16, 4.5 / 16)
    assert pixel(viewer, left + 0.5, top) == (0x33, 0xBB, 0xEE)
    assert pixel(viewer, left - 0.5, top) == (0, 0, 0)
    viewer.get_by_role("button", name="intact").click()
    assert pixel(viewer, left + 0.5, top) == (190, 186, 180)


def test_divider_separates_the_sides_and_moves_by_mouse_and_keyboard(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, mode="swipe", left="post", right="post+prediction", opacity="100")
    assert is_bluish(color_at(viewer, (14 / 16, 4.5 / 16)))
    assert not is_bluish(color_at(viewer, (6 / 16, 4.5 / 16)))
    divider = viewer.get_by_role("slider", name="Divider between left and right")
    box = divider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] - 300, box["y"] + 80, steps=4)
    page.mouse.up()
    assert is_bluish(color_at(viewer, (6 / 16, 4.5 / 16)))
    divider.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "100")
    assert not is_bluish(color_at(viewer, (14 / 16, 4.5 / 16)))
    divider.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", "98")


def test_zoom_and_pan_are_the_same_on_both_sides(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, mode="side_by_side", left="post", right="post")
    box = stage(viewer).bounding_box()
    assert box is not None
    stage(viewer).hover(position={"x": box["width"] / 4 + 40, "y": 120})
    page.mouse.wheel(0, -400)
    expect(viewer.locator('[data-part="zoom"]')).not_to_have_text("100 %")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4 - 30, box["y"] + 180, steps=3)
    page.mouse.up()
    page.mouse.move(10, 10)  # away, so that no cross is drawn
    shift = (box["width"] - 6) / 2 + 6
    for x, y in ((60, 60), (200, 300), (box["width"] / 2 - 20, 440)):
        assert pixel(viewer, x, y) == pixel(viewer, x + shift, y)
    stage(viewer).dblclick(position={"x": 100, "y": 100})
    expect(viewer.locator('[data-part="zoom"]')).to_have_text("100 %")


def test_read_out_names_the_pixel_and_its_classes(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    x, y = place(viewer, *WRONG_ROOF)
    stage(viewer).hover(position={"x": x + 1, "y": y + 1})
    values = viewer.locator('[data-part="readout"]')
    expect(values).to_contain_text("x 8, y 46")
    for text in ("Label damaged", "Prediction intact", "Change relevant change"):
        label, _, value = text.partition(" ")
        expect(values.locator(".value").filter(has_text=label)).to_contain_text(value)


def test_keys_do_what_the_help_says(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    canvas = stage(viewer)
    canvas.press("2")
    expect_returned(page, hidden="2")
    canvas.press("]")
    expect_returned(page, opacity="70")
    canvas.press("[")
    canvas.press("[")
    expect_returned(page, opacity="50")
    canvas.press("b")
    expect_returned(page, left="pre+prediction")
    canvas.press("o")
    expect_returned(page, left="pre+change")
    canvas.press("s")
    expect_returned(page, mode="swipe")
    canvas.press("s")
    expect_returned(page, mode="side_by_side")
    zoom = viewer.locator('[data-part="zoom"]')
    canvas.press("+")
    expect(zoom).to_have_text("125 %")
    before = [pixel(viewer, x, 100) for x in range(20, 300, 20)]
    canvas.press("ArrowRight")
    canvas.press("ArrowDown")
    assert [pixel(viewer, x, 100) for x in range(20, 300, 20)] != before
    canvas.press("-")
    canvas.press("+")
    canvas.press("0")
    expect(zoom).to_have_text("100 %")
    canvas.press("?")
    expect(viewer.get_by_text("hold: imagery alone")).to_be_visible()


def test_space_hides_the_overlays_while_held(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, opacity="100")
    stage(viewer).focus()
    page.keyboard.down("Space")
    assert color_at(viewer, INTACT_ROOF) == (190, 186, 180)
    page.keyboard.up("Space")
    assert is_bluish(color_at(viewer, INTACT_ROOF))


def test_zoom_switches_and_focus_survive_runs_of_the_page(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, mode="swipe", right="post+prediction")
    canvas = stage(viewer)
    canvas.press("+")
    canvas.press("1")
    canvas.evaluate("(canvas) => { canvas.dataset.mark = 'same'; }")
    expect_returned(page, hidden="1")
    expect(canvas).to_be_focused()
    page.get_by_role("button", name="Next step").click()
    expect_returned(page, step=1, hidden="1", mode="swipe")
    expect(viewer).to_have_attribute("data-ready", "true")
    page.get_by_role("button", name="Run again").click()
    expect(viewer.locator('[data-part="zoom"]')).to_have_text("125 %")
    expect(canvas).to_have_attribute("data-mark", "same")
    expect(viewer.get_by_role("button", name="intact")).to_have_attribute("aria-pressed", "false")


def test_next_step_swaps_the_picture_without_an_empty_frame(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, opacity="100")
    second_alarm = (5.5 / 16, 8 / 16)
    assert color_at(viewer, second_alarm) != (0xEE, 0x33, 0x77)
    x, y = place(viewer, *INTACT_ROOF)
    stage(viewer).evaluate(
        """(canvas, [x, y]) => {
            window.seen = new Set();
            const look = () => {
                window.seen.add([...canvas.getContext("2d").getImageData(x, y, 1, 1).data].join());
                requestAnimationFrame(look);
            };
            look();
        }""",
        [x, y],
    )
    page.get_by_role("button", name="Next step").click()
    expect_returned(page, step=1)
    expect(viewer).to_have_attribute("data-ready", "true")
    assert color_at(viewer, second_alarm) == (0xEE, 0x33, 0x77)
    assert page.evaluate("[...window.seen]") == ["51,187,238,255"]


def test_missing_picture_is_named_and_the_others_stay(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    page.get_by_text("Broken prediction").click()
    alert = viewer.get_by_role("alert")
    expect(alert).to_contain_text("Prediction could not be loaded: there is no picture 'gone'.")
    assert color_at(viewer, INTACT_ROOF) == (190, 186, 180)
    page.get_by_text("Broken prediction").click()
    expect(alert).to_be_hidden()
    assert is_bluish(color_at(viewer, INTACT_ROOF))


def test_names_are_text_never_markup(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    page.get_by_text("Hostile names").click()
    expect(viewer.locator('[data-part="left-tag"]')).to_contain_text("<img src=x")
    assert page.locator('[data-part="viewer"] img').count() == 0
    assert page.locator('[data-part="grid"] img[src="x"]').count() == 0
    assert page.title() != "broken in"


def test_large_picture_loads_and_pinch_zooms(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url, size=1024)
    box = stage(viewer).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, spread: float) -> None:
        points = [] if kind == "touchEnd" else [{"x": x - spread, "y": y, "id": 0}, {"x": x + spread, "y": y, "id": 1}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    for spread in (50, 65, 80):
        touch("touchMove", spread)
    touch("touchEnd", 0)
    expect(viewer.locator('[data-part="zoom"]')).to_have_text("200 %")


def test_wheel_at_full_view_scrolls_the_page_on(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    stage(viewer).hover()
    top = page.locator('[data-part="grid"]').bounding_box()
    page.mouse.wheel(0, 300)
    expect(viewer.locator('[data-part="zoom"]')).to_have_text("100 %")
    page.wait_for_timeout(300)
    moved = page.locator('[data-part="grid"]').bounding_box()
    assert top is not None
    assert moved is not None
    assert moved["y"] < top["y"] - 100


def test_viewer_comes_back_after_it_was_off_the_page(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    for _ in range(2):
        page.get_by_text("No viewer").click()
        expect(viewer).to_have_count(0)
        page.get_by_text("No viewer").click()
        expect(viewer).to_have_attribute("data-ready", "true")
        assert is_bluish(color_at(viewer, INTACT_ROOF))


def test_full_screen_fills_the_screen_and_leaves_it_again(page: Page, gallery_url: str) -> None:
    viewer = open_gallery(page, gallery_url)
    button = viewer.get_by_role("button", name="Full screen")
    button.click()
    expect(stage(viewer)).not_to_have_js_property("clientHeight", 558)
    box = viewer.bounding_box()
    assert box is not None
    assert box["height"] >= 890
    assert is_bluish(color_at(viewer, INTACT_ROOF))
    button.click()
    expect(stage(viewer)).to_have_js_property("clientHeight", 558)


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (480, "dark"), (768, "light"), (1600, "dark")])
def test_nothing_is_cut_off(page: Page, gallery_url: str, width: int, scheme: Literal["light", "dark"]) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    viewer = open_gallery(page, gallery_url, mode="side_by_side", left="pre", right="post+prediction")
    frame = viewer.bounding_box()
    assert frame is not None
    for control in viewer.locator("button:visible, select:visible, input:visible, canvas").all():
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= frame["x"] - 0.5
        assert box["x"] + box["width"] <= frame["x"] + frame["width"] + 0.5
    red = viewer.evaluate("(node) => Number(getComputedStyle(node).color.match(/[0-9]+/)[0])")
    assert (red > 128) == (scheme == "dark")
