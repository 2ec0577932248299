from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from tests.backend.conftest import API, XBD, register_indexed
from tests.backend.datasets.known_tables import add_known_table, rewrite_table
from tests.backend.problem_document import problem_of
from tests.pairlab.scenes.invented_table import invented_table

TABLE = invented_table(40, seed=3)
SCENE = "scene-00007"


@pytest.fixture
def known(context: Context) -> str:
    return add_known_table(context, "known", TABLE)


def mark(client: TestClient, dataset: str, scene: str, **values: object) -> dict[str, Any]:
    answer = client.put(f"{API}/datasets/{dataset}/scenes/{scene}/mark", json=values)
    assert answer.status_code == 200, answer.text
    written: dict[str, Any] = answer.json()
    return written


def listed(client: TestClient, dataset: str, **query: object) -> dict[str, Any]:
    items = client.get(f"{API}/datasets/{dataset}/scenes", params={"limit": 200, **query}).json()["items"]  # type: ignore[dict-item]
    return {item["name"]: item["mark"] for item in items}


def test_a_mark_is_shown_at_once_and_taken_away_again(client: TestClient, known: str) -> None:
    assert set(listed(client, known).values()) == {None}
    written = mark(client, known, SCENE, flagged=True, note="clouds, ☁")
    assert (written["flagged"], written["note"]) == (True, "clouds, ☁")
    assert datetime.fromisoformat(written["updated_at"]).tzinfo is not None
    assert listed(client, known) == {**dict.fromkeys(listed(client, known)), SCENE: written}
    again = mark(client, known, SCENE, flagged=False)
    assert again["note"] == ""
    assert again["updated_at"] > written["updated_at"]
    assert listed(client, known)[SCENE] == again
    assert client.delete(f"{API}/datasets/{known}/scenes/{SCENE}/mark").status_code == 204
    assert client.delete(f"{API}/datasets/{known}/scenes/{SCENE}/mark").status_code == 204
    assert set(listed(client, known).values()) == {None}


def test_flagged_scenes_can_be_listed(client: TestClient, known: str) -> None:
    assert listed(client, known, flagged=True) == {}
    for scene in ("scene-00003", SCENE, "scene-00030"):
        mark(client, known, scene, flagged=True)
    mark(client, known, "scene-00004", flagged=False, note="looked at")
    assert set(listed(client, known, flagged=True)) == {"scene-00003", SCENE, "scene-00030"}
    assert len(listed(client, known, flagged=False)) == 37
    assert set(listed(client, known, flagged=True, q="0000")) == {"scene-00003", SCENE}
    mark(client, known, SCENE, flagged=False)
    assert set(listed(client, known, flagged=True)) == {"scene-00003", "scene-00030"}
    assert client.get(f"{API}/datasets/{known}/distribution").json()["flagged"] == 2
    assert client.get(f"{API}/datasets/{known}/distribution", params={"q": "0000"}).json()["flagged"] == 1


def test_marks_survive_indexing_anew(client: TestClient, context: Context, known: str) -> None:
    mark(client, known, SCENE, flagged=True, note="kept")
    rewrite_table(context, known, invented_table(40, seed=4))
    context.registry.forget(known)
    assert (listed(client, known)[SCENE] or {})["note"] == "kept"


def test_a_mark_of_a_scene_that_is_gone_harms_nothing(client: TestClient, context: Context, known: str) -> None:
    mark(client, known, "scene-00039", flagged=True)
    rewrite_table(context, known, invented_table(30, seed=3))
    context.registry.forget(known)
    assert listed(client, known, flagged=True) == {}
    assert client.get(f"{API}/datasets/{known}/distribution").json()["flagged"] == 0


def test_a_dataset_registered_anew_has_no_marks(client: TestClient, context: Context, xbd: str) -> None:
    scene = next(iter(listed(client, xbd)))
    mark(client, xbd, scene, flagged=True)
    assert client.get(f"{API}/datasets/{xbd}/scenes/{scene}").json()["mark"]["flagged"] is True
    client.delete(f"{API}/datasets/{xbd}")
    register_indexed(client, context, xbd, XBD)
    assert set(listed(client, xbd).values()) == {None}
    assert listed(client, xbd, flagged=True) == {}
    mark(client, xbd, scene, flagged=True)
    assert set(listed(client, xbd, flagged=True)) == {scene}


def test_marks_of_one_dataset_are_not_those_of_another(client: TestClient, context: Context, xbd: str) -> None:
    register_indexed(client, context, "twin", XBD)
    scene = next(iter(listed(client, xbd)))
    mark(client, xbd, scene, flagged=True)
    assert set(listed(client, xbd, flagged=True)) == {scene}
    assert listed(client, "twin", flagged=True) == {}
    assert client.delete(f"{API}/datasets/{xbd}").status_code == 204


def test_marks_written_at_once_are_all_kept(client: TestClient, known: str) -> None:
    names = [scene.name for scene in TABLE.scenes]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: mark(client, known, name, flagged=True), names))
    assert len(listed(client, known, flagged=True)) == 40


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "flagged: is missing"),
        ({"flagged": "yes"}, "flagged: must be a valid boolean"),
        ({"flagged": 1}, "flagged: must be a valid boolean"),
        ({"flagged": True, "note": "x" * 2001}, "note: must have at most 2000 characters"),
        ({"flagged": True, "note": "a\0b"}, "note: must match pattern"),
        ({"flagged": True, "note": 3}, "note: must be a valid string"),
        ({"flagged": True, "colour": "red"}, "colour: unknown key"),
    ],
)
def test_bad_marks_are_refused(client: TestClient, known: str, body: dict[str, Any], sentence: str) -> None:
    answer = client.put(f"{API}/datasets/{known}/scenes/{SCENE}/mark", json=body)
    assert sentence in problem_of(answer, 422)["detail"]
    assert set(listed(client, known).values()) == {None}


def test_half_a_character_is_no_note(client: TestClient, known: str) -> None:
    answer = client.put(
        f"{API}/datasets/{known}/scenes/{SCENE}/mark",
        content=b'{"flagged": true, "note": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    problem_of(answer, 422)
