import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from numpy.typing import NDArray

from backend.app import create_app
from backend.context import Context
from backend.settings import Settings
from tests.backend.conftest import API, XBD, register_indexed
from tests.backend.datasets.known_scores import random_scores, write_random_scores
from tests.backend.problem_document import problem_of

SIDES = (("anchor", "a"), ("positive", "b"))


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
    assert "chip_size 128 is larger than the scenes of 'scenes' (64 pixels)" in chips["detail"]


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


def chip_points(matrix: list[list[float]], points: list[list[float]]) -> NDArray[np.float64]:
    """Returns view points (x, y) in chip coordinates."""
    given = np.asarray(matrix)
    return np.asarray(np.asarray(points) @ given[:, :2].T + given[:, 2])


def all_pairs(client: TestClient, dataset: str, pairing: dict[str, Any], **more: object) -> list[dict[str, Any]]:
    answer = preview(client, dataset, pairing, count=64, **more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["pairs"]
    return found


def test_matched_points_show_the_ground_that_the_views_say_less_the_added_shift(
    client: TestClient, synthetic: str
) -> None:
    pairing = {"policy": "temporal", "pairs": 20, "noise": {"shift_px": 3.0}}
    pairs = all_pairs(client, synthetic, pairing)
    assert len({tuple(pair["shift"]) for pair in pairs}) == 20
    for pair in pairs:
        views = pair["views"]
        assert views["size"] == 64
        a, b = (chip_points(views[side], [p[key] for p in views["points"]]) for side, key in SIDES)
        down, right = pair["shift"]
        assert len(views["points"]) > 0
        np.testing.assert_allclose(a - b, np.broadcast_to([right, down], a.shape), atol=0.01)


@pytest.mark.parametrize(
    ("method", "reach"),
    [
        ({"name": "pixel_infonce", "grid_stride": 16, "match_tolerance_px": 6}, 6.0),
        ({"name": "pixpro", "grid_stride": 16, "match_tolerance_px": 60}, 60.0),
        ({"name": "pixel_infonce", "grid_stride": 16}, None),
    ],
)
def test_points_lie_on_the_methods_grid_and_its_reach_is_told(
    client: TestClient, synthetic: str, method: dict[str, Any], reach: float | None
) -> None:
    for pair in all_pairs(client, synthetic, {"policy": "temporal", "pairs": 4}, method=method):
        views = pair["views"]
        assert views["points"]
        assert {(x % 16, y % 16) for x, y in (point["a"] for point in views["points"])} == {(8.0, 8.0)}
        if reach is None:
            assert views["reach"] is None
        else:
            side = np.abs(np.linalg.det(np.asarray(views["positive"])[:, :2])) ** 0.5
            assert views["reach"] == pytest.approx(reach / side, abs=0.001)


def test_a_method_that_matches_nothing_has_views_without_points(client: TestClient, synthetic: str) -> None:
    pairs = all_pairs(client, synthetic, {"policy": "same_image", "pairs": 4}, method={"name": "simclr"})
    assert [pair["views"]["points"] for pair in pairs] == [[]] * 4
    assert all(pair["views"]["anchor"] != pair["views"]["positive"] for pair in pairs)


def test_points_on_a_change_are_excluded_under_control_masked(client: TestClient, xbd: str) -> None:
    pairing = {"policy": "temporal", "pairs": 4, "noise": {"rate": 0.5}}
    answer = preview(client, xbd, pairing, chip_size=32).json()
    excluded = 0
    for pair in answer["pairs"]:
        points = pair["views"]["points"]
        if pair["control"] is None:
            assert not any(point["excluded"] for point in points)
            continue
        assert pair["control"] == "masked"
        excluded += sum(point["excluded"] for point in points)
        change = cv2.imdecode(np.frombuffer(client.get(pair["change_url"]).content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert change is not None
        for side, key in SIDES:
            left = [point[key] for point in points if not point["excluded"]]
            if not left:
                continue
            x, y = np.floor(chip_points(pair["views"][side], left)).astype(int).T
            assert not change[y, x].any()
    assert excluded > 0


def test_a_preview_of_files_decodes_no_image(settings: Settings, data_root: Path, tmp_path: Path) -> None:
    shutil.copytree(data_root / "xbd", tmp_path / "roots" / "xbd")
    settings = settings.model_copy(update={"data_roots": {"disasters": tmp_path / "roots"}})
    with TestClient(create_app(settings)) as client:
        context: Context = client.app.state.context  # type: ignore[attr-defined]
        name = register_indexed(client, context, "without-images", XBD)
        shutil.rmtree(settings.store_folder, ignore_errors=True)
        images = list((tmp_path / "roots").rglob("*.png"))
        assert images
        for image in images:
            image.unlink()
        for noise in ({"rate": 0.5}, {"rate": 0.5, "control": "same_acquisition"}, {"shift_px": 2.0}):
            pairing = {"policy": "temporal", "pairs": 4, "noise": noise}
            answer = preview(client, name, pairing, chip_size=32)
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["pairs"]) == 4


def test_mismatched_pairs_show_two_places_and_are_counted_apart(client: TestClient, synthetic: str) -> None:
    noise = {"rate": 0.25, "mismatch_rate": 0.5, "mismatch_from": "similar"}
    answer = preview(client, synthetic, {"policy": "temporal", "pairs": 20, "noise": noise}, count=20).json()
    assert (answer["asked_mismatch"], answer["realised_mismatch"], answer["realised_rate"]) == (0.5, 0.5, 0.25)
    for pair in answer["pairs"]:
        places = [(pair[f"{side}scene"], pair[f"{side}y"], pair[f"{side}x"]) for side in ("", "positive_")]
        assert pair["mismatched"] == (places[0] != places[1])
        assert not (pair["mismatched"] and pair["noisy"])
        assert pair["positive_scene"] in pair["positive"]["image_url"]
    assert answer["exposure_matched"] is True
    assert answer["balance"]["shown"] == [2, 2]
    assert answer["balance"]["places"] == answer["balance"]["pairs"] == 20


def test_what_a_filter_throws_away_is_counted_and_missing_from_the_list(client: TestClient, synthetic: str) -> None:
    pairing = {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.4}}
    everything = all_pairs(client, synthetic, pairing)
    noisy = [pair["position"] for pair in everything if pair["noisy"]]
    answer = preview(client, synthetic, {**pairing, "filter": "oracle"}, count=20).json()
    assert len(noisy) == 8
    assert answer["filtered"] == {"drawn": 20, "thrown_away": 8, "noisy_thrown_away": 8, "threshold": None}
    assert (answer["drawn"], answer["realised_rate"], answer["exposure_matched"]) == (12, 0.0, False)
    assert [pair["position"] for pair in answer["pairs"]] == sorted(set(range(20)) - set(noisy))
    places = {pair["position"]: pair["scene"] for pair in everything}
    assert all(pair["scene"] == places[pair["position"]] for pair in answer["pairs"])


def test_a_change_score_filter_waits_for_its_score_and_then_throws_the_highest_away(
    client: TestClient, context: Context, synthetic: str
) -> None:
    chosen = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.75}
    pairing = {"policy": "temporal", "pairs": 40, "filter": chosen}
    problem = problem_of(preview(client, synthetic, pairing, seed=3), 409)
    assert "change score cva, draw 3, of dataset 'scenes' is not computed yet" in problem["detail"]
    write_random_scores(context, synthetic, draw=3)
    answer = preview(client, synthetic, pairing, seed=3, count=64).json()
    scores = random_scores(58, draw=3)[:48].mean(axis=1)  # a scene is a chip of four squares; train comes first
    threshold = np.quantile(scores, 0.75)
    assert answer["filtered"]["threshold"] == pytest.approx(threshold, rel=1e-5)
    unfiltered = all_pairs(client, synthetic, {**pairing, "filter": "none"}, seed=3)
    train = client.get(f"{API}/datasets/{synthetic}/scenes", params={"split": "train", "limit": 200}).json()["items"]
    of_scene = dict(zip((scene["name"] for scene in train), scores.tolist(), strict=True))
    kept = [pair["scene"] for pair in unfiltered if of_scene[pair["scene"]] <= threshold]
    assert [pair["scene"] for pair in answer["pairs"]] == kept
    assert answer["filtered"]["thrown_away"] == 40 - len(kept) > 0
    assert [pair["score"] for pair in answer["pairs"]] == pytest.approx([of_scene[name] for name in kept], rel=1e-5)


def test_a_transductive_preview_draws_from_all_splits_and_knows_no_labels_there(
    client: TestClient, synthetic: str
) -> None:
    pairing = {"policy": "temporal", "pairs": 58}
    assert "48" in problem_of(preview(client, synthetic, pairing), 422)["detail"]
    answer = preview(client, synthetic, pairing, transductive=True, count=58).json()
    items = client.get(f"{API}/datasets/{synthetic}/scenes", params={"limit": 200}).json()["items"]
    split = {scene["name"]: scene["split"] for scene in items}
    unseen = [pair for pair in answer["pairs"] if split[pair["scene"]] != "train"]
    assert len(unseen) == 10
    assert all(pair["unknown"] and pair["changed_pixels"] == 0 and not pair["noisy"] for pair in unseen)
    assert answer["balance"]["splits"] == pytest.approx({"train": 48 / 58, "validation": 4 / 58, "test": 6 / 58})
    noisy = problem_of(preview(client, synthetic, {**pairing, "noise": {"rate": 0.5}}, transductive=True), 422)
    assert "noise.rate needs labels" in noisy["detail"]
    assert "previewed" not in noisy["detail"]


def test_pages_of_a_list_are_its_pieces(client: TestClient, synthetic: str) -> None:
    pairing = {"policy": "temporal", "pairs": 20, "noise": {"rate": 0.5}}
    everything = all_pairs(client, synthetic, pairing)
    assert [pair["position"] for pair in everything] == list(range(20))
    assert preview(client, synthetic, pairing, first=15, count=10).json()["pairs"] == everything[15:]
    assert preview(client, synthetic, pairing, first=20, count=10).json()["pairs"] == []


@pytest.mark.parametrize("method", [{"name": "simclr"}, {"name": "pixel_infonce", "matching": "feature"}])
def test_a_method_that_cannot_mask_is_told_so(client: TestClient, xbd: str, method: dict[str, str]) -> None:
    for noise in ({"rate": 0.5, "control": "masked"}, {"rate": 0.5}):
        pairing = {"policy": "temporal", "pairs": 4, "noise": noise}
        assert "masked" in problem_of(preview(client, xbd, pairing, method=method), 422)["detail"]
