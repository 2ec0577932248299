import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.context import Context
from backend.database import Database
from backend.migrations.upgrade import upgrade
from backend.queue_server import answers, make_place, queue_command
from backend.settings import Settings
from tests.backend.index_jobs import run_index_jobs
from tests.backend.postgresql import INSTALLED, empty_postgresql, running_postgresql
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

API = "/api/v1"
SYNTHETIC = {"kind": "synthetic", "train": 48, "validation": 4, "test": 6}
XBD = {"kind": "xbd", "root": "disasters", "folder": "xbd"}


@pytest.fixture(scope="session")
def queue_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real queue server on a socket of its own."""
    place = make_place(tmp_path_factory.mktemp("queue"))
    server = subprocess.Popen(queue_command(place), stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not answers(place):
            assert time.monotonic() < deadline, "the queue server did not start within 20 s"
            time.sleep(0.05)
        yield place.url
    finally:
        server.terminate()
        server.wait(10)
        place.remove()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a real server, with `{database}` where the name of a database goes."""
    if INSTALLED is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    server: str = request.getfixturevalue("postgresql")
    return empty_postgresql(server)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    upgrade(database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds a small xBD tree."""
    root = tmp_path_factory.mktemp("disasters")
    write_xbd_tree(root / "xbd", seed=3, scenes_per_split={"train": 4, "hold": 3, "test": 3}, size=128)
    return root


@pytest.fixture
def settings(tmp_path: Path, queue_url: str, data_root: Path) -> Settings:
    return Settings(
        home=tmp_path / "home", redis_url=queue_url, data_roots={"disasters": data_root}, sweep_seconds=60.0
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def context(client: TestClient) -> Context:
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    return context


@pytest.fixture
def synthetic(client: TestClient) -> str:
    """Name of a registered synthetic dataset."""
    return _register(client, "scenes", SYNTHETIC)


@pytest.fixture
def xbd(client: TestClient, context: Context) -> str:
    """Name of a registered xBD tree, indexed."""
    return register_indexed(client, context, "disasters-2019", XBD)


@pytest.fixture
def experiment(synthetic: str) -> Callable[..., dict[str, Any]]:
    """Makes experiments of a baseline, same image, and temporal with half the pairs noisy."""

    def make(**changes: object) -> dict[str, Any]:
        return {
            "name": "three arms",
            "dataset": synthetic,
            "labels": {"train_chips": 8},
            "arms": {
                "random": {"baseline": "random_initialisation"},
                "same": {"pairing": {"policy": "same_image", "pairs": 20}},
                "half": {"pairing": {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}}},
            },
            "reference": "same",
            "seeds": [0, 1],
            **changes,
        }

    return make


def register_indexed(client: TestClient, context: Context, name: str, config: dict[str, Any]) -> str:
    """Returns the name of a dataset of files that is registered and indexed."""
    answer = client.post(f"{API}/datasets", json={"name": name, "config": config})
    assert answer.status_code == 202, answer.text
    run_index_jobs(context)
    assert client.get(answer.headers["location"]).json()["state"] == "ready"
    return name


def _register(client: TestClient, name: str, config: dict[str, Any]) -> str:
    answer = client.post(f"{API}/datasets", json={"name": name, "config": config})
    assert answer.status_code == 201, answer.text
    return name
