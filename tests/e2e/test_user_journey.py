"""What a user does in the browser, from an empty installation to the predictions of a trained network."""

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import PATIENCE_MILLISECONDS
from tests.live_stack import LiveStack

pytestmark = pytest.mark.browser

EXPERIMENT = """\
# Written in the browser.
name: Journey
dataset: journey
network:
  decoder_channels: 64
labels:
  train_chips: 8
pretraining:
  steps: 12
  batch_size: 4
  warmup_steps: 2
  checkpoint_every: 4
arms:
  from scratch:
    baseline: random_initialisation
  half noisy:
    pairing:
      policy: temporal
      noise:
        rate: 0.5
      pairs: 20
reference: from scratch
seeds: [0]
protocols:
  - name: linear_probe
    steps: 4
    evaluate_every: 2
    batch_size: 4
  - name: fine_tuning
    steps: 4
    evaluate_every: 2
    batch_size: 4
"""
TRAINED_MILLISECONDS = 400_000


def open_screen(page: Page, stack: LiveStack, address: str, title: str) -> None:
    page.goto(f"{stack.ui}/{address}")
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()


def settled(page: Page) -> None:
    """Waits until the page's script has run and stays at rest."""
    page.wait_for_function(
        """async () => {
            const state = () => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState;
            for (let look = 0; look < 5; look += 1) {
                if (state() !== "notRunning") return false;
                await new Promise((done) => setTimeout(done, 80));
            }
            return true;
        }"""
    )


def pixels(canvas: Locator) -> int:
    """Returns a number that changes with the picture; 0 where it is of one colour."""
    return int(
        canvas.evaluate(
            """async (canvas) => {
                await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                let hash = 0, colours = new Set();
                for (let at = 0; at < data.length; at += 64) {
                    const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
                    colours.add(colour);
                    hash = (hash * 31 + colour) >>> 0;
                }
                return colours.size > 1 ? hash : 0;
            }"""
        )
    )


def await_pictures(page: Page, grid: str, *, at_least: int) -> None:
    """Waits until pictures of a pair grid have arrived."""
    loaded = "pictures => pictures.filter(each => each.complete && each.naturalWidth > 0).length"
    pictures = page.locator(f".st-key-{grid} img")
    deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
    while (arrived := pictures.evaluate_all(loaded)) < at_least:
        assert time.monotonic() < deadline, f"{arrived} of {at_least} pictures of {grid} arrived"
        page.wait_for_timeout(100)


def test_from_an_empty_installation_to_predictions(stack: LiveStack, page: Page) -> None:
    register_scenes(stack, page)
    look_at_pairs(stack, page)
    experiment = design_and_queue(stack, page)
    watch_jobs(page)
    compare(stack, page, experiment)
    inspect(stack, page, experiment)


def register_scenes(stack: LiveStack, page: Page) -> None:
    open_screen(page, stack, "datasets", "Datasets")
    page.get_by_role("textbox", name="Name").fill("journey")
    for label, count in (("Training scenes", 48), ("Validation scenes", 4), ("Test scenes", 6)):
        page.get_by_role("spinbutton", name=label).fill(str(count))
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("58 scenes: 48 train · 4 validation · 6 test")).to_be_visible()


def look_at_pairs(stack: LiveStack, page: Page) -> None:
    open_screen(page, stack, "?dataset=journey&split=test", "Pairs")
    expect(page.get_by_text("6 of 58 scenes, showing 1 to 6")).to_be_visible()
    expect(page.locator(".st-key-pairs-grid img")).to_have_count(12)
    await_pictures(page, "pairs-grid", at_least=12)
    page.get_by_text("test-000002").click()
    expect(page).to_have_url(re.compile("scene=test-000002"))
    viewer = page.locator('.st-key-scene-viewer [data-part="viewer"]')
    expect(viewer).to_have_attribute("data-ready", "true")
    assert pixels(viewer.locator('[data-part="stage"]'))
    page.reload()
    expect(page.get_by_role("heading", name="test-000002")).to_be_visible()


def design_and_queue(stack: LiveStack, page: Page) -> str:
    open_screen(page, stack, "design?side=YAML", "Design")
    box = page.get_by_test_id("stTextArea").locator("textarea[aria-label='Experiment file']")
    box.fill(EXPERIMENT)
    box.press("Control+Enter")
    settled(page)
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Journey")
    seeds = page.get_by_role("textbox", name="Seeds")
    seeds.fill("0, 1")
    seeds.press("Enter")
    settled(page)
    expect(box).to_have_value(re.compile(r"# Written in the browser\.[\s\S]*seeds: \[0, 1\]"))
    page.get_by_role("radio", name="Pairs").or_(page.get_by_role("button", name="Pairs", exact=True)).first.click()
    expect(page.get_by_test_id("stMetric").filter(has_text="Noisy, realised")).to_contain_text("50.0 %")
    settled(page)
    await_pictures(page, "design-pairs", at_least=4)
    queue = page.get_by_role("button", name="Queue the experiment")
    expect(queue).to_be_enabled()
    queue.click()
    expect(page).to_have_url(re.compile(r"/jobs\?experiment=\w+"))
    match = re.search(r"experiment=(\w+)", page.url)
    assert match is not None
    return match[1]


def watch_jobs(page: Page) -> None:
    table = page.get_by_test_id("stDataFrame").locator("canvas").first
    expect(table).to_be_visible()
    settled(page)
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 50)
    panel = page.locator(".st-key-job-panel")
    expect(panel).to_be_visible()
    expect(page).to_have_url(re.compile(r"job=\w+"))
    chart = panel.get_by_test_id("stVegaLiteChart").first
    expect(chart).to_be_visible(timeout=TRAINED_MILLISECONDS)
    expect(panel.get_by_text(re.compile(r"step \d+ of \d+"))).to_be_visible()
    panel.get_by_role("tab", name="Log").click()
    expect(panel.locator(".pl-log")).not_to_be_empty()
    expect(page.get_by_text("6 of 6 jobs over")).to_be_visible(timeout=TRAINED_MILLISECONDS)


def compare(stack: LiveStack, page: Page, experiment: str) -> None:
    page.get_by_role("link", name="Compare its arms").click()
    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible()
    expect(page.get_by_text("all 8 scores")).to_be_visible()
    results = stack.client.results(experiment)
    scores = page.get_by_test_id("scores")
    for row in results["rows"]:
        for score in row["seeds"]:
            expect(scores).to_contain_text(f"{100 * score['miou']:.1f}")
    expect(page.locator(".st-key-compare-intervals").get_by_test_id("stVegaLiteChart")).to_be_visible()
    expect(page.locator(".st-key-verdict-0")).to_contain_text("no verdict is given below 5 seeds")
    charts = page.locator("[class*='st-key-compare-chart-']").get_by_test_id("stVegaLiteChart")
    expect(charts).to_have_count(2)
    for number in range(2):
        dots = charts.nth(number).locator("[aria-roledescription='point'], canvas")
        expect(dots.first).to_be_visible()
    expect(page.get_by_test_id("classes")).to_contain_text("damaged")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 9


def inspect(stack: LiveStack, page: Page, experiment: str) -> None:
    open_screen(page, stack, f"inspect?experiment={experiment}&arm=half+noisy&protocol=fine_tuning", "Inspect")
    viewer = page.locator('.st-key-inspect-viewer [data-part="viewer"]')
    expect(viewer).to_have_attribute("data-ready", "true")
    stage = viewer.locator('[data-part="stage"]')
    with_all_classes = pixels(stage)
    assert with_all_classes, "the overlay is empty"
    legend = viewer.locator('[data-part="legend"] button')
    legend.filter(has_text="intact").click()
    without_intact = pixels(stage)
    assert without_intact not in (0, with_all_classes), "switching a class off changed nothing on screen"
    expect(page).to_have_url(re.compile("hidden=1"))
    legend.filter(has_text="intact").click()
    assert pixels(stage) == with_all_classes
    viewer.get_by_role("button", name="Swipe").click()
    expect(page).to_have_url(re.compile("mode=swipe"))
    assert pixels(stage) not in (0, with_all_classes)
    expect(page.get_by_test_id("scene-iou")).to_contain_text("damaged")
    page.locator(".st-key-inspect-step input[type=range]").press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"step=\d+"))
    address = page.url
    page.goto(address)
    expect(viewer).to_have_attribute("data-ready", "true")
    expect(viewer.get_by_role("button", name="Swipe")).to_have_attribute("aria-pressed", "true")
    settled(page)
    assert page.url == address
