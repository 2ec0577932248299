"""The Design screen in a real browser: sliders, views, arms side by side, a ladder."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_user_journey import await_pictures, open_screen, settled
from tests.live_stack import LiveStack, tiny_experiment

pytestmark = pytest.mark.browser


@pytest.fixture
def designed(stack: LiveStack, tiny: str) -> str:
    """The address of the screen with a baseline and a half noisy arm in it."""
    experiment = stack.submit(tiny_experiment("Designed", dataset=tiny, seeds=[7]))
    stack.client.cancel_experiment(experiment)
    return f"design?from={experiment}"


def figure(page: Page, label: str) -> str:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()


def test_a_slider_is_followed_by_the_pairs_and_a_pair_by_its_views(stack: LiveStack, page: Page, designed: str) -> None:
    open_screen(page, stack, designed, "Design")
    settled(page)
    await_pictures(page, "design-pairs", at_least=4)
    expect(page.locator(".st-key-design-pairs canvas.overlay").first).to_be_visible()
    rate = page.get_by_role("slider", name="Noisy pairs, %")
    for asked in (45, 40, 35):
        rate.press("ArrowLeft")
        expect(page.locator(".st-key-preview-figures")).to_contain_text(f"{asked}.0 %")
    settled(page)
    assert figure(page, "Noisy, asked for") == "35 %"
    page.locator(".st-key-design-pairs button.card").nth(1).click()
    views = page.locator('.st-key-design-views [data-part="pair"]')
    expect(views.locator('[data-side="positive"] canvas')).to_have_js_property("width", 64)
    expect(page.get_by_role("spinbutton", name="Pair", exact=True)).to_have_value("2")
    views.get_by_role("button", name="Next point").click()
    expect(views.get_by_role("status")).to_contain_text("Point 1 of")
    page.reload()
    expect(page.get_by_role("spinbutton", name="Pair", exact=True)).to_have_value("2")


def test_a_ladder_is_seen_before_it_is_taken_and_stands_side_by_side(
    stack: LiveStack, page: Page, designed: str
) -> None:
    open_screen(page, stack, f"{designed}&side=Arms", "Design")
    settled(page)
    page.get_by_role("button", name="Build a ladder…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("6 arms × 1 seed:")).to_be_visible()
    expect(dialog.get_by_test_id("stMetric").filter(has_text="Jobs")).to_be_visible()
    dialog.get_by_role("button", name="Put it into the file").click()
    expect(dialog).to_be_hidden()
    table = page.get_by_role("region", name="The pairs that the arms draw at the same places")
    rungs = [f"noise {rate} %" for rate in (0, 25, 50, 75, 100)]
    expect(table.get_by_role("columnheader")).to_contain_text(rungs)
    await_pictures(page, "design-arms", at_least=10)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
