import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st
import uvicorn
from streamlit.testing.v1 import AppTest

from backend.app import create_app
from backend.settings import Settings
from frontend.api_client import ApiClient
from frontend.api_records import ExperimentDetail
from frontend.page import screen
from tests.frontend.screens.scored_dataset import RANDOM, SYNTHETIC, computed
from tests.live_stack import LiveStack, tiny_experiment

APP = Path(__file__).parents[3] / "frontend" / "app.py"

DATASET = {"kind": "synthetic", "preset": "quickstart", "train": 24, "validation": 4, "test": 4}
EXPERIMENT = """\
# A ladder too short to conclude anything from.
name: Screens
dataset: scenes
labels:
  train_chips: 4
pretraining:
  steps: 4
  batch_size: 4
  warmup_steps: 1
  checkpoint_every: 2
arms:
  random:
    baseline: random_initialisation
  noisy:
    pairing:
      policy: temporal
      noise:
        rate: 0.5  # every second pair
      pairs: 8
reference: random
seeds: [0]
protocols:
  - name: linear_probe
    steps: 4
    batch_size: 4
    evaluate_every: 2
  - name: fine_tuning
    steps: 4
    batch_size: 4
    evaluate_every: 2
"""


def opened_screen(name: str, **parameters: str | list[str]) -> AppTest:
    """Returns a screen as a browser with these parameters in its address would get it."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.switch_page(screen(name))
    for parameter, value in parameters.items():
        app.query_params[parameter] = value
    return app.run()


def texts(app: AppTest) -> str:
    """Returns all that a screen says, as a browser shows it: without the backslashes that keep Markdown out."""
    parts = [app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error]
    text = "\n".join(str(element.value) for elements in parts for element in elements)
    return re.sub(r"\\([^\w\s]|_)", r"\1", text)


def charts(app: AppTest) -> Sequence[object]:
    """Returns the Vega-Lite charts of a screen."""
    return app.get("vega_lite_chart")


@contextmanager
def running_api(home: Path) -> Iterator[str]:
    """A real API with a folder of its own, and no worker: jobs stay queued."""
    settings = Settings(home=home, redis_url=f"redis+socket://{home / 'no-queue.sock'}", sweep_seconds=3600.0)
    listener = socket.create_server(("127.0.0.1", 0))
    runner = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not runner.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    runner.should_exit = True
    thread.join(20)
    listener.close()


@pytest.fixture(scope="session")
def empty_api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_api(tmp_path_factory.mktemp("empty")) as url:
        yield url


@pytest.fixture(scope="session")
def filled_api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_api(tmp_path_factory.mktemp("filled")) as url:
        client = ApiClient(url)
        client.create_dataset("scenes", DATASET)
        client.close()
        yield url


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    """Closes the clients that the screens opened, and forgets the answers that they kept."""
    yield
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def empty_api(empty_api_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiClient]:
    """An API that the screens ask; it holds nothing."""
    monkeypatch.setenv("PAIRLAB_API_URL", empty_api_url)
    client = ApiClient(empty_api_url)
    yield client
    for dataset in client.datasets()["items"]:
        client.delete_dataset(dataset["name"])
    client.close()


@pytest.fixture
def api(filled_api_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiClient]:
    """An API that the screens ask; it holds the dataset `scenes`, and experiments of earlier tests."""
    monkeypatch.setenv("PAIRLAB_API_URL", filled_api_url)
    client = ApiClient(filled_api_url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def indexed(stack: LiveStack) -> str:
    """Name of a dataset of 11 xBD tiles in two events, indexed in a real stack."""
    return stack.register("browsed", {"kind": "xbd", "root": "generated", "folder": "xbd"})


@pytest.fixture
def browsed(stack: LiveStack, indexed: str, monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    """The API of the real stack, which the screens ask; `browsed` is indexed in it."""
    assert indexed == "browsed"
    monkeypatch.setenv("PAIRLAB_API_URL", stack.api)
    return stack.client


@pytest.fixture(scope="session")
def finished_id(stack: LiveStack, tiny: str) -> str:
    """An experiment with two seeds that has run to its end in a real stack."""
    experiment = stack.submit(tiny_experiment("Two seeds <b>", dataset=tiny, seeds=[0, 1]))
    return stack.wait(experiment)["id"]


@pytest.fixture
def finished(stack: LiveStack, finished_id: str, monkeypatch: pytest.MonkeyPatch) -> ExperimentDetail:
    """The finished experiment; the screens ask the stack that ran it."""
    monkeypatch.setenv("PAIRLAB_API_URL", stack.api)
    return stack.client.experiment(finished_id)


@pytest.fixture(scope="session")
def scored_ids(stack: LiveStack) -> list[str]:
    """Three scores of the dataset `scored`, computed in a real stack."""
    name = stack.register("scored", SYNTHETIC)
    return [each["id"] for each in computed(stack, name, {"name": "cva"}, {"name": "irmad"}, RANDOM)]


@pytest.fixture
def scored(stack: LiveStack, scored_ids: list[str], monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    """The API of the real stack, which the screens ask; `scored` has three scores in it."""
    assert len(scored_ids) == 3
    monkeypatch.setenv("PAIRLAB_API_URL", stack.api)
    return stack.client


@pytest.fixture
def no_api(unused_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which no API answers, which the screens ask."""
    monkeypatch.setenv("PAIRLAB_API_URL", unused_url)
    return unused_url
