"""The pair browser on images of one's own: register, follow the index, browse, filter, look closely, flag, export."""

import csv
import io
import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from frontend.scene_query import SceneQuery
from tests.e2e.conftest import PATIENCE_MILLISECONDS
from tests.e2e.test_user_journey import await_pictures, open_screen, pixels, settled
from tests.frontend.hostile_dataset import MARKUP, PLACE, STARS, generated_root, register_hostile
from tests.live_stack import LiveStack
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

pytestmark = pytest.mark.browser

SCENES = {"train": 150, "hold": 20, "test": 30}
"""More than one part of the index, so that its progress can be seen."""


@pytest.fixture(scope="module")
def folder(stack: LiveStack) -> str:
    """A folder of the data root `generated` with an xBD tree that no test has registered."""
    write_xbd_tree(generated_root(stack) / "browser", seed=9, scenes_per_split=SCENES)
    return "browser"


def viewer_of(page: Page) -> Locator:
    viewer = page.locator('.st-key-scene-viewer [data-part="viewer"]')
    expect(viewer).to_have_attribute("data-ready", "true")
    return viewer


def test_from_a_folder_of_images_to_the_scenes_of_an_experiment(stack: LiveStack, page: Page, folder: str) -> None:
    register_and_follow(stack, page, folder)
    filter_and_sort(stack, page)
    look_closely(page)
    mark_and_return(stack, page)
    export(stack, page)


def register_and_follow(stack: LiveStack, page: Page, folder: str) -> None:
    open_screen(page, stack, "datasets?kind=xbd", "Datasets")
    page.get_by_role("combobox", name="Data root").click()
    page.get_by_role("option", name="generated").click()
    settled(page)
    page.get_by_role("combobox", name="Folder").click()
    page.get_by_role("option", name=folder).click()
    settled(page)
    page.get_by_role("textbox", name="Name").fill("own-images")
    page.get_by_role("button", name="Register", exact=True).click()
    card = page.locator(".st-key-dataset-own-images")
    expect(card.get_by_text("own-images is being indexed.")).to_be_visible()
    expect(card.get_by_text("200 scenes: 150 train · 20 validation · 30 test")).to_be_visible()
    expect(card.get_by_test_id("stBadge").or_(card.get_by_text("ready", exact=True)).first).to_contain_text("ready")
    expect(card.get_by_text("own-images is being indexed.")).to_have_count(0)
    card.get_by_role("button", name="Report").click()
    expect(card.get_by_test_id("event-splits")).to_contain_text("testville-flooding")
    expect(card.get_by_text("400 of 400 images")).to_be_visible()
    card.get_by_role("link", name="Look at its pairs").click()


def filter_and_sort(stack: LiveStack, page: Page) -> None:
    expect(page.get_by_role("heading", name="Pairs", level=1)).to_be_visible()
    expect(page.get_by_text("200 scenes, showing 1 to 24")).to_be_visible()
    await_pictures(page, "pairs-grid", at_least=8)
    source = page.locator(".st-key-pairs-grid img").first.get_attribute("src")
    assert source is not None
    thumbnail = page.request.get(stack.ui + source)
    assert thumbnail.headers["content-type"] == "image/webp"
    assert "max-age" in thumbnail.headers["cache-control"]
    events = page.locator(".st-key-filter-event input")
    events.click()
    page.get_by_role("option", name=re.compile("testville-flooding")).click()
    expect(page.get_by_text("100 of 200 scenes, showing 1 to 24")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator(".st-key-filter-change input[type=range]").first.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"min_change=0\.0001"))
    order = page.locator(".st-key-order-key input")
    order.click()
    page.get_by_role("option", name="change share", exact=True).click()
    page.get_by_role("radio", name="most first").or_(page.get_by_role("button", name="most first")).first.click()
    expect(page).to_have_url(re.compile(r"sort=-change_share"))
    settled(page)
    page.locator(".st-key-pairs-page").get_by_role("button", name=re.compile("2")).first.click()
    expect(page).to_have_url(re.compile(r"page=2"))
    expect(page.get_by_text("showing 25 to 48")).to_be_visible()
    query = SceneQuery(events=("testville-flooding",), ranges={"change": (0.0001, None)}, sort="-change_share")
    wanted = stack.client.scenes("own-images", query, place=24, limit=1)["items"][0]["name"]
    first = page.locator(".st-key-pairs-grid button.card").first
    expect(first).to_have_attribute("data-key", wanted)
    address = page.url
    page.goto(address)
    expect(first).to_have_attribute("data-key", wanted)
    settled(page)
    assert page.url == address


def look_closely(page: Page) -> None:
    page.locator(".st-key-pairs-grid button.card").first.click()
    expect(page.get_by_text(re.compile(r"25 of \d+"))).to_be_visible()
    viewer = viewer_of(page)
    stage = viewer.locator('[data-part="stage"]')
    page.keyboard.press("j")
    expect(page.get_by_text(re.compile(r"26 of \d+"))).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_text(re.compile(r"25 of \d+"))).to_be_visible()
    viewer = viewer_of(page)
    stage.press("s")
    expect(page).to_have_url(re.compile("mode=swipe"))
    stage.press("t")
    expect(page).to_have_url(re.compile("mode=flicker"))
    expect(viewer.locator('[data-part="right-tag"]')).to_be_visible()
    expect(viewer.locator('[data-part="right-tag"]')).to_be_hidden()
    stage.press("t")
    stage.press("p")
    expect(page).to_have_url(re.compile("polygons=1"))
    expect(viewer.locator('[data-part="legend"]')).to_contain_text("no-damage")
    assert pixels(stage)
    page.reload()
    viewer = viewer_of(page)
    expect(viewer.get_by_role("button", name="Flicker")).to_have_attribute("aria-pressed", "true")
    expect(viewer.locator('[data-part="legend"]')).to_contain_text("no-damage")
    page.locator(".st-key-scene-objects summary").click()
    expect(page.locator(".st-key-scene-objects").get_by_test_id("stDataFrame")).to_be_visible()
    expect(page.get_by_test_id("metadata")).to_contain_text("capture date")


def mark_and_return(stack: LiveStack, page: Page) -> None:
    match = re.search(r"scene=([\w-]+)", page.url)
    assert match is not None
    page.locator('[data-part="stage"]').press("f")
    expect(page.get_by_role("button", name="Flagged")).to_be_visible()
    page.get_by_role("textbox", name="Note").fill("just f and j: **letters**")
    page.get_by_role("button", name="Save note").click()
    deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
    while not ((mark := stack.client.scene("own-images", match[1])["mark"]) and mark["note"]):
        assert time.monotonic() < deadline, f"the note was not kept: {mark}"
        page.wait_for_timeout(100)
    assert (mark["flagged"], mark["note"]) == (True, "just f and j: **letters**")
    settled(page)
    page.locator('[data-part="stage"]').press("u")
    expect(page.get_by_text("showing 25 to 48")).to_be_visible()
    card = page.locator(f'[data-key="{match[1]}"]')
    expect(card).to_be_focused()
    expect(card).to_contain_text("flagged")


def export(stack: LiveStack, page: Page) -> None:
    page.locator(".st-key-filter-flagged").get_by_text("flagged", exact=True).click()
    expect(page.get_by_text("1 of 200 scenes, showing 1 to 1")).to_be_visible()
    settled(page)
    page.locator(".st-key-distribution summary").click()
    expect(page).to_have_url(re.compile("distribution=closed"))
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(0)
    settled(page)
    page.get_by_role("button", name="Export…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_test_id("stCode")).to_contain_text("only:")
    link = dialog.get_by_role("link", name="Download as CSV").get_attribute("href")
    assert link is not None
    table = page.request.get(link if link.startswith("http") else stack.ui + link)
    assert "attachment" in table.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(table.text()))
    assert "just f and j" in row["note"]
    dialog.get_by_role("button", name="Use in Design").click()
    expect(page.get_by_role("heading", name="Design", level=1)).to_be_visible()
    expect(page.get_by_text("Only some scenes take part:")).to_be_visible()
    expect(page.get_by_text("1 scene by name")).to_be_visible()


def test_names_and_values_of_a_dataset_are_text_on_every_screen(stack: LiveStack, page: Page) -> None:
    name = register_hostile(stack)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    stack.client.mark(name, PLACE, flagged=True, note=f"{MARKUP} {STARS}")
    open_screen(page, stack, f"?dataset={name}&spread=column/first_<b>column</b>", "Pairs")
    card = page.locator(".st-key-pairs-grid button.card").filter(has_text=PLACE)
    expect(card).to_contain_text(MARKUP)
    expect(page.locator(".st-key-distribution")).to_contain_text(STARS[:20])
    card.click()
    expect(page.get_by_role("heading", name=PLACE, level=1)).to_be_visible()
    viewer = viewer_of(page)
    viewer.locator('[data-part="left-overlay"]').select_option("label")
    expect(viewer.locator('[data-part="legend"]')).to_contain_text(MARKUP)
    expect(page.get_by_role("textbox", name="Note")).to_have_value(f"{MARKUP} {STARS}")
    open_screen(page, stack, f"datasets?report={name}", "Datasets")
    expect(page.get_by_test_id("quarantine")).to_contain_text("<b>place</b>")
    expect(page.get_by_test_id("event-splits")).to_contain_text(MARKUP)
    assert page.locator('img[src="x"]').count() == 0
    assert page.locator('a[href="http://evil"]').count() == 0
    assert not dialogs
    assert "broken in" not in page.title()
