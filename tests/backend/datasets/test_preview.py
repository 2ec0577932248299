from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from tests.backend.conftest import API
from tests.backend.problem_document import problem_of


def preview(client: TestClient, dataset: str, pairing: dict[str, Any], **more: object) -> Response:
    return client.post(f"{API}/pairing/preview", json={"dataset": dataset, "pairing": pairing, **more})


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 1.0])
def test_the_realised_rate_is_the_asked_one(client: TestClient, synthetic: str, rate: float) -> None:
    pairing = {"policy": "temporal", "pairs": 20, "noise": {"rate": rate}}
    answer = preview(client, synthetic, pairing, seed=1, count=20).json()
    assert answer["drawn"] == 20
    assert answer["asked_rate"] == rate
    assert answer["realised_rate"] == rate
    assert sum(pair["noisy"] for pair in answer["pairs"]) == round(rate * 20)
    assert {pair["control"] for pair in answer["pairs"] if not pair["noisy"]} <= {"rerender"}
    histogram = answer["object_change_histogram"]
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1 == 11
    assert sum(histogram["counts"]) == 20
    assert histogram["counts"][0] >= round((1 - rate) * 20)


def test_every_address_of_a_pair_answers(client: TestClient, synthetic: str) -> None:
    pairing = {"policy": "temporal", "pairs": 10, "noise": {"rate": 0.0}}
    answer = preview(client, synthetic, pairing, seed=4, count=3, chip_size=32).json()
    assert len(answer["pairs"]) == 3
    for pair in answer["pairs"]:
        assert pair["anchor"]["state"] == pair["positive"]["state"]
        for address in (pair["anchor"]["image_url"], pair["positive"]["image_url"], pair["change_url"]):
            image = client.get(address)
            assert image.status_code == 200
            decoded = cv2.imdecode(np.frombuffer(image.content, np.uint8), cv2.IMREAD_UNCHANGED)
            assert decoded is not None
            assert decoded.shape[:2] == (32, 32)
        change = cv2.imdecode(np.frombuffer(client.get(pair["change_url"]).content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert change is not None
        assert int((change == 1).sum()) == pair["changed_pixels"]


def test_pairs_show_the_train_split_alone(client: TestClient, xbd: str) -> None:
    answer = preview(client, xbd, {"policy": "same_image", "pairs": 16}, count=16).json()
    assert answer["chips"]["chips"] == 16
    train = client.get(f"{API}/datasets/{xbd}/scenes", params={"split": "train"}).json()["items"]
    assert {pair["scene"] for pair in answer["pairs"]} <= {scene["name"] for scene in train}
    event = train[0]["event"]
    held_out = preview(client, xbd, {"policy": "temporal", "pairs": 8}, count=8, splits={"test_events": [event]}).json()
    assert event not in {pair["event"] for pair in held_out["pairs"]}


def test_a_draw_repeats(client: TestClient, synthetic: str) -> None:
    pairing = {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}}
    assert preview(client, synthetic, pairing, seed=2).json() == preview(client, synthetic, pairing, seed=2).json()
    assert preview(client, synthetic, pairing, seed=2).json() != preview(client, synthetic, pairing, seed=3).json()


def test_what_the_data_cannot_meet_is_refused_with_its_numbers(client: TestClient, synthetic: str) -> None:
    problem = problem_of(preview(client, synthetic, {"policy": "temporal", "pairs": 5000}), 422)
    assert "48" in problem["detail"]
    assert problem["problems"] == [problem["detail"]]
    chips = problem_of(preview(client, synthetic, {"policy": "same_image", "pairs": 2}, chip_size=128), 422)
    assert "0" in chips["detail"]


@pytest.mark.parametrize(
    ("pairing", "sentence"),
    [
        ({"policy": "temporal", "noise": {"rate": 2}}, "pairing.noise.rate: must be less than or equal to 1 (got 2)"),
        ({"policy": "same_image", "noise": {"rate": 0.5}}, "same_image pairs an image with itself"),
        ({"policy": "sometimes"}, "pairing.policy: must be 'same_image' or 'temporal'"),
    ],
)
def test_a_pairing_that_contradicts_itself_is_refused(
    client: TestClient, synthetic: str, pairing: dict[str, Any], sentence: str
) -> None:
    assert sentence in problem_of(preview(client, synthetic, pairing), 422)["detail"]


def test_photographs_have_no_rerender(client: TestClient, xbd: str) -> None:
    pairing = {"policy": "temporal", "pairs": 2, "noise": {"rate": 0.5, "control": "rerender"}}
    assert "masked" in problem_of(preview(client, xbd, pairing), 422)["detail"]


def test_an_unknown_dataset_is_not_found(client: TestClient) -> None:
    problem_of(preview(client, "nothing", {"policy": "temporal"}), 404)
