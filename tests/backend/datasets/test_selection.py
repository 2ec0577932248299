import csv
import io
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.datasets.tables import DatasetRow, SceneMarkRow
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.scenes.filtering import matching
from pairlab.scenes.index import SceneTable
from tests.backend.conftest import API
from tests.backend.datasets.known_tables import add_known_table
from tests.backend.problem_document import problem_of
from tests.pairlab.scenes.invented_table import invented_table

TABLE = invented_table(1300, seed=5)
EXPERIMENT = """
name: selected
dataset: known
arms: {same: {pairing: {policy: same_image}}}
reference: same
"""


@pytest.fixture(autouse=True)
def known(context: Context) -> str:
    return add_known_table(context, "known", TABLE)


def flag(client: TestClient, scene: str, note: str = "") -> None:
    body = {"flagged": True, "note": note}
    assert client.put(f"{API}/datasets/known/scenes/{scene}/mark", json=body).status_code == 200


def names(client: TestClient, query: dict[str, Any]) -> list[str]:
    found, cursor = [], None
    while True:
        asked = {**query, "limit": 200} if cursor is None else {**query, "limit": 200, "cursor": cursor}
        page = client.get(f"{API}/datasets/known/scenes", params=asked).json()
        found += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def selected(table: SceneTable, wanted: SceneFilter) -> list[str]:
    return [table.scenes[row].name for row in matching(table, wanted).tolist()]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"event": ["Überflutung", "quake"], "split": "train"},
        {"min_change": 0.1, "max_no_data": 0.7, "min_offset": 1},
        {"where": ["sensor==C", "sensor=1..2", "angle=3..", "a=b=..2"], "object": "destroyed"},
        {"q": "scene-001"},
    ],
)
def test_an_exported_filter_selects_the_same_scenes_in_an_experiment(
    client: TestClient, known: str, query: dict[str, Any]
) -> None:
    exported = client.get(f"{API}/datasets/{known}/selection", params=query).json()
    listed = names(client, query)
    assert exported["total"] == len(listed) > 0
    assert selected(TABLE, SceneFilter.model_validate(exported["filter"])) == listed
    experiment = load_experiment(EXPERIMENT + exported["yaml"])
    assert experiment.scenes == SceneFilter.model_validate(exported["filter"])
    assert selected(TABLE, experiment.scenes) == listed


def test_marks_become_names(client: TestClient, known: str) -> None:
    flagged = [scene.name for scene in TABLE.scenes[5:300:9]]
    for scene in flagged:
        flag(client, scene)
    only = client.get(f"{API}/datasets/{known}/selection", params={"flagged": True, "split": "train"}).json()
    listed = names(client, {"flagged": True, "split": "train"})
    assert 0 < len(listed) < len(flagged)
    assert selected(TABLE, load_experiment(EXPERIMENT + only["yaml"]).scenes) == listed
    assert only["filter"]["only"] == listed
    without = client.get(f"{API}/datasets/{known}/selection", params={"flagged": False}).json()
    assert without["filter"] == {"without": flagged}
    assert selected(TABLE, load_experiment(EXPERIMENT + without["yaml"]).scenes) == names(client, {"flagged": False})


def test_nothing_selected_is_no_filter(client: TestClient, known: str) -> None:
    for query in ({"event": "nowhere"}, {"flagged": True}):
        problem = problem_of(client.get(f"{API}/datasets/{known}/selection", params=query), 422)
        assert "no scene passes" in problem["detail"]


def read_csv(client: TestClient, **query: object) -> list[dict[str, str]]:
    answer = client.get(f"{API}/datasets/known/selection.csv", params=query)  # type: ignore[arg-type]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="known.csv"'
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_a_table_has_a_line_per_scene_with_all_that_is_known(client: TestClient) -> None:
    flag(client, "scene-00002", 'a, b\n"c"')
    lines = read_csv(client)
    assert [line["scene"] for line in lines] == [scene.name for scene in TABLE.scenes]
    for row, line in enumerate(lines):
        assert (line["split"], line["event"]) == (TABLE.scenes[row].split, TABLE.scenes[row].event)
        assert line["acquisitions"] == "pre post"
        assert float(line["change_share"]) == TABLE.change_share[row]
        assert int(line["changed_pixels"]) == TABLE.changed_pixels[row]
        assert int(line["objects/destroyed"]) == TABLE.objects[row, 1]
        assert float(line["offset_y"] or "nan") == pytest.approx(TABLE.offset[row, 0], nan_ok=True)
        assert float(line["column/angle"] or "nan") == pytest.approx(TABLE.columns["angle"][row], nan_ok=True)
        assert line["column/empty"] == ""
    marked = [line for line in lines if line["flagged"] == "1"]
    assert [(line["scene"], line["note"]) for line in marked] == [("scene-00002", 'a, b\n"c"')]


def test_a_table_follows_filter_and_order(client: TestClient) -> None:
    query = {"split": "test", "sort": "-column/angle"}
    assert [line["scene"] for line in read_csv(client, **query)] == names(client, query)


def test_a_text_that_begins_like_a_formula_is_no_formula(client: TestClient) -> None:
    for number, note in enumerate(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "1-1"]):
        flag(client, f"scene-0000{number}", note)
    notes = [line["note"] for line in read_csv(client, flagged=True)]
    assert notes == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "1-1"]
    sensors = {line["column/sensor"] for line in read_csv(client)}
    assert sensors == {"A", "B", "'=C", "1..2", ""}
    offsets = [line["offset_x"] for line in read_csv(client) if line["offset_x"].startswith("-")]
    assert len(offsets) > 100  # numbers stay numbers
    assert all(float(offset) < 0 for offset in offsets)


def test_an_empty_table_has_its_header(client: TestClient, known: str) -> None:
    answer = client.get(f"{API}/datasets/{known}/selection.csv", params={"event": "nowhere"})
    assert answer.text.startswith("scene,split,event,")
    assert len(answer.text.splitlines()) == 1


def test_too_many_marks_do_not_fit_into_an_experiment(client: TestClient, context: Context) -> None:
    many = invented_table(8000, seed=6)
    add_known_table(context, "many", many)
    with context.database.write() as session:
        session.get_one(DatasetRow, "many").marks_version = 1
        session.flush()
        session.add_all(SceneMarkRow(dataset="many", scene=each.name, flagged=True, note="") for each in many.scenes)
    problem = problem_of(client.get(f"{API}/datasets/many/selection", params={"flagged": True}), 422)
    assert "the names of 8,000 marked scenes are too many" in problem["detail"]
    assert client.get(f"{API}/datasets/many/scenes", params={"flagged": True}).json()["total"] == 8000
