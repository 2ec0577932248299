"""A running gallery, and a page of the browser to look at it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

ROOT = Path(__file__).parents[3]
PATIENCE_MILLISECONDS = 20_000


@pytest.fixture(scope="session")
def gallery_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of gallery.py, served with its pictures by one Streamlit process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("gallery") / "streamlit.log"
    options = {"server.address": "127.0.0.1", "server.port": port, "server.headless": "true"}
    arguments = [f"--{name}={value}" for name, value in {**options, "browser.gatherUsageStats": "false"}.items()]
    script = str(Path(__file__).parent / "gallery_server.py")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", script, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"{url}/_stcore/health", process, log)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the gallery did not start:\n{log.read_text()}")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1280 × 900; the test fails if the page's code fails or writes an error to the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    failures: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "pictures/gone" not in message.location.get("url", ""):
            failures.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: failures.append(str(error)))
    yield page
    context.close()
    assert failures == []
