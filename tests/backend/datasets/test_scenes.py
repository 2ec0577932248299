import math
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.context import Context
from backend.datasets.schemas import SceneDetail, ScenePage, SceneRead
from pairlab.scenes.index import LEAST_CONFIDENCE, SceneTable
from tests.backend.conftest import API
from tests.backend.datasets.known_tables import add_known_table, rewrite_table
from tests.backend.problem_document import problem_of
from tests.pairlab.scenes.invented_table import CLASSES, EVENTS, invented_table

Record = dict[str, Any]
TABLE = invented_table(300, seed=2)
VALUES: dict[str, Callable[[Record], Any]] = {
    "name": lambda scene: scene["name"],
    "change_share": lambda scene: scene["change_share"],
    "object_change_share": lambda scene: scene["object_change_share"],
    "no_data_share": lambda scene: scene["no_data_share"],
    "offset": lambda scene: scene["offset"],
    "objects": lambda scene: sum(scene["objects"].values()),
    "column/sensor": lambda scene: scene["attributes"]["sensor"],
    "column/angle": lambda scene: scene["attributes"]["angle"],
    "column/a=b": lambda scene: scene["attributes"]["a=b"],
    "column/empty": lambda scene: scene["attributes"]["empty"],
}


def is_second(attributes: Record) -> bool:
    return attributes["a=b"] in (1, 2) and attributes["sensor"] == "B"


@pytest.fixture
def known(context: Context) -> str:
    """Name of a dataset of 300 scenes with all kinds of columns."""
    return add_known_table(context, "known", TABLE)


def all_scenes(client: TestClient, dataset: str, **query: object) -> list[Record]:
    found: list[Record] = []
    cursor = None
    while True:
        asked: dict[str, Any] = {**query} if cursor is None else {**query, "cursor": cursor}
        answer = client.get(f"{API}/datasets/{dataset}/scenes", params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found.extend(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            assert page["total"] == len(found)
            return found


def in_order(scenes: list[Record], sort: str) -> list[Record]:
    """The scenes as they should come: by value, then by name, those without a value last, in both directions."""
    value = VALUES[sort.removeprefix("-")]
    by_name = sorted(scenes, key=lambda scene: scene["name"])
    given = [scene for scene in by_name if value(scene) is not None]
    missing = [scene for scene in by_name if value(scene) is None]
    return sorted(given, key=value, reverse=sort.startswith("-")) + missing


@pytest.mark.parametrize("sort", [f"{sign}{field}" for field in VALUES for sign in ("", "-")])
def test_pages_hold_every_scene_once_in_order(client: TestClient, known: str, sort: str) -> None:
    scenes = all_scenes(client, known, sort=sort, limit=77)
    assert len({scene["name"] for scene in scenes}) == 300
    assert scenes == in_order(scenes, sort)


def test_a_list_is_what_it_is_described_as(client: TestClient, known: str) -> None:
    page = client.get(f"{API}/datasets/{known}/scenes", params={"limit": 200}).json()
    read = ScenePage.model_validate(page)
    assert read.model_dump(mode="json") == page
    assert set(page["items"][0]) == set(SceneRead.model_fields)
    detail = client.get(f"{API}/datasets/{known}/scenes/{page['items'][0]['name']}").status_code
    assert detail == 422  # its files are not there; everything that the table knows was told


def test_a_scene_of_a_list_has_the_numbers_of_the_table(client: TestClient, known: str) -> None:
    for row, scene in enumerate(all_scenes(client, known, limit=100)):
        assert scene["change_share"] == TABLE.change_share[row]
        assert scene["objects"] == dict(zip(CLASSES, TABLE.objects[row].tolist(), strict=True))
        assert scene["changed_pixels"] == TABLE.changed_pixels[row]
        assert scene["unknown"] == bool(TABLE.unknown[row])
        assert (scene["offset"] is None) != (TABLE.offset_confidence[row] >= LEAST_CONFIDENCE)
        assert scene["attributes"]["sensor"] == TABLE.columns["sensor"][row]
        assert scene["attributes"]["empty"] is None
        assert scene["mark"] is None


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        ({"event": "fire-2"}, lambda scene: scene["event"] == "fire-2"),
        ({"event": [EVENTS[0], "quake"]}, lambda scene: scene["event"] != "fire-2"),
        ({"split": ["train", "test"]}, lambda scene: scene["split"] != "validation"),
        ({"object": "destroyed"}, lambda scene: scene["objects"]["destroyed"] > 0),
        ({"object": list(CLASSES)}, lambda scene: sum(scene["objects"].values()) > 0),
        ({"min_change": 0.2}, lambda scene: scene["change_share"] >= 0.2),
        ({"max_change": 0.2}, lambda scene: scene["change_share"] <= 0.2),
        ({"min_object_change": 0.1, "max_object_change": 0.3}, lambda s: 0.1 <= s["object_change_share"] <= 0.3),
        ({"min_no_data": 0.5}, lambda scene: scene["no_data_share"] >= 0.5),
        ({"min_offset": 4}, lambda scene: scene["offset"] is not None and scene["offset"] >= 4),
        ({"max_offset": 4}, lambda scene: scene["offset"] is not None and scene["offset"] <= 4),
        ({"where": "sensor=A"}, lambda scene: scene["attributes"]["sensor"] == "A"),
        ({"where": ["sensor=A", "sensor==C"]}, lambda scene: scene["attributes"]["sensor"] in ("A", "=C")),
        ({"where": "sensor=1..2"}, lambda scene: scene["attributes"]["sensor"] == "1..2"),
        ({"where": "angle=10..20"}, lambda scene: 10 <= (scene["attributes"]["angle"] or -1) <= 20),
        ({"where": "angle=..20"}, lambda scene: (scene["attributes"]["angle"] or 0) <= 20),
        ({"where": "angle=20.."}, lambda scene: (scene["attributes"]["angle"] or 0) >= 20),
        ({"where": "angle=7"}, lambda scene: scene["attributes"]["angle"] == 7),
        ({"where": "angle=1e9.."}, lambda _: False),
        (
            {"where": ["a=b=1..2", "sensor=B"]},
            lambda s: s["attributes"]["a=b"] in (1, 2) and s["attributes"]["sensor"] == "B",
        ),
        ({"where": "empty=.."}, lambda _: False),
        ({"q": "SCENE-0001"}, lambda scene: "scene-0001" in scene["name"]),
        ({"event": "nowhere"}, lambda _: False),
        ({"flagged": "true"}, lambda _: False),
        ({"flagged": "false", "split": "test"}, lambda scene: scene["split"] == "test"),
    ],
)
def test_filters_keep_what_they_say(
    client: TestClient, known: str, query: Record, passes: Callable[[Record], bool]
) -> None:
    everything = all_scenes(client, known, limit=200)
    if "angle" in str(query.get("where")):
        everything = [scene for scene in everything if scene["attributes"]["angle"] is not None]
    expected = [scene["name"] for scene in everything if passes(scene)]
    assert [scene["name"] for scene in all_scenes(client, known, limit=50, **query)] == expected
    assert len(expected) < 300


def test_a_page_may_begin_anywhere(client: TestClient, known: str) -> None:
    scenes = all_scenes(client, known, sort="-offset", split="train", limit=50)
    for place in (0, 7, len(scenes) - 1, len(scenes), 10**9):
        query: dict[str, Any] = {"sort": "-offset", "split": "train", "limit": 10, "place": place}
        page = client.get(f"{API}/datasets/{known}/scenes", params=query).json()
        assert page["items"] == scenes[place : place + 10]
        assert (page["first"], page["total"]) == (place, len(scenes))
        if page["next_cursor"] is not None:
            del query["place"]
            after = client.get(f"{API}/datasets/{known}/scenes", params={**query, "cursor": page["next_cursor"]}).json()
            assert after["first"] == place + 10
            assert after["items"] == scenes[place + 10 : place + 20]
            both = client.get(f"{API}/datasets/{known}/scenes", params={"cursor": page["next_cursor"], "place": 3})
            problem_of(both, 422)


def test_filter_and_order_go_together(client: TestClient, known: str) -> None:
    scenes = all_scenes(client, known, sort="-offset", split="train", limit=20)
    expected = [scene for scene in all_scenes(client, known, limit=200) if scene["split"] == "train"]
    assert scenes == in_order(expected, "-offset")


def test_a_list_stays_whole_while_the_dataset_is_indexed_anew(client: TestClient, context: Context, known: str) -> None:
    for sort in ("-change_share", "column/sensor", "-column/angle", "name"):
        rewrite_table(context, known, TABLE)
        first = client.get(f"{API}/datasets/{known}/scenes", params={"sort": sort, "limit": 120}).json()
        shown = {scene["name"] for scene in first["items"]}
        # The last scene shown, and every fifth one, can no longer be used.
        rows = [row for row in range(300) if row % 5 and TABLE.scenes[row].name != first["items"][-1]["name"]]
        rewrite_table(context, known, TABLE.rows(np.array(rows)))
        context.registry.forget(known)
        rest = client.get(
            f"{API}/datasets/{known}/scenes", params={"sort": sort, "limit": 200, "cursor": first["next_cursor"]}
        ).json()
        left = {TABLE.scenes[row].name for row in rows} - shown
        assert [scene["name"] for scene in rest["items"]] == [
            scene["name"] for scene in in_order(all_scenes(client, known, limit=200), sort) if scene["name"] in left
        ]


def test_one_scene_has_metadata_classes_and_its_place(client: TestClient, xbd: str) -> None:
    scenes = all_scenes(client, xbd, limit=100)
    detail = client.get(f"{API}/datasets/{xbd}/scenes/{scenes[1]['name']}").json()
    assert SceneDetail.model_validate(detail).model_dump(mode="json") == detail
    assert {key: detail[key] for key in scenes[1]} == scenes[1]
    assert (detail["previous"], detail["next"]) == (scenes[0]["name"], scenes[2]["name"])
    assert (detail["place"], detail["total"]) == (1, len(scenes))
    assert detail["metadata"]["pre"]["sensor"] == "INVENTED01"
    assert detail["attributes"]["pre_sensor"] == "INVENTED01"
    assert detail["offset"] == pytest.approx(math.hypot(*detail["offset_vector"].values()))
    for counts in detail["class_pixels"].values():
        assert sum(counts.values()) == 128 * 128
        assert set(counts) == {"background", "intact", "damaged", "ignore"}
    first = client.get(f"{API}/datasets/{xbd}/scenes/{scenes[0]['name']}").json()
    last = client.get(f"{API}/datasets/{xbd}/scenes/{scenes[-1]['name']}").json()
    assert first["previous"] is None
    assert last["next"] is None


def test_neighbours_are_those_of_the_filtered_sorted_list(client: TestClient, xbd: str) -> None:
    query = {"sort": "-change_share", "split": "train"}
    scenes = all_scenes(client, xbd, **query)
    for place, scene in enumerate(scenes):
        detail = client.get(f"{API}/datasets/{xbd}/scenes/{scene['name']}", params=query).json()
        assert detail["place"] == place
        assert detail["previous"] == (scenes[place - 1]["name"] if place else None)
        assert detail["next"] == (scenes[place + 1]["name"] if place + 1 < len(scenes) else None)
    outside = next(scene for scene in all_scenes(client, xbd) if scene["split"] != "train")
    detail = client.get(f"{API}/datasets/{xbd}/scenes/{outside['name']}", params=query).json()
    assert (detail["place"], detail["previous"], detail["next"], detail["total"]) == (None, None, None, len(scenes))


def test_synthetic_scenes_are_listed_like_files(client: TestClient, synthetic: str) -> None:
    scenes = all_scenes(client, synthetic, sort="-objects", limit=20)
    assert len(scenes) == 58
    assert scenes == in_order(scenes, "-objects")
    assert sum(scenes[0]["objects"].values()) > 0
    detail = client.get(f"{API}/datasets/{synthetic}/scenes/{scenes[0]['name']}").json()
    assert {key: detail[key] for key in scenes[0]} == scenes[0]


@pytest.mark.parametrize(
    "name",
    ["nothing", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "%2e%2e%2fscenes", "train-000000%00", "train-000000.png"],
)
def test_names_that_are_no_scene_are_not_found(client: TestClient, synthetic: str, name: str) -> None:
    for tail in ("", "/images/pre", "/masks/pre", "/change", "/objects/pre", "/thumbnails/pre"):
        problem_of(client.get(f"{API}/datasets/{synthetic}/scenes/{name}{tail}"), 404)
    problem_of(client.put(f"{API}/datasets/{synthetic}/scenes/{name}/mark", json={"flagged": True}), 404)
    problem_of(client.delete(f"{API}/datasets/{synthetic}/scenes/{name}/mark"), 404)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"limit": 0}, "limit: must be greater"),
        ({"limit": 201}, "limit: must be less"),
        ({"place": -1}, "place: must be greater"),
        ({"min_change": "nan"}, "min_change: must be a finite number"),
        ({"min_change": "inf"}, "min_change: must be"),
        ({"min_change": -1}, "min_change: must be greater"),
        ({"max_change": 2}, "max_change: must be less"),
        ({"min_change": 0.5, "max_change": 0.4}, "change: from 0.5 to 0.4 is no range"),
        ({"min_offset": 5, "max_offset": 4}, "offset: from 5 to 4 is no range"),
        ({"min_offset": "nan"}, "min_offset: must be"),
        ({"split": "holdout"}, "split.0: must be 'train', 'validation' or 'test'"),
        ({"sort": "size"}, "sort: must match pattern"),
        ({"sort": "column/"}, "sort: must match pattern"),
        ({"sort": "column/colour"}, "no column 'colour'; there are: sensor, angle, a=b, empty"),
        ({"object": "tree"}, "no object class 'tree'; there are: no-damage, destroyed"),
        ({"where": "sensor"}, "must be column=text or column=low..high"),
        ({"where": "colour=red"}, "no column 'colour'; there are: sensor, angle, a=b, empty"),
        ({"where": "=red"}, "no column ''"),
        ({"where": "angle=red"}, "column 'angle' holds numbers: give low..high, not 'red'"),
        ({"where": "angle=nan.."}, "holds numbers"),
        ({"where": "angle=..inf"}, "holds numbers"),
        ({"where": "angle="}, "holds numbers"),
        ({"where": "angle=1..2..3"}, "holds numbers"),
        ({"where": "angle=9..3"}, "is no range"),
        ({"where": ["angle=1..2", "angle=3..4"]}, "is given two ranges"),
        ({"where": "sensor=" + "x" * 600}, "where.0: must have at most 500 characters"),
        ({"event": ["e"] * 201}, "event: "),
        ({"q": "x" * 201}, "q: must have at most 200 characters"),
        ({"flagged": "perhaps"}, "flagged: must be a valid boolean"),
        ({"colour": "red"}, "colour: unknown key"),
        ({"cursor": "x"}, "cursor: not a cursor"),
    ],
)
def test_bad_queries_are_refused(client: TestClient, known: str, query: Record, sentence: str) -> None:
    assert sentence in problem_of(client.get(f"{API}/datasets/{known}/scenes", params=query), 422)["detail"]


@pytest.mark.parametrize("tail", ["scenes/scene-00000", "distribution", "selection", "selection.csv"])
def test_all_lists_refuse_the_same(client: TestClient, known: str, tail: str) -> None:
    for query in ({"where": "colour=red"}, {"object": "tree"}, {"min_change": "nan"}, {"colour": "red"}):
        problem_of(client.get(f"{API}/datasets/{known}/{tail}", params=query), 422)


def test_a_cursor_of_another_order_is_refused(client: TestClient, synthetic: str) -> None:
    cursor = client.get(f"{API}/datasets/{synthetic}/scenes").json()["next_cursor"]
    query = {"cursor": cursor, "sort": "-change_share"}
    assert "sort order" in problem_of(client.get(f"{API}/datasets/{synthetic}/scenes", params=query), 422)["detail"]


TEXTS = st.text(max_size=40) | st.sampled_from(["angle=", "angle=..", "sensor=", "a=b=", "..", "-", "1e999", "٣..٤"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "where": st.lists(TEXTS, max_size=3),
            "sort": TEXTS | TEXTS.map(lambda text: f"column/{text}"),
            "cursor": TEXTS,
            "min_change": TEXTS | st.floats().map(str),
            "max_offset": TEXTS | st.floats().map(str),
            "event": st.lists(TEXTS, max_size=3),
            "q": TEXTS,
            "flagged": TEXTS,
            "limit": TEXTS | st.integers().map(str),
        },
    )
)
def test_whatever_is_asked_gets_a_page_or_a_problem(client: TestClient, known: str, query: Record) -> None:
    answer = client.get(f"{API}/datasets/{known}/scenes", params=query)
    if answer.status_code == 200:
        assert answer.json()["total"] <= 300
    else:
        problem_of(answer, 422)


def test_random_walks_through_lists_agree_with_plain_python(client: TestClient, known: str) -> None:
    everything = all_scenes(client, known, limit=200)
    rng = random.Random(0)
    for _ in range(40):
        sort = rng.choice("- ").strip() + rng.choice(list(VALUES))
        event, low = rng.choice(EVENTS), rng.choice([0.0, 0.1, 0.3])
        found = all_scenes(client, known, sort=sort, event=event, min_object_change=low, limit=rng.randint(1, 60))
        passing = [s for s in everything if s["event"] == event and s["object_change_share"] >= low]
        assert found == in_order(passing, sort)


def test_addresses_of_thumbnails_stay_equal_for_hours(client: TestClient, known: str) -> None:
    first, second = (all_scenes(client, known, limit=200)[7]["thumbnails"] for _ in range(2))
    assert first == second
    assert set(first) == {"pre", "post"}
    assert datetime.now().astimezone().timestamp() + 11 * 3600 < int(first["pre"].split("expires=")[1].split("&")[0])


def test_objects_have_outlines_and_areas(client: TestClient, xbd: str) -> None:
    scene = all_scenes(client, xbd, sort="-objects")[0]
    objects = client.get(f"{API}/datasets/{xbd}/scenes/{scene['name']}/objects/post").json()
    counted = {kind: sum(each["kind"] == kind for each in objects) for kind in scene["objects"]}
    assert counted == scene["objects"]
    for each in objects:
        assert each["name"]
        assert each["area"] > 0
        assert all(len(point) == 2 for ring in each["rings"] for point in ring)
    before = client.get(f"{API}/datasets/{xbd}/scenes/{scene['name']}/objects/pre").json()
    assert {each["kind"] for each in before} == {"no-damage"}
    problem_of(client.get(f"{API}/datasets/{xbd}/scenes/{scene['name']}/objects/noon"), 404)


def test_synthetic_objects_lie_inside_their_scene(client: TestClient, synthetic: str) -> None:
    scene = all_scenes(client, synthetic, sort="-objects")[0]
    objects = client.get(f"{API}/datasets/{synthetic}/scenes/{scene['name']}/objects/post").json()
    assert len(objects) == sum(scene["objects"].values())


def table_of(context: Context, name: str) -> SceneTable:
    found = context.registry.find(name)
    assert found is not None
    return found.known.table


def test_equal_lists_are_worked_out_once(client: TestClient, context: Context, known: str) -> None:
    for _ in range(2):
        all_scenes(client, known, sort="-offset", event="quake", limit=10)
    table = table_of(context, known)
    for _ in range(2):
        all_scenes(client, known, sort="-offset", event="quake", limit=10)
    assert table_of(context, known) is table
