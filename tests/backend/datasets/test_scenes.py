from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.backend.conftest import API
from tests.backend.problem_document import problem_of


def all_scenes(client: TestClient, dataset: str, **query: str | float) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = client.get(
            f"{API}/datasets/{dataset}/scenes", params={**query, **({"cursor": cursor} if cursor else {})}
        ).json()
        found.extend(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            assert page["total"] == len(found)
            return found


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("name", lambda scene: scene["name"]),
        ("change_share", lambda scene: (scene["change_share"], scene["name"])),
        ("-change_share", lambda scene: (-scene["change_share"], scene["name"])),
    ],
)
def test_pages_hold_every_scene_once_in_order(
    client: TestClient, synthetic: str, sort: str, key: Callable[[dict[str, Any]], Any]
) -> None:
    scenes = all_scenes(client, synthetic, sort=sort, limit=7)
    assert len({scene["name"] for scene in scenes}) == 58
    assert scenes == sorted(scenes, key=key)


def test_filters_keep_what_they_say(client: TestClient, xbd: str) -> None:
    everything = all_scenes(client, xbd, limit=100)
    event = everything[0]["event"]
    of_event = all_scenes(client, xbd, event=event)
    assert of_event == [scene for scene in everything if scene["event"] == event]
    assert all_scenes(client, xbd, split="test") == [scene for scene in everything if scene["split"] == "test"]
    changed = all_scenes(client, xbd, min_change=0.01, max_change=0.5)
    assert changed == [scene for scene in everything if 0.01 <= scene["change_share"] <= 0.5]
    assert 0 < len(changed) < len(everything)
    assert all_scenes(client, xbd, event="nowhere") == []


def test_one_scene_has_metadata_classes_and_neighbours(client: TestClient, xbd: str) -> None:
    scenes = all_scenes(client, xbd, limit=100)
    detail = client.get(f"{API}/datasets/{xbd}/scenes/{scenes[1]['name']}").json()
    assert {key: detail[key] for key in scenes[1]} == scenes[1]
    assert detail["previous"] == scenes[0]["name"]
    assert detail["next"] == scenes[2]["name"]
    assert detail["metadata"]["pre"]["sensor"] == "INVENTED01"
    for counts in detail["class_pixels"].values():
        assert sum(counts.values()) == 128 * 128
        assert set(counts) == {"background", "intact", "damaged", "ignore"}
    first = client.get(f"{API}/datasets/{xbd}/scenes/{scenes[0]['name']}").json()
    last = client.get(f"{API}/datasets/{xbd}/scenes/{scenes[-1]['name']}").json()
    assert first["previous"] is None
    assert last["next"] is None


@pytest.mark.parametrize(
    "name",
    ["nothing", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "%2e%2e%2fscenes", "train-000000%00", "train-000000.png"],
)
def test_names_that_are_no_scene_are_not_found(client: TestClient, synthetic: str, name: str) -> None:
    for tail in ("", "/images/pre", "/masks/pre", "/change"):
        problem_of(client.get(f"{API}/datasets/{synthetic}/scenes/{name}{tail}"), 404)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"min_change": "nan"},
        {"min_change": -1},
        {"max_change": 2},
        {"sort": "size"},
        {"cursor": "x"},
    ],
)
def test_bad_queries_are_refused(client: TestClient, synthetic: str, query: dict[str, Any]) -> None:
    problem_of(client.get(f"{API}/datasets/{synthetic}/scenes", params=query), 422)


def test_a_cursor_of_another_order_is_refused(client: TestClient, synthetic: str) -> None:
    cursor = client.get(f"{API}/datasets/{synthetic}/scenes").json()["next_cursor"]
    query = {"cursor": cursor, "sort": "-change_share"}
    assert "sort order" in problem_of(client.get(f"{API}/datasets/{synthetic}/scenes", params=query), 422)["detail"]
