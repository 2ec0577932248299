import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.live_stack import SAMPLE, TINY_DATASET, LiveStack, running_stack
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

CHROMIUM = os.environ.get("PAIRLAB_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real headless Chromium, one for the whole session: Playwright allows no second in a process."""
    if not Path(CHROMIUM).exists():
        reason = (
            f"NO BROWSER TEST RAN: there is no {CHROMIUM}. Install Debian's package chromium, or set PAIRLAB_CHROMIUM."
        )
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A real PairLab with two slots and the data roots `generated` and, where the real tiles are, `xbd`."""
    generated = tmp_path_factory.mktemp("generated")
    write_xbd_tree(generated / "xbd", seed=5)
    roots = {"generated": generated, **({"xbd": SAMPLE} if SAMPLE.is_dir() else {})}
    with running_stack(tmp_path_factory.mktemp("stack") / "home", roots) as running:
        yield running


@pytest.fixture(scope="session")
def tiny(stack: LiveStack) -> str:
    """Name of the dataset that `tiny_experiment` runs on."""
    return stack.register("tiny", TINY_DATASET)
