import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import update

from backend.context import Context
from backend.datasets.tables import DatasetRow
from backend.settings import Settings
from tests.backend.conftest import API, SYNTHETIC, XBD
from tests.backend.index_jobs import run_index_jobs
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
    assert (dataset["state"], dataset["index_job"], dataset["progress"]) == ("ready", None, None)
    assert (dataset["quarantined"], dataset["warnings"]) == (0, [])
    assert dataset["object_classes"]
    assert client.get(answer.headers["location"]).json() == dataset


def test_an_xbd_tree_is_registered_and_not_written_to(client: TestClient, context: Context, data_root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in data_root.rglob("*")}
    answer = register(client, "tree", XBD)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"{API}/datasets/tree"
    dataset = answer.json()
    assert (dataset["state"], dataset["progress"]) == ("indexing", 0.0)
    assert (dataset["scenes"], dataset["quarantined"]) == (10, 0)
    assert dataset["splits"] == {"train": 4, "validation": 3, "test": 3}
    assert sum(dataset["events"].values()) == 10
    assert dataset["columns"] == {}
    run_index_jobs(context)
    indexed = client.get(answer.headers["location"]).json()
    assert (indexed["state"], indexed["progress"], indexed["index_job"]) == ("ready", None, dataset["index_job"])
    assert indexed["columns"]["pre_sensor"] == "text"
    assert indexed["columns"]["pre_off_nadir_angle"] == "number"
    assert indexed["object_classes"] == ["no-damage", "minor-damage", "major-damage", "destroyed", "un-classified"]
    assert indexed["bands"] == ["red", "green", "blue"]
    same = ("scenes", "splits", "events", "acquisitions", "label_schemes", "warnings", "fingerprint", "created_at")
    assert {key: indexed[key] for key in same} == {key: dataset[key] for key in same}
    assert client.get(f"{API}/datasets").json()["items"] == [indexed]
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


def test_a_tree_without_any_usable_tile_leaves_nothing_behind(
    client: TestClient, data_root: Path, settings: Settings
) -> None:
    broken = data_root / "broken"
    shutil.copytree(data_root / "xbd", broken)
    for image in broken.rglob("*_pre_disaster.png"):
        image.write_bytes(image.read_bytes()[:200])
    try:
        problem = problem_of(register(client, "broken", {**XBD, "folder": "broken"}), 422)
    finally:
        shutil.rmtree(broken)
    assert "none of the 10 xBD tiles" in problem["detail"]
    assert str(data_root) not in problem["detail"]
    problem_of(client.get(f"{API}/datasets/broken"), 404)
    assert not list((settings.home / "index").glob("*"))
    assert client.get(f"{API}/jobs").json()["total"] == 0


def test_changed_files_are_not_taken_for_the_same_dataset(client: TestClient, data_root: Path) -> None:
    tree = data_root / "changing"
    shutil.copytree(data_root / "xbd", tree)
    try:
        assert register(client, "changing", {**XBD, "folder": "changing"}).status_code == 202
        assert register(client, "changing", {**XBD, "folder": "changing"}).status_code == 200
        for name in ("images", "labels"):
            for path in (tree / "hold" / name).iterdir():
                path.unlink()
        problem = problem_of(register(client, "changing", {**XBD, "folder": "changing"}), 409)
    finally:
        shutil.rmtree(tree)
    assert "have changed" in problem["detail"]


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


def test_rendered_scenes_of_an_earlier_version_are_registered_again_as_they_are(
    client: TestClient, context: Context, synthetic: str
) -> None:
    now = client.get(f"{API}/datasets/{synthetic}").json()["fingerprint"]
    with context.database.write() as session:
        session.execute(update(DatasetRow).where(DatasetRow.name == synthetic).values(fingerprint="0" * 64))
    answer = client.post(f"{API}/datasets", json={"name": synthetic, "config": SYNTHETIC})
    assert answer.status_code == 200
    assert answer.json()["fingerprint"] == now
    assert client.get(f"{API}/datasets/{synthetic}/scenes").json()["total"] == 58
