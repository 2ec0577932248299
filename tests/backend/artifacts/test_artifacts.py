from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from backend.artifacts.tables import ArtifactRow
from backend.context import Context
from backend.settings import Settings
from tests.backend.conftest import API
from tests.backend.experiments.finished_jobs import job_ids
from tests.backend.problem_document import problem_of

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def job(client: TestClient, context: Context, experiment: Make) -> str:
    """Id of the segment job of arm `same`, seed 1."""
    answer = client.post(f"{API}/experiments", json={"experiment": experiment()}).json()
    return job_ids(context, answer["id"])["segment", "same", 1]


def write(context: Context, settings: Settings, job: str, name: str, content: bytes, **columns: object) -> str:
    path = settings.artifacts / job / "1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = sha256(content).hexdigest()
    return note(context, job, f"{job}/1/{name}", sha256=digest, bytes=len(content), **columns)


def note(context: Context, job: str, path: str, **columns: object) -> str:
    row = {"kind": "weights", "step": 10, "sha256": "0" * 64, "bytes": 1, "attempt": 1, **columns}
    artifact = f"{path.rpartition('/')[2]}-id"
    with context.database.write() as session:
        session.add(ArtifactRow(id=artifact, job_id=job, path=path, **row))
    return artifact


def write_prediction(context: Context, settings: Settings, job: str, name: str, **details: object) -> str:
    content = bytes(cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1])
    told = {
        "scene": "validation-000001",
        "split": "validation",
        "protocol": "fine_tuning",
        "acquisition": "post",
        "final": False,
        "iou": {"background": 0.9, "intact": None, "damaged": 0.1},
        **details,
    }
    return write(context, settings, job, name, content, kind="prediction", details=told)


def test_the_files_of_a_job_are_listed_and_sent(
    client: TestClient, context: Context, settings: Settings, job: str
) -> None:
    content = b"weights" * 1000
    artifact = write(context, settings, job, "weights.safetensors", content)
    (listed,) = client.get(f"{API}/jobs/{job}/artifacts").json()
    assert listed["name"] == "weights.safetensors"
    assert listed["sha256"] == sha256(content).hexdigest()
    assert listed["url"] == f"{API}/artifacts/{artifact}"
    answer = client.get(listed["url"])
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["etag"] == f'"{listed["sha256"]}"'
    assert "weights.safetensors" in answer.headers["content-disposition"]
    again = client.get(listed["url"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_prediction_comes_with_its_images_and_label(
    client: TestClient, context: Context, settings: Settings, job: str
) -> None:
    write_prediction(context, settings, job, "a.png")
    (prediction,) = client.get(f"{API}/jobs/{job}/predictions").json()
    assert prediction["classes"] == ["background", "intact", "damaged"]
    assert prediction["iou"] == {"background": 0.9, "intact": None, "damaged": 0.1}
    assert prediction["step"] == 10
    assert list(prediction["image_urls"]) == ["pre", "post"]
    assert all("draw=1" in address for address in [*prediction["image_urls"].values(), prediction["label_url"]])
    assert "scheme=intact_damaged" in prediction["label_url"]
    for address in (prediction["url"], prediction["label_url"], *prediction["image_urls"].values()):
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/png"


def test_predictions_are_filtered(client: TestClient, context: Context, settings: Settings, job: str) -> None:
    write_prediction(context, settings, job, "a.png")
    write_prediction(context, settings, job, "b.png", protocol="linear_probe")
    write_prediction(context, settings, job, "c.png", scene="test-000001", split="test", final=True)
    write(context, settings, job, "weights.safetensors", b"w")

    def names(**query: str) -> list[str]:
        found = client.get(f"{API}/jobs/{job}/predictions", params=query).json()
        return [prediction["artifact"] for prediction in found]

    assert names() == ["a.png-id", "b.png-id", "c.png-id"]
    assert names(protocol="linear_probe") == ["b.png-id"]
    assert names(final="true") == ["c.png-id"]
    assert names(final="false") == ["a.png-id", "b.png-id"]
    assert names(scene="test-000001", protocol="linear_probe") == []


def test_files_are_filtered_by_kind_and_step(
    client: TestClient, context: Context, settings: Settings, job: str
) -> None:
    for step in (0, 10):
        write(context, settings, job, f"{step}.png", b"map", kind="embedding_map", step=step)
        write(context, settings, job, f"{step}.checkpoint", b"state", kind="checkpoint", step=step)

    def names(**query: object) -> list[str]:
        found = client.get(f"{API}/jobs/{job}/artifacts", params={name: str(value) for name, value in query.items()})
        return [artifact["name"] for artifact in found.json()]

    assert names(kind="embedding_map") == ["0.png", "10.png"]
    assert sorted(names(step=10)) == ["10.checkpoint", "10.png"]
    assert names(kind="embedding_map", step=10) == ["10.png"]
    problem_of(client.get(f"{API}/jobs/{job}/artifacts", params={"kind": "nonsense"}), 422)


def test_an_embedding_map_comes_with_the_chips_it_shows(
    client: TestClient, context: Context, settings: Settings, job: str
) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8)
    content = bytes(cv2.imencode(".png", colours)[1])
    place = {"scene": "train-000001", "y": 0, "x": 0, "size": 64, "changed_pixels": 200, "row": 0}
    tiles = [{**place, "acquisition": name, "column": column} for column, name in enumerate(("pre", "post"))]
    details = {"cells": 16, "explained": [0.5, 0.2, 0.1], "tiles": tiles}
    for step in (10, 0):
        write(context, settings, job, f"{step}.png", content, kind="embedding_map", step=step, details=details)
    found = client.get(f"{API}/jobs/{job}/embedding-maps").json()
    assert [each["step"] for each in found] == [0, 10]
    first = found[0]
    assert (first["cells"], first["explained"]) == (16, [0.5, 0.2, 0.1])
    picture = client.get(first["url"])
    assert picture.headers["content-type"] == "image/png"
    assert picture.content == content
    for tile, told in zip(first["tiles"], tiles, strict=True):
        address = tile.pop("image_url")
        assert tile == told
        assert {"y=0", "x=0", "chip=64", "draw=1"} <= set(address.partition("?")[2].split("&"))
        chip = client.get(address)
        assert chip.status_code == 200
        decoded = cv2.imdecode(np.frombuffer(chip.content, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert decoded.shape == (64, 64, 3)


def test_a_job_without_files_has_empty_lists(client: TestClient, job: str) -> None:
    assert client.get(f"{API}/jobs/{job}/artifacts").json() == []
    assert client.get(f"{API}/jobs/{job}/embedding-maps").json() == []
    assert client.get(f"{API}/jobs/{job}/predictions").json() == []


def test_unknown_jobs_and_artifacts_are_not_found(client: TestClient) -> None:
    for address in (
        "/jobs/nothing/artifacts",
        "/jobs/nothing/predictions",
        "/jobs/nothing/embedding-maps",
        "/artifacts/nothing",
    ):
        assert "'nothing'" in problem_of(client.get(API + address), 404)["detail"]


@pytest.mark.parametrize("name", ["..%2f..%2fpairlab.db", "%2fetc%2fpasswd", "pairlab.db"])
def test_an_id_is_never_a_path(client: TestClient, name: str) -> None:
    problem_of(client.get(f"{API}/artifacts/{name}"), 404)


def test_a_row_that_leads_out_of_the_folder_is_not_followed(
    client: TestClient, context: Context, settings: Settings, job: str, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    settings.artifacts.mkdir(parents=True, exist_ok=True)
    (settings.artifacts / "link").symlink_to(tmp_path / "secret")
    for path in ("../../secret", str(tmp_path / "secret"), "link"):
        artifact = note(context, job, path)
        answer = client.get(f"{API}/artifacts/{artifact}")
        problem_of(answer, 404)
        with context.database.write() as session:
            session.delete(session.get_one(ArtifactRow, artifact))


def test_a_file_that_is_gone_says_so(client: TestClient, context: Context, job: str) -> None:
    artifact = note(context, job, f"{job}/1/gone.safetensors")
    assert "no longer" in problem_of(client.get(f"{API}/artifacts/{artifact}"), 404)["detail"]
