"""Labels that cannot be used: each has its own sentence and takes its tile out alone."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pairlab.scenes import xbd_labels
from pairlab.scenes.measuring import quarantined_by
from pairlab.scenes.scene import Quarantined, SceneError
from pairlab.scenes.xbd import open_xbd
from tests.pairlab.scenes.damaged_trees import (
    LABEL,
    TILE,
    snapshot,
    tile_of,
    write_sound_tree,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_sound_tree(tmp_path / "tree")


def label_refusal(folder: Path, *, others: bool = True) -> str:
    """Returns why TILE's labels are refused, having checked that the tile is listed and that the others can be read."""
    before, files = snapshot(folder.parent), len(os.listdir("/proc/self/fd"))
    source = open_xbd(folder, damage_from="minor-damage")
    sentences = []
    for read in (source.label_facts, source.change):
        with pytest.raises(SceneError) as error:
            read(tile_of(source))
        sentences.append(str(error.value))
    for scene in source.scenes:
        if others and scene.name != TILE:
            assert source.label_facts(scene).attributes["post_sensor"] == "INVENTED01"
    assert snapshot(folder.parent) == before
    assert len(os.listdir("/proc/self/fd")) == files
    assert sentences[0] == sentences[1]
    assert quarantined_by(tile_of(source), error.value) == Quarantined(TILE, LABEL, sentences[0])
    return sentences[0]


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def first(content: dict[str, Any]) -> dict[str, Any]:
    feature: dict[str, Any] = content["features"]["xy"][0]
    return feature


def test_a_label_of_another_size(tree: Path) -> None:
    edit(tree / LABEL, lambda content: content["metadata"].update(width=1024, height=1024))
    assert label_refusal(tree) == (
        f"{LABEL} describes 1024 × 1024 pixels, but its image has 64 × 64: "
        "put label and image of the same tile together"
    )


@pytest.mark.parametrize("text", ["", "{", '{"features": ', "\x00", "[" * 100_000, "\udcff"])
def test_broken_json(tree: Path, text: str) -> None:
    (tree / LABEL).write_bytes(text.encode(errors="surrogateescape"))
    message = label_refusal(tree)
    assert message.startswith(f"{LABEL} is not valid JSON (")
    assert message.endswith("): copy the file again")


def test_a_label_of_too_many_bytes_is_not_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (tree / LABEL).stat().st_size
    monkeypatch.setattr(xbd_labels, "MAX_LABEL_BYTES", size - 1)
    (tree / LABEL.replace("post", "pre")).write_text('{"features": {"xy": []}}')
    assert label_refusal(tree, others=False) == (
        f"{LABEL} has {size} bytes, more than the {size - 1} read of a label: split it"
    )


@pytest.mark.parametrize("text", ["[]", "null", "3", '"x"'])
def test_json_of_another_kind(tree: Path, text: str) -> None:
    (tree / LABEL).write_text(text)
    assert label_refusal(tree).startswith(f"{LABEL} is no xBD label: expected features and metadata, found ")


@pytest.mark.parametrize("features", [None, [], {}, {"xy": 3}, {"lng_lat": []}])
def test_a_label_without_polygons_in_pixels(tree: Path, features: object) -> None:
    edit(tree / LABEL, lambda content: content.update(features=features))
    assert (
        label_refusal(tree)
        == f"{LABEL} has no list features.xy of buildings in pixels: put the original label in its place"
    )


@pytest.mark.parametrize(
    "wkt",
    [
        None,
        3,
        "",
        "POLYGON",
        "POLYGON ((1 2, 3 4",
        "POLYGON ((1 2, 3 4, 5 6, 1 2))\ud800",
        "POLYGON ((1 2, 3 4, 5 6))",
        "POLYGON ((1 2, 3 4, 5 x, 1 2))",
        "POINT (1 2)",
        "LINESTRING (1 2, 3 4)",
        "GEOMETRYCOLLECTION (POLYGON ((1 2, 3 4, 5 6, 1 2)))",
    ],
)
def test_invalid_wkt(tree: Path, wkt: object) -> None:
    edit(tree / LABEL, lambda content: first(content).update(wkt=wkt))
    message = label_refusal(tree)
    assert f"has invalid WKT {wkt!r}: expected POLYGON ((x y, x y, …)) in pixels, closed" in message
    assert message.startswith(f"{LABEL}: building '")


@pytest.mark.parametrize("x", ["1e9", "nan", "inf", "-70000", "1e400"])
def test_polygons_from_far_away(tree: Path, x: str) -> None:
    edit(tree / LABEL, lambda content: first(content).update(wkt=f"POLYGON (({x} 2, 3 4, 5 7, {x} 2))"))
    message = label_refusal(tree)
    assert message.startswith(f"{LABEL}: building '")
    assert "invalid WKT" in message


def test_missing_uid(tree: Path) -> None:
    edit(tree / LABEL, lambda content: first(content)["properties"].pop("uid"))
    assert label_refusal(tree) == (
        f"{LABEL}: features.xy[0] has no uid, which joins a building's pre and post outline: "
        "put the original label in its place"
    )


def test_missing_properties(tree: Path) -> None:
    edit(tree / LABEL, lambda content: first(content).pop("properties"))
    assert label_refusal(tree) == f"{LABEL}: features.xy[0] has no properties: expected feature_type, subtype and uid"


def test_missing_subtype(tree: Path) -> None:
    edit(tree / LABEL, lambda content: first(content)["properties"].update(uid="u-1"))
    edit(tree / LABEL, lambda content: first(content)["properties"].pop("subtype"))
    assert label_refusal(tree) == (
        f"{LABEL}: building 'u-1' has no subtype: "
        "give one of no-damage, minor-damage, major-damage, destroyed, un-classified"
    )


@pytest.mark.parametrize("subtype", ["ruined", "", None, 3, ["destroyed"]])
def test_unknown_subtype(tree: Path, subtype: object) -> None:
    edit(tree / LABEL, lambda content: first(content)["properties"].update(uid="u-1", subtype=subtype))
    assert label_refusal(tree) == (
        f"{LABEL}: building 'u-1' has unknown subtype {subtype!r}: "
        "give one of no-damage, minor-damage, major-damage, destroyed, un-classified"
    )


def test_something_that_is_no_building(tree: Path) -> None:
    edit(tree / LABEL, lambda content: first(content)["properties"].update(uid="u-1", feature_type="road"))
    assert label_refusal(tree) == f"{LABEL}: 'u-1' has feature_type 'road'; xBD labels buildings only"


def test_a_label_that_becomes_a_pipe_after_listing_does_not_hang(tree: Path) -> None:
    source = open_xbd(tree, damage_from="minor-damage")
    (tree / LABEL).unlink()
    os.mkfifo(tree / LABEL)
    with pytest.raises(SceneError, match=f"{LABEL} is no regular file"):
        source.label_facts(tile_of(source))
