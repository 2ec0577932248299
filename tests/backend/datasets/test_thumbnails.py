import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from pydantic import SecretStr

from backend.app import create_app
from backend.context import Context
from backend.datasets.thumbnails import MADE_ROOM, ThumbnailKey, Thumbnails
from backend.settings import Settings
from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.scenes.dataset import open_dataset
from tests.backend.conftest import API, SYNTHETIC, XBD
from tests.backend.problem_document import problem_of

TOKEN = "s3cret"


@pytest.fixture
def addresses(client: TestClient, xbd: str) -> dict[str, str]:
    """Signed addresses of one scene's thumbnails."""
    found: dict[str, str] = client.get(f"{API}/datasets/{xbd}/scenes").json()["items"][2]["thumbnails"]
    return found


def decode(content: bytes) -> NDArray[np.uint8]:
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WEBP"
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return np.asarray(image, dtype=np.uint8)


def changed(address: str, **values: str | None) -> str:
    """Returns the address with other query values; None leaves one out."""
    parts = urlsplit(address)
    query = {name: each[0] for name, each in parse_qs(parts.query).items()} | values
    return f"{parts.path}?{urlencode({name: value for name, value in query.items() if value is not None})}"


def files_of(settings: Settings) -> list[Path]:
    return sorted(path for path in settings.thumbnail_folder.rglob("*") if path.is_file())


def test_a_thumbnail_shows_its_image(client: TestClient, data_root: Path, addresses: dict[str, str]) -> None:
    source = open_dataset(XbdDataset.model_validate(XBD), data_roots={"disasters": data_root})
    scene = source.scenes[2]
    for acquisition, address in addresses.items():
        answer = client.get(address)
        assert answer.headers["content-type"] == "image/webp"
        image = source.image(scene, acquisition).astype(float)
        assert np.abs(decode(answer.content) - image).mean() < 8  # lossy, but the same picture
    small = decode(client.get(f"{urlsplit(addresses['pre']).path}?size=32").content)
    assert small.shape == (32, 32, 3)


def test_rendered_scenes_have_thumbnails_of_their_first_draw(client: TestClient, synthetic: str) -> None:
    scene = client.get(f"{API}/datasets/{synthetic}/scenes").json()["items"][0]
    source = open_dataset(SyntheticDataset.model_validate(SYNTHETIC), data_roots={})
    image = source.image(next(each for each in source.scenes if each.name == scene["name"]), "pre")
    thumbnail = decode(client.get(scene["thumbnails"]["pre"]).content)
    assert thumbnail.shape == (64, 64, 3)
    assert np.abs(thumbnail - image.astype(float)).mean() < 12


def test_it_is_made_once_and_kept_on_disk(client: TestClient, settings: Settings, addresses: dict[str, str]) -> None:
    first = client.get(addresses["pre"])
    (path,) = files_of(settings)
    assert path.read_bytes() == first.content
    assert path.is_relative_to(settings.thumbnail_folder)
    written = path.stat().st_mtime_ns
    assert client.get(addresses["pre"]).content == first.content
    with TestClient(create_app(settings)) as again:  # a process that has nothing in memory
        assert again.get(addresses["pre"]).content == first.content
        assert again.get(addresses["pre"]).content == first.content
    assert path.stat().st_mtime_ns == written


def test_a_browser_keeps_it_and_asks_no_more(client: TestClient, addresses: dict[str, str]) -> None:
    for _ in range(2):  # made, and kept
        answer = client.get(addresses["pre"])
        assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
        again = client.get(addresses["pre"], headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get(addresses["post"]).headers["etag"] != answer.headers["etag"]
    path = urlsplit(addresses["pre"]).path
    assert client.get(path).headers["cache-control"] == "private, no-cache"
    assert client.get(f"{path}?size=64").headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize(
    "change",
    [
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "é" * 64},
        {"size": "128"},
        {"expires": "99999999999"},
        {"v": "0" * 20},
        {"v": None},
        {"expires": None},
    ],
)
def test_a_tampered_address_is_refused(client: TestClient, addresses: dict[str, str], change: dict[str, str]) -> None:
    client.get(addresses["pre"])
    for address in (changed(addresses["pre"], **change), changed(addresses["pre"], **change).replace("/pre", "/post")):
        assert "does not match" in problem_of(client.get(address), 403)["detail"]


def test_another_scene_or_dataset_needs_another_signature(client: TestClient, addresses: dict[str, str]) -> None:
    client.get(addresses["pre"])
    for old, new in (("/pre?", "/post?"), ("00000", "00001"), ("disasters-2019", "other")):
        assert old in addresses["pre"]
        problem_of(client.get(addresses["pre"].replace(old, new, 1)), 403)


def test_an_expired_address_is_refused(
    client: TestClient, context: Context, xbd: str, addresses: dict[str, str]
) -> None:
    client.get(addresses["pre"])
    past = str(int(time.time()) - 1)
    query = {name: each[0] for name, each in parse_qs(urlsplit(addresses["pre"]).query).items()}
    scene = urlsplit(addresses["pre"]).path.split("/")[-3]
    signature = context.signatures.sign(xbd, scene, "pre", query["size"], query["v"], past)
    expired = changed(addresses["pre"], expires=past, signature=signature)
    assert "has expired" in problem_of(client.get(expired), 403)["detail"]


def test_an_address_of_files_that_changed_is_not_found(client: TestClient, xbd: str, addresses: dict[str, str]) -> None:
    client.get(addresses["pre"])
    client.delete(f"{API}/datasets/{xbd}")
    problem_of(client.get(addresses["pre"]), 404)
    client.post(f"{API}/datasets", json={"name": xbd, "config": SYNTHETIC})
    assert "registered anew" in problem_of(client.get(addresses["pre"]), 404)["detail"]


@pytest.mark.parametrize("query", ["size=8", "size=513", "size=nan", "expires=-1", "colour=red"])
def test_bad_queries_are_refused(client: TestClient, addresses: dict[str, str], query: str) -> None:
    problem_of(client.get(f"{urlsplit(addresses['pre']).path}?{query}"), 422)


def test_a_signature_stands_for_the_token(settings: Settings, xbd: str) -> None:
    guarded = settings.model_copy(update={"token": SecretStr(TOKEN)})
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(create_app(guarded)) as client:
        scene = client.get(f"{API}/datasets/{xbd}/scenes", headers=bearer).json()["items"][0]
        address = scene["thumbnails"]["pre"]
        bare = urlsplit(address).path
        for _ in range(2):  # made, and kept
            assert client.get(address).status_code == 200
            problem_of(client.get(bare), 401)
            problem_of(client.get(changed(address, signature="0" * 64)), 403)
            problem_of(client.get(changed(address, signature="0" * 64), headers=bearer), 403)
            problem_of(client.get(changed(address, signature=None)), 401)
        assert client.get(bare, headers=bearer).status_code == 200
        assert client.get(changed(address, signature=None), headers=bearer).status_code == 200
        for tail in ("images/pre", "masks/pre", "objects/pre", "mark"):
            problem_of(client.get(address.replace("thumbnails/pre", tail)), 405 if tail == "mark" else 401)
        problem_of(client.put(address.replace("thumbnails/pre", "mark"), json={"flagged": True}), 401)
        problem_of(client.post(address), 405)


KEY = ThumbnailKey("a" * 64, "v", "scene", "pre", 256)


def test_the_folder_stays_within_its_room(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path, room=10_000)
    for number in range(40):
        key = KEY._replace(scene=f"scene-{number}")
        assert thumbnails.get(key, "dataset", lambda: bytes(1000)) == bytes(1000)
        written = sorted(tmp_path.rglob("*.webp"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(thumbnails._path(key), (number, number))
        assert sum(path.stat().st_size for path in written) <= 10_000
    assert len(written) >= 10 * MADE_ROOM - 1
    assert Path(thumbnails._path(KEY._replace(scene="scene-39"))).exists()
    assert not Path(thumbnails._path(KEY._replace(scene="scene-0"))).exists()


def test_without_room_nothing_is_written(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "new", room=0)
    assert thumbnails.get(KEY, "dataset", lambda: b"webp") == b"webp"
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("")
    thumbnails = Thumbnails(tmp_path / "occupied", room=1000)
    assert thumbnails.get(KEY, "dataset", lambda: b"webp") == b"webp"


def test_threads_that_ask_at_once_share_one_making(tmp_path: Path) -> None:
    thumbnails, together = Thumbnails(tmp_path, room=10_000), threading.Barrier(8)
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        time.sleep(0.05)
        return b"webp"

    def ask(_: int) -> bytes:
        together.wait()
        return thumbnails.get(KEY, "dataset", make)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {b"webp"}
    assert len(made) == 1


def test_an_empty_file_is_made_anew(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path, room=10_000)
    path = Path(thumbnails._path(KEY))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert thumbnails.kept(KEY) is None
    assert thumbnails.get(KEY, "dataset", lambda: b"webp") == b"webp"
    assert path.read_bytes() == b"webp"


def test_names_of_scenes_lead_nowhere(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path / "inside", room=10_000)
    for scene in ("../../outside", "/etc/passwd", "a\0b", "\ud800", "x" * 5000):
        thumbnails.get(KEY._replace(scene=scene), "dataset", lambda: b"webp")
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert len(list((tmp_path / "inside").rglob("*.webp"))) == 5
