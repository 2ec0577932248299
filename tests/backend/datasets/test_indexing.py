import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, func, select

from backend.app import create_app
from backend.context import Context
from backend.datasets.files import forget_unused_files
from backend.datasets.tables import DatasetRow, SceneMarkRow
from backend.jobs import leases
from backend.jobs.leases import StaleFenceError
from backend.jobs.tables import JobEventRow, JobRow
from backend.settings import Settings
from tests.backend.conftest import API, SYNTHETIC, XBD, register_indexed
from tests.backend.index_jobs import run_index_jobs
from tests.backend.problem_document import problem_of

BROWSED = ("scenes", "distribution", "selection", "selection.csv", "scenes/x", "scenes/x/images/pre", "scenes/x/change")
ARMS = {"same": {"pairing": {"policy": "same_image", "pairs": 4}}}


def after_one_part() -> Callable[[], bool]:
    """Lets a run read all labels, and stops it before the first pixel: the trees here are a single part."""
    asked = iter([False, True])
    return lambda: next(asked)


def start(client: TestClient, name: str = "tree", folder: str = "xbd") -> dict[str, Any]:
    answer = client.post(f"{API}/datasets", json={"name": name, "config": {**XBD, "folder": folder}})
    assert answer.status_code == 202, answer.text
    dataset: dict[str, Any] = answer.json()
    return dataset


def dataset_of(client: TestClient, name: str = "tree") -> dict[str, Any]:
    dataset: dict[str, Any] = client.get(f"{API}/datasets/{name}").json()
    return dataset


def submit(client: TestClient, **more: object) -> Any:  # noqa: ANN401
    experiment = {"name": "e", "dataset": "tree", "labels": {"train_chips": 2}, "arms": ARMS, "reference": "same"}
    return client.post(f"{API}/experiments", json={"experiment": {**experiment, **more}})


@pytest.fixture
def tree(data_root: Path) -> Iterator[Path]:
    """A copy of the tree that a test may damage, in folder `own` of the data root."""
    folder = data_root / "own"
    shutil.copytree(data_root / "xbd", folder)
    yield folder
    shutil.rmtree(folder)


def test_nothing_is_browsed_before_the_labels_are_read(client: TestClient) -> None:
    job = start(client)["index_job"]
    for tail in BROWSED:
        detail = problem_of(client.get(f"{API}/datasets/tree/{tail}"), 409)["detail"]
        assert "'tree' is being indexed (0 %)" in detail
    preview = {"dataset": "tree", "pairing": {"policy": "temporal", "pairs": 2}}
    assert "is being indexed" in problem_of(client.post(f"{API}/pairing/preview", json=preview), 409)["detail"]
    assert "is being indexed" in problem_of(submit(client), 409)["detail"]
    report = client.get(f"{API}/datasets/tree/report").json()
    assert (report["state"], report["phase"], report["progress"]) == ("indexing", "waiting", 0.0)
    assert (report["scenes"], report["histograms"], report["columns"]) == (10, {}, {})
    assert client.get(f"{API}/jobs/{job}").json()["status"] == "queued"


def test_labels_are_browsed_while_the_pixels_are_read(client: TestClient, context: Context) -> None:
    start(client)
    run_index_jobs(context, should_stop=after_one_part())
    dataset = dataset_of(client)
    assert (dataset["state"], dataset["progress"]) == ("indexing", 0.5)
    assert dataset["columns"]["pre_sensor"] == "text"
    scenes = client.get(f"{API}/datasets/tree/scenes", params={"sort": "-objects"}).json()
    assert scenes["total"] == 10
    assert {scene["offset"] for scene in scenes["items"]} == {None}
    assert sum(scenes["items"][0]["objects"].values()) > 0
    assert client.get(scenes["items"][0]["thumbnails"]["pre"]).status_code == 200
    assert "(50 %)" in problem_of(submit(client), 409)["detail"]
    with context.database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="test", lease_seconds=60)
    assert claimed is not None
    assert "50 %, its pixels are read now" in problem_of(submit(client), 409)["detail"]
    assert client.get(f"{API}/datasets/tree/report").json()["phase"] == "pixels"
    with context.database.write() as session:
        leases.give_back(session, claimed)
    run_index_jobs(context)
    assert dataset_of(client)["state"] == "ready"
    context.registry.forget("tree")
    offsets = [scene["offset"] for scene in client.get(f"{API}/datasets/tree/scenes").json()["items"]]
    assert all(offset is not None for offset in offsets)


def test_an_index_that_was_interrupted_is_the_same(client: TestClient, context: Context) -> None:
    start(client, "tree")
    run_index_jobs(context, should_stop=after_one_part())
    assert dataset_of(client)["progress"] == 0.5
    run_index_jobs(context)
    interrupted = client.get(f"{API}/datasets/tree/scenes").json()["items"]
    client.delete(f"{API}/datasets/tree")
    register_indexed(client, context, "tree", XBD)
    in_one_go = client.get(f"{API}/datasets/tree/scenes").json()["items"]
    assert interrupted == in_one_go


def test_an_index_job_is_a_job(client: TestClient, context: Context) -> None:
    job = start(client)["index_job"]
    listed = client.get(f"{API}/jobs", params={"kind": "index"}).json()
    assert [each["id"] for each in listed["items"]] == [job]
    assert client.get(f"{API}/jobs", params={"kind": "pretrain"}).json()["total"] == 0
    detail = client.get(f"{API}/jobs/{job}").json()
    assert (detail["kind"], detail["seed"], detail["uses"], detail["dataset"]) == ("index", None, [], "tree")
    assert detail["config"] == {
        "kind": "index",
        "dataset": {
            "name": "tree",
            "config": {**XBD, "damage_from": "minor-damage"},
            "fingerprint": dataset_of(client)["fingerprint"],
        },
    }
    run_index_jobs(context)
    done = client.get(f"{API}/jobs/{job}").json()
    assert (done["status"], done["step"], done["total_steps"]) == ("succeeded", 20, 20)
    assert done["results"] == {"scenes": 10, "quarantined": 0}


def test_index_jobs_go_before_all_others(client: TestClient, context: Context) -> None:
    client.post(f"{API}/datasets", json={"name": "tiny", "config": {**SYNTHETIC, "train": 8}})
    assert submit(client, dataset="tiny").status_code == 202
    job = start(client)["index_job"]
    with context.database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="test", lease_seconds=60)
    assert claimed is not None
    assert claimed.job_id == job


def test_what_cannot_be_used_is_quarantined_and_stops_nothing(client: TestClient, context: Context, tree: Path) -> None:
    images = sorted((tree / "train" / "images").glob("*_post_disaster.png"))
    content = bytearray(images[0].read_bytes())
    content[len(content) // 2] ^= 0xFF
    images[0].write_bytes(content)  # header and end are sound, the pixels are not
    (tree / "train" / "labels" / f"{images[1].stem}.json").write_text("{")
    images[3].unlink()
    assert start(client, folder="own")["quarantined"] == 1
    run_index_jobs(context)
    dataset = dataset_of(client)
    assert (dataset["state"], dataset["scenes"], dataset["quarantined"]) == ("ready", 7, 3)
    assert dataset["splits"]["train"] == 1
    report = client.get(f"{API}/datasets/tree/report").json()
    assert report["quarantined_total"] == 3
    by_file = {each["file"].rpartition("/")[2]: each["reason"] for each in report["quarantined"]}
    assert "damaged PNG" in by_file[images[0].name]
    assert "not valid JSON" in by_file[f"{images[1].stem}.json"]
    missing = next(each for each in report["quarantined"] if images[3].name[:-20] in each["scene"])
    assert "has no post image" in missing["reason"]
    assert all(str(tree) not in each["reason"] for each in report["quarantined"])
    assert client.get(f"{API}/datasets/tree/scenes").json()["total"] == 7


def test_a_dataset_without_a_usable_scene_fails_with_the_first_reason(
    client: TestClient, context: Context, tree: Path
) -> None:
    for label in tree.rglob("labels/*.json"):
        label.write_text("{")
    job = start(client, folder="own")["index_job"]
    run_index_jobs(context)
    assert dataset_of(client)["state"] == "failed"
    problem = problem_of(client.get(f"{API}/datasets/tree/scenes"), 409)["detail"]
    assert "could not be indexed: none of the 10 scenes can be used" in problem
    assert "is not valid JSON" in problem
    assert "could not be indexed" in problem_of(submit(client), 409)["detail"]
    report = client.get(f"{API}/datasets/tree/report").json()
    assert (report["state"], report["phase"], report["progress"]) == ("failed", None, None)
    assert client.post(f"{API}/jobs/{job}/retry").json()["status"] == "queued"
    assert dataset_of(client)["state"] == "indexing"


def test_an_index_job_is_cancelled_paused_and_goes_on(client: TestClient, context: Context) -> None:
    job = start(client)["index_job"]
    assert client.post(f"{API}/jobs/{job}/pause").json()["status"] == "paused"
    assert client.get(f"{API}/datasets/tree/report").json()["phase"] == "paused"
    assert f"resume job {job}" in problem_of(client.get(f"{API}/datasets/tree/scenes"), 409)["detail"]
    assert client.post(f"{API}/jobs/{job}/resume").json()["status"] == "queued"
    assert client.post(f"{API}/jobs/{job}/cancel").json()["status"] == "cancelled"
    assert dataset_of(client)["state"] == "failed"
    assert f"retry job {job}" in problem_of(client.get(f"{API}/datasets/tree/scenes"), 409)["detail"]
    client.post(f"{API}/jobs/{job}/retry")
    run_index_jobs(context)
    assert dataset_of(client)["state"] == "ready"
    assert dataset_of(client)["index_job"] == job


def test_experiments_use_an_indexed_dataset(client: TestClient, context: Context) -> None:
    register_indexed(client, context, "tree", XBD)
    assert submit(client, chip_size=64).status_code == 202


def test_deleting_forgets_the_index_job_marks_and_files(client: TestClient, context: Context, xbd: str) -> None:
    scene = client.get(f"{API}/datasets/{xbd}/scenes").json()["items"][0]
    assert client.get(scene["thumbnails"]["pre"]).status_code == 200
    client.put(f"{API}/datasets/{xbd}/scenes/{scene['name']}/mark", json={"flagged": True})
    fingerprint = client.get(f"{API}/datasets/{xbd}").json()["fingerprint"]
    settings = context.settings
    folders = (settings.index_folder, settings.store_folder, settings.thumbnail_folder)
    assert all(list(folder.glob(f"{fingerprint}*")) for folder in folders)
    assert client.delete(f"{API}/datasets/{xbd}").status_code == 204
    assert not any(list(folder.glob(f"{fingerprint}*")) for folder in folders)
    with context.database.read() as session:
        for table in (JobRow, JobEventRow, SceneMarkRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    problem_of(client.get(scene["thumbnails"]["pre"]), 404)
    start(client, xbd)


def test_files_stay_while_another_dataset_has_the_same_content(client: TestClient, context: Context, xbd: str) -> None:
    register_indexed(client, context, "twin", XBD)
    client.delete(f"{API}/datasets/{xbd}")
    context.registry.forget("twin")
    assert client.get(f"{API}/datasets/twin/scenes").json()["total"] == 10


def test_deleting_takes_a_running_index_job_away(client: TestClient, context: Context) -> None:
    start(client)
    with context.database.write() as session:
        claimed = leases.claim(session, hardware="cpu", worker="test", lease_seconds=60)
    assert claimed is not None
    assert client.delete(f"{API}/datasets/tree").status_code == 204
    with pytest.raises(StaleFenceError), context.database.write() as session:
        leases.renew(session, claimed, lease_seconds=60)


def test_files_a_killed_run_wrote_afterwards_are_found(context: Context) -> None:
    orphan = context.settings.index_folder / f"{'5' * 64}-v2.parts"
    orphan.mkdir(parents=True)
    (orphan / "labels-00000.parquet").write_bytes(b"part")
    keep = context.settings.index_folder / "notes.txt"
    keep.write_text("the user's own")
    assert forget_unused_files(context.database, context.settings) == 1
    assert not orphan.exists()
    assert keep.exists()


def test_an_index_that_is_gone_is_made_again(client: TestClient, context: Context, xbd: str) -> None:
    shutil.rmtree(context.settings.index_folder)
    context.registry.forget(xbd)
    assert "is gone and is made again" in problem_of(client.get(f"{API}/datasets/{xbd}/scenes"), 409)["detail"]
    assert client.get(f"{API}/datasets/{xbd}").json()["state"] == "indexing"
    run_index_jobs(context)
    assert client.get(f"{API}/datasets/{xbd}/scenes").json()["total"] == 10


def test_the_api_queues_what_is_not_indexed_when_it_starts(client: TestClient, settings: Settings, xbd: str) -> None:
    client.post(f"{API}/datasets", json={"name": "scenes", "config": SYNTHETIC})
    shutil.rmtree(settings.index_folder)
    with TestClient(create_app(settings)) as again:
        assert again.get(f"{API}/datasets/{xbd}").json()["state"] == "indexing"
        assert again.get(f"{API}/jobs").json()["total"] == 1
    with TestClient(create_app(settings)) as again:
        assert again.get(f"{API}/jobs").json()["total"] == 1


def test_a_dataset_of_an_earlier_version_is_indexed_at_the_start(client: TestClient, settings: Settings) -> None:
    start(client)
    context: Context = client.app.state.context  # type: ignore[attr-defined]
    old = {
        "scenes": 10,
        "splits": {},
        "events": {},
        "acquisitions": ["pre", "post"],
        "label_schemes": {},
        "warnings": [],
    }
    with context.database.write() as session:
        session.execute(delete(JobEventRow))
        session.execute(delete(JobRow))
        session.get_one(DatasetRow, "tree").summary = old
    assert dataset_of(client)["state"] == "indexing"
    with TestClient(create_app(settings)) as again:
        assert dataset_of(again)["index_job"] is not None
        run_index_jobs(again.app.state.context)  # type: ignore[attr-defined]
        assert dataset_of(again)["state"] == "ready"
        assert dataset_of(again)["columns"]
