from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from backend.context import Context
from backend.datasets.distribution import histogram_of
from pairlab.scenes.index import column_of
from tests.backend.conftest import API
from tests.backend.datasets.known_tables import add_known_table
from tests.backend.datasets.test_scenes import all_scenes
from tests.pairlab.scenes.invented_table import invented_table

TABLE = invented_table(400, seed=7)


@pytest.fixture
def known(context: Context) -> str:
    return add_known_table(context, "known", TABLE)


def spread(client: TestClient, dataset: str, **query: object) -> dict[str, Any]:
    answer = client.get(f"{API}/datasets/{dataset}/distribution", params=query)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("query", [{}, {"split": "train"}, {"min_change": 0.2, "event": "quake"}, {"event": "nowhere"}])
def test_counts_are_those_of_the_listed_scenes(client: TestClient, known: str, query: dict[str, Any]) -> None:
    found, scenes = spread(client, known, **query), all_scenes(client, known, limit=200, **query)
    assert found["total"] == len(scenes)
    assert found["events"] == Counter(scene["event"] for scene in scenes)
    assert found["splits"] == Counter(scene["split"] for scene in scenes)
    assert found["objects"] == {
        kind: sum(scene["objects"][kind] for scene in scenes) for kind in ("no-damage", "destroyed")
    }
    for name in ("change_share", "object_change_share", "no_data_share", "offset"):
        values = [scene[name] for scene in scenes if scene[name] is not None]
        histogram = found["histograms"][name]
        ends = (histogram["edges"][0], histogram["edges"][-1])
        assert histogram["counts"] == np.histogram(values, bins=20, range=ends)[0].tolist()
        np.testing.assert_allclose(histogram["edges"], np.linspace(*ends, 21), atol=1e-9)
    sensors = Counter(scene["attributes"]["sensor"] for scene in scenes if scene["attributes"]["sensor"] is not None)
    assert found["columns"]["sensor"] == {"kind": "text", "values": sensors, "others": 0}
    angles = [scene["attributes"]["angle"] for scene in scenes if scene["attributes"]["angle"] is not None]
    assert sum(found["columns"]["angle"]["histogram"]["counts"]) == len(angles)


def test_selections_compare_with_the_whole(client: TestClient, known: str) -> None:
    whole, part = spread(client, known), spread(client, known, split="train")
    for name, histogram in whole["histograms"].items():
        assert part["histograms"][name]["edges"] == histogram["edges"]
        assert all(
            few <= many for few, many in zip(part["histograms"][name]["counts"], histogram["counts"], strict=True)
        )
    edges = whole["columns"]["angle"]["histogram"]["edges"]
    assert (edges[0], edges[-1]) == (np.nanmin(TABLE.columns["angle"]), np.nanmax(TABLE.columns["angle"]))


def test_the_most_frequent_texts_are_counted_and_the_rest_together(client: TestClient, context: Context) -> None:
    texts = column_of([f"text-{number % 30:02d}" if number < 390 else "text-07" for number in range(400)])
    table = replace(TABLE, columns={"text": texts})
    column = spread(client, add_known_table(context, "texts", table))["columns"]["text"]
    assert len(column["values"]) == 20
    assert next(iter(column["values"].items())) == ("text-07", 23)
    assert sum(column["values"].values()) + column["others"] == 400


def test_a_histogram_of_one_value_or_none_is_still_one() -> None:
    single = histogram_of(np.array([3.0, 3.0, np.nan]), ends=(3.0, 3.0), bins=2)
    assert single.edges == [2.5, 3.0, 3.5]
    assert single.counts == [0, 2]
    nothing = histogram_of(np.array([np.nan]), ends=(0.0, 1.0), bins=4)
    assert nothing.counts == [0, 0, 0, 0]


def test_the_report_has_the_spread_of_the_whole_dataset(client: TestClient, known: str) -> None:
    report, whole = client.get(f"{API}/datasets/{known}/report").json(), spread(client, known)
    for name in ("events", "splits", "objects", "columns", "histograms"):
        assert report[name] == whole[name], name
    assert (report["state"], report["phase"], report["progress"]) == ("ready", None, None)
    assert (report["scenes"], report["quarantined_total"], report["quarantined"]) == (400, 0, [])
    assert report["bands"] == {"names": ["red", "green", "blue"], "low": [0, 0, 0], "high": [255, 255, 255]}
    assert report["store"] == {"images": 0, "of": 800, "bytes": 0}


def test_the_report_tells_what_the_store_holds(client: TestClient, xbd: str, synthetic: str) -> None:
    store = client.get(f"{API}/datasets/{xbd}/report").json()["store"]
    assert (store["images"], store["of"]) == (20, 20)
    assert store["bytes"] >= 20 * 128 * 128 * 3
    assert client.get(f"{API}/datasets/{synthetic}/report").json()["store"] is None
