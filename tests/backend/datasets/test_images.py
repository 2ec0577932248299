from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from pairlab.experiment.datasets import SyntheticDataset, XbdDataset
from pairlab.scenes.dataset import open_dataset
from pairlab.scenes.scene import Scene, SceneSource
from tests.backend.conftest import API, SYNTHETIC, XBD
from tests.backend.problem_document import problem_of

SCENE = "train-000003"


def decode(content: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if image.ndim == 3 else image, dtype=np.uint8)


@pytest.fixture
def scene_url(synthetic: str) -> str:
    return f"{API}/datasets/{synthetic}/scenes/{SCENE}"


def source_of(draw: int = 0) -> tuple[SceneSource, Scene]:
    source = open_dataset(SyntheticDataset.model_validate(SYNTHETIC), data_roots={}, draw=draw)
    return source, next(scene for scene in source.scenes if scene.name == SCENE)


@pytest.mark.parametrize("draw", [0, 5])
def test_images_masks_and_change_are_those_of_the_source(client: TestClient, scene_url: str, draw: int) -> None:
    source, scene = source_of(draw)
    image = client.get(f"{scene_url}/images/post", params={"draw": draw})
    assert image.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(decode(image.content), source.image(scene, "post"))
    mask = client.get(f"{scene_url}/masks/post", params={"draw": draw, "scheme": "object_states"})
    np.testing.assert_array_equal(decode(mask.content), source.mask(scene, "post", "object_states"))
    change = decode(client.get(f"{scene_url}/change", params={"draw": draw}).content)
    maps = source.change(scene)
    np.testing.assert_array_equal(change == 1, maps.changed)
    np.testing.assert_array_equal(change == 2, maps.objects & ~maps.changed)


def test_a_scene_is_rendered_again_in_another_state(client: TestClient, scene_url: str) -> None:
    source, scene = source_of()
    image = client.get(f"{scene_url}/images/pre", params={"state": "post"})
    np.testing.assert_array_equal(decode(image.content), source.image(scene, "pre", state="post"))


def test_a_photograph_cannot_be_rendered_again(client: TestClient, xbd: str) -> None:
    name = client.get(f"{API}/datasets/{xbd}/scenes").json()["items"][0]["name"]
    answer = client.get(f"{API}/datasets/{xbd}/scenes/{name}/images/pre", params={"state": "post"})
    assert "photograph" in problem_of(answer, 422)["detail"]


def test_a_chip_is_cut_and_scaled_down(client: TestClient, scene_url: str) -> None:
    source, scene = source_of()
    place = {"y": 16, "x": 8, "chip": 32}
    chip = decode(client.get(f"{scene_url}/images/pre", params=place).content)
    np.testing.assert_array_equal(chip, source.image(scene, "pre")[16:48, 8:40])
    small = decode(client.get(f"{scene_url}/images/pre", params={**place, "size": 16}).content)
    means = chip.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert small.shape == (16, 16, 3)
    assert np.abs(small - means).max() <= 0.5
    mask = decode(client.get(f"{scene_url}/masks/pre", params={**place, "size": 16}).content)
    assert mask.shape == (16, 16)
    assert set(np.unique(mask)) <= set(np.unique(source.mask(scene, "pre", "intact_damaged")))


def test_nothing_is_scaled_up(client: TestClient, scene_url: str) -> None:
    assert decode(client.get(f"{scene_url}/images/pre", params={"size": 512}).content).shape == (64, 64, 3)


def test_unclassified_buildings_are_ignored_or_intact(client: TestClient, xbd: str, data_root: Path) -> None:
    source = open_dataset(XbdDataset.model_validate(XBD), data_roots={"disasters": data_root})
    scene = next(each for each in source.scenes if (source.mask(each, "post", "building") == 255).any())
    address = f"{API}/datasets/{xbd}/scenes/{scene.name}/masks/post"
    ignored = decode(client.get(address).content)
    counted = decode(client.get(address, params={"unclassified": "no-damage"}).content)
    assert set(counted[ignored == 255]) == {1}
    change = decode(client.get(f"{API}/datasets/{xbd}/scenes/{scene.name}/change").content)
    assert (change == 255).any()


def test_a_current_copy_is_not_sent_again(client: TestClient, scene_url: str) -> None:
    for tail in ("/images/pre?size=32", "/masks/post", "/change"):
        first = client.get(scene_url + tail)
        assert "no-cache" in first.headers["cache-control"]
        again = client.get(scene_url + tail, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == first.headers["etag"]
        assert client.get(scene_url + tail, headers={"If-None-Match": '"other"'}).status_code == 200


def test_what_differs_has_another_tag(client: TestClient, scene_url: str) -> None:
    tails = [
        "/images/pre",
        "/images/post",
        "/images/pre?state=post",
        "/images/pre?size=32",
        "/images/pre?draw=1",
        "/images/pre?y=0&x=0&chip=32",
        "/images/pre?y=0&x=1&chip=32",
        "/masks/pre",
        "/masks/pre?scheme=building",
        "/change",
    ]
    tags = {client.get(scene_url + tail).headers["etag"] for tail in tails}
    assert len(tags) == len(tails)


def test_a_dataset_registered_anew_has_other_tags(client: TestClient, synthetic: str, scene_url: str) -> None:
    before = client.get(f"{scene_url}/images/pre").headers["etag"]
    client.delete(f"{API}/datasets/{synthetic}")
    client.post(f"{API}/datasets", json={"name": synthetic, "config": {**SYNTHETIC, "train": 47}})
    assert client.get(f"{scene_url}/images/pre", headers={"If-None-Match": before}).status_code == 200


@pytest.mark.parametrize(
    ("tail", "status", "sentence"),
    [
        ("/images/noon", 404, "no acquisition 'noon'"),
        ("/images/pre?state=noon", 404, "no acquisition 'noon'"),
        ("/masks/noon", 404, "no acquisition 'noon'"),
        ("/masks/pre?scheme=damage_levels", 422, "no label scheme"),
        ("/masks/pre?scheme=colours", 422, "scheme"),
        ("/images/pre?y=1&chip=32", 422, "y, x and chip together"),
        ("/images/pre?y=40&x=0&chip=32", 422, "does not lie within"),
        ("/images/pre?y=-1&x=0&chip=32", 422, "y: must be greater"),
        ("/images/pre?size=0", 422, "size: must be greater"),
        ("/images/pre?draw=-1", 422, "draw: must be greater"),
        ("/images/pre?size=nan", 422, "size: must be"),
    ],
)
def test_what_cannot_be_shown_is_a_problem(
    client: TestClient, scene_url: str, tail: str, status: int, sentence: str
) -> None:
    assert sentence in problem_of(client.get(scene_url + tail), status)["detail"]
