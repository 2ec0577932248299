import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from backend.settings import Settings
from tests.backend.conftest import API, SYNTHETIC, XBD
from tests.backend.problem_document import problem_of


def register(client: TestClient, name: str, config: dict[str, Any]) -> Response:
    return client.post(f"{API}/datasets", json={"name": name, "config": config})


def test_a_synthetic_dataset_is_registered_with_what_is_in_it(client: TestClient) -> None:
    answer = register(client, "scenes", SYNTHETIC)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{API}/datasets/scenes"
    dataset = answer.json()
    assert dataset["scenes"] == 58
    assert dataset["splits"] == {"train": 48, "validation": 4, "test": 6}
    assert dataset["acquisitions"] == ["pre", "post"]
    assert dataset["label_schemes"]["intact_damaged"] == ["background", "intact", "damaged"]
    assert "damage_levels" not in dataset["label_schemes"]
    assert client.get(answer.headers["location"]).json() == dataset


def test_an_xbd_tree_is_registered_and_not_written_to(client: TestClient, data_root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data_root.rglob("*")}
    dataset = register(client, "tree", XBD).json()
    assert dataset["scenes"] == 10
    assert dataset["splits"] == {"train": 4, "validation": 3, "test": 3}
    assert sum(dataset["events"].values()) == 10
    assert {path: path.stat().st_mtime_ns for path in data_root.rglob("*")} == before


def test_registering_the_same_again_changes_nothing(client: TestClient, synthetic: str) -> None:
    again = register(client, synthetic, SYNTHETIC)
    assert again.status_code == 200
    assert again.json() == client.get(f"{API}/datasets/{synthetic}").json()


def test_a_taken_name_is_refused(client: TestClient, synthetic: str) -> None:
    problem = problem_of(register(client, synthetic, {**SYNTHETIC, "train": 9}), 409)
    assert "take another name" in problem["detail"]
    assert client.get(f"{API}/datasets/{synthetic}").json()["splits"]["train"] == 48


def test_one_of_several_requests_at_once_registers(client: TestClient) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: register(client, "scenes", SYNTHETIC), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.text for answer in answers}) == 1


def test_an_unknown_root_names_the_known_ones_and_the_flag(client: TestClient) -> None:
    problem = problem_of(register(client, "lost", {"kind": "xbd", "root": "elsewhere"}), 422)
    assert "known: disasters" in problem["detail"]
    assert "--data-root elsewhere=FOLDER" in problem["detail"]


@pytest.mark.parametrize("folder", ["..", "../disasters", "/etc", "xbd/../..", "a\\b", "a\0b"])
def test_a_folder_outside_the_root_is_refused(client: TestClient, folder: str) -> None:
    problem = problem_of(register(client, "lost", {**XBD, "folder": folder}), 422)
    assert "below the data root" in problem["detail"]


def test_a_link_out_of_the_root_is_refused(client: TestClient, data_root: Path, tmp_path: Path) -> None:
    link = data_root / "link"
    link.symlink_to(tmp_path)
    try:
        problem = problem_of(register(client, "lost", {**XBD, "folder": "link"}), 422)
    finally:
        link.unlink()
    assert "leads out of data root" in problem["detail"]


def test_a_broken_tree_leaves_nothing_behind(client: TestClient, data_root: Path, settings: Settings) -> None:
    broken = data_root / "broken"
    shutil.copytree(data_root / "xbd", broken)
    image = next((broken / "train" / "images").glob("*_pre_disaster.png"))
    image.write_bytes(image.read_bytes()[:200])
    try:
        problem = problem_of(register(client, "broken", {**XBD, "folder": "broken"}), 422)
    finally:
        shutil.rmtree(broken)
    assert image.name in problem["detail"]
    assert str(data_root) not in problem["detail"]
    problem_of(client.get(f"{API}/datasets/broken"), 404)
    assert not list((settings.home / "index").glob("*"))


def test_changed_files_are_not_taken_for_the_same_dataset(client: TestClient, data_root: Path) -> None:
    tree = data_root / "changing"
    shutil.copytree(data_root / "xbd", tree)
    try:
        assert register(client, "changing", {**XBD, "folder": "changing"}).status_code == 201
        for name in ("images", "labels"):
            for path in (tree / "hold" / name).iterdir():
                path.unlink()
        problem = problem_of(register(client, "changing", {**XBD, "folder": "changing"}), 409)
    finally:
        shutil.rmtree(tree)
    assert "have changed" in problem["detail"]


def test_data_roots_are_listed_without_their_paths(client: TestClient, data_root: Path) -> None:
    answer = client.get(f"{API}/data-roots")
    assert answer.json() == [{"name": "disasters", "folders": ["xbd"]}]
    assert str(data_root) not in answer.text


def test_pages_hold_every_dataset_once_while_others_are_added(client: TestClient) -> None:
    tiny = {"kind": "synthetic", "train": 2, "validation": 1, "test": 1}
    for name in ("b", "d", "f", "h"):
        register(client, name, tiny)
    first = client.get(f"{API}/datasets", params={"limit": 2}).json()
    assert first["total"] == 4
    register(client, "a", tiny)
    register(client, "e", tiny)
    second = client.get(f"{API}/datasets", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get(f"{API}/datasets", params={"limit": 2, "cursor": second["next_cursor"]}).json()
    names = [item["name"] for page in (first, second, third) for item in page["items"]]
    assert names == ["b", "d", "e", "f", "h"]
    assert third["next_cursor"] is None
    problem_of(client.get(f"{API}/datasets", params={"cursor": "nonsense"}), 422)


def test_an_unknown_dataset_is_a_404_that_names_those_there_are(client: TestClient, synthetic: str) -> None:
    for method in ("GET", "DELETE"):
        assert synthetic in problem_of(client.request(method, f"{API}/datasets/nothing"), 404)["detail"]


def test_a_dataset_can_be_forgotten(client: TestClient, synthetic: str) -> None:
    assert client.delete(f"{API}/datasets/{synthetic}").status_code == 204
    problem_of(client.get(f"{API}/datasets/{synthetic}"), 404)


def test_a_dataset_in_use_is_kept(
    client: TestClient, synthetic: str, experiment: Callable[..., dict[str, Any]]
) -> None:
    assert client.post(f"{API}/experiments", json={"experiment": experiment()}).status_code == 202
    assert "'three arms'" in problem_of(client.delete(f"{API}/datasets/{synthetic}"), 409)["detail"]
    assert client.get(f"{API}/datasets/{synthetic}").status_code == 200
