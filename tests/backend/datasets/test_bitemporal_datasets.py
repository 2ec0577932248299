"""Images before and after of any kind, from a folder to the browser."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from pairlab.scenes.bands import to_rgb
from pairlab.scenes.scene import Bands, BoolArray
from tests.backend.conftest import API, register_indexed
from tests.backend.datasets.test_images import decode
from tests.backend.problem_document import problem_of
from tests.pairlab.scenes.bitemporal_tree import (
    drawn_blocks,
    drawn_image,
    write_image,
    write_levir,
    write_manifest,
    write_mask,
)

LEVIR = {"kind": "bitemporal", "root": "disasters", "folder": "levir"}
OWN = {
    "kind": "bitemporal",
    "root": "disasters",
    "folder": "own",
    "manifest": "pairs.csv",
    "classes": ["ground", "roof"],
}


@pytest.fixture(scope="module", autouse=True)
def folders(data_root: Path) -> Iterator[dict[str, BoolArray]]:
    """LEVIR-CD's layout, and 16-bit images with a manifest, in the data root."""
    changed = write_levir(data_root / "levir", seed=1, scenes={"train": 4, "val": 2, "test": 2})
    rng, rows = np.random.default_rng(2), []
    for number in range(6):
        for date in ("2019", "2021", "2023"):
            name = f"scene{number}_{date}"
            write_image(data_root / "own" / f"{name}.png", drawn_image(rng, size=64, bands=3, dtype="uint16"))
            write_mask(data_root / "own" / f"{name}_mask.png", drawn_blocks(rng, size=64, classes=2))
            split = "train" if number < 4 else "validation" if number == 4 else "test"
            rows.append(
                {
                    "scene": f"scene{number}",
                    "acquisition": date,
                    "image": f"{name}.png",
                    "mask": f"{name}_mask.png" if number else "",
                    "split": split,
                    "region": "north" if number % 2 else "=south",
                    "slope": number * 1.5,
                }
            )
    write_manifest(data_root / "own", rows, name="pairs.csv")
    yield changed
    for name in ("levir", "own"):
        for path in sorted((data_root / name).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (data_root / name).rmdir()


def test_change_masks_are_the_relevant_change(
    client: TestClient, context: Context, folders: dict[str, np.ndarray]
) -> None:
    register_indexed(client, context, "levir", LEVIR)
    dataset = client.get(f"{API}/datasets/levir").json()
    assert (dataset["scenes"], dataset["splits"]) == (8, {"train": 4, "validation": 2, "test": 2})
    assert dataset["label_schemes"] == {"change": ["unchanged", "changed"]}
    assert dataset["object_classes"] == []
    scenes = client.get(f"{API}/datasets/levir/scenes").json()["items"]
    assert {scene["name"]: scene["changed_pixels"] for scene in scenes} == {
        name: int(changed.sum()) for name, changed in folders.items()
    }
    scene = scenes[0]
    address = f"{API}/datasets/levir/scenes/{scene['name']}"
    change = decode(client.get(f"{address}/change").content)
    np.testing.assert_array_equal(change == 1, folders[scene["name"]])
    detail = client.get(address).json()
    last = scene["acquisitions"][-1]
    assert detail["class_pixels"][last]["changed"] == scene["changed_pixels"]
    mask = decode(client.get(f"{address}/masks/{last}", params={"scheme": "change"}).content)
    np.testing.assert_array_equal(mask == 1, folders[scene["name"]])
    assert client.get(f"{address}/objects/{last}").json() == []
    assert "no label scheme" in problem_of(client.get(f"{address}/masks/{last}"), 422)["detail"]


def test_sixteen_bits_become_something_to_look_at(client: TestClient, context: Context, data_root: Path) -> None:
    register_indexed(client, context, "own", OWN)
    dataset = client.get(f"{API}/datasets/own").json()
    assert dataset["acquisitions"] == ["2019", "2021", "2023"]
    assert len(dataset["bands"]) == 3
    assert dataset["columns"] == {"region": "text", "slope": "number"}
    report = client.get(f"{API}/datasets/own/report").json()
    limits = {name: tuple(report["bands"][name]) for name in ("names", "low", "high")}
    assert 0 < limits["low"][0] < limits["high"][0] < 65535
    stored = cv2.imread(str(data_root / "own" / "scene1_2021.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    assert stored.dtype == np.uint16
    expected = to_rgb(stored[..., ::-1], Bands(limits["names"], limits["low"], limits["high"]))
    address = f"{API}/datasets/own/scenes/scene1"
    np.testing.assert_array_equal(decode(client.get(f"{address}/images/2021").content), expected)
    chip = client.get(f"{address}/images/2021", params={"y": 8, "x": 16, "chip": 32})
    np.testing.assert_array_equal(decode(chip.content), expected[8:40, 16:48])
    webp = client.get(client.get(f"{API}/datasets/own/scenes").json()["items"][1]["thumbnails"]["2021"])
    thumbnail = cv2.imdecode(np.frombuffer(webp.content, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(np.asarray(thumbnail, float) - expected).mean() < 12


def test_manifest_columns_filter_sort_and_export(client: TestClient, context: Context) -> None:
    register_indexed(client, context, "own", OWN)
    query = {"where": ["region==south", "slope=1.."], "sort": "-column/slope"}
    scenes = client.get(f"{API}/datasets/own/scenes", params=query).json()["items"]
    assert [scene["name"] for scene in scenes] == ["scene4", "scene2"]
    assert "'=south" in client.get(f"{API}/datasets/own/selection.csv", params=query).text
    exported = client.get(f"{API}/datasets/own/selection", params={"where": query["where"]}).json()
    assert exported["filter"] == {"where": {"slope": [1.0, 7.5], "region": ["=south"]}}


def test_a_label_scheme_that_the_dataset_lacks_is_refused_before_anything_runs(
    client: TestClient, context: Context
) -> None:
    register_indexed(client, context, "levir", LEVIR)
    experiment = {
        "name": "e",
        "dataset": "levir",
        "arms": {"a": {"pairing": {"policy": "same_image"}}},
        "reference": "a",
    }
    answer = client.post(f"{API}/experiments/validate", json={"experiment": experiment})
    assert "labels.scheme" in problem_of(answer, 422)["detail"]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({**OWN, "manifest": "nothing.csv"}, "nothing.csv"),
        ({**OWN, "manifest": "../levir/x.csv"}, "relative path below"),
        ({**LEVIR, "folder": "nowhere"}, "nowhere"),
        ({**LEVIR, "folder": "xbd"}, "xbd"),
        ({**LEVIR, "no_data": "inf"}, "no_data"),
    ],
)
def test_what_is_no_dataset_is_refused_and_leaves_nothing(
    client: TestClient, config: dict[str, object], sentence: str
) -> None:
    answer = client.post(f"{API}/datasets", json={"name": "bad", "config": config})
    assert sentence in problem_of(answer, 422)["detail"]
    problem_of(client.get(f"{API}/datasets/bad"), 404)
