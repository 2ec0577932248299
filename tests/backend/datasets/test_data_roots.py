from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.app import create_app
from backend.settings import Settings
from tests.backend.conftest import API

Roots = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "imagery"
    folder.mkdir()
    return folder


@pytest.fixture
def listed(settings: Settings, root: Path) -> Roots:
    """Asks an API that was started with the root for what is in it."""

    def ask() -> list[dict[str, Any]]:
        with TestClient(create_app(settings.model_copy(update={"data_roots": {"mine": root}}))) as client:
            answer = client.get(f"{API}/data-roots")
        assert str(root) not in answer.text
        roots: list[dict[str, Any]] = answer.json()
        return roots

    return ask


def test_the_shared_root_has_its_tree(client: TestClient, data_root: Path) -> None:
    answer = client.get(f"{API}/data-roots")
    assert answer.json() == [{"name": "disasters", "folders": ["xbd"], "kinds": {"xbd": "xbd"}, "manifests": {}}]
    assert str(data_root) not in answer.text


def test_every_layout_is_told_apart(listed: Roots, root: Path) -> None:
    for folder in ("levir/train/A", "levir/train/B", "flat/A", "flat/B", "flat/label", "tiles/tier3/labels", "A", "x"):
        (root / folder).mkdir(parents=True)
    (root / "own").mkdir()
    for name in ("pairs.csv", "b.PARQUET", "readme.txt"):
        (root / "own" / name).write_text("")
    assert listed() == [
        {
            "name": "mine",
            "folders": ["flat", "levir", "own", "tiles"],
            "kinds": {"flat": "bitemporal", "levir": "bitemporal", "own": "bitemporal", "tiles": "xbd"},
            "manifests": {"own": ["b.PARQUET", "pairs.csv"]},
        }
    ]


def test_the_root_itself_may_be_the_dataset(listed: Roots, root: Path) -> None:
    for side in ("A", "B"):
        (root / side).mkdir()
    assert listed()[0]["kinds"] == {"": "bitemporal"}


def test_a_link_out_of_the_root_is_not_looked_behind(listed: Roots, root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "A").mkdir(parents=True)
    (tmp_path / "elsewhere" / "B").mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert listed()[0]["folders"] == []


def test_a_root_that_is_gone_has_nothing(listed: Roots, root: Path) -> None:
    root.rmdir()
    assert listed() == [{"name": "mine", "folders": [], "kinds": {}, "manifests": {}}]
