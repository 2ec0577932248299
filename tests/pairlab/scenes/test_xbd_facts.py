"""What xBD labels say of a tile beside its pixels: buildings, columns, metadata, and where it lies."""

import json
from pathlib import Path

import numpy as np
import pytest

from pairlab.scenes.places import EARTH_RADIUS, on_the_plane
from pairlab.scenes.scene import SceneError
from pairlab.scenes.xbd import open_xbd
from tests.pairlab.scenes.one_tile import tile_of
from tests.pairlab.scenes.xbd_tree import (
    SUBTYPES,
    place_of,
    rectangle,
    write_tile,
    write_xbd_tree,
)

ANY_SUBTYPE = rectangle(10, 10, 20, 20)


def test_metadata_is_what_the_label_says_per_acquisition(tmp_path: Path) -> None:
    source, scene = tile_of(tmp_path)
    before, after = (source.metadata(scene, date) for date in scene.acquisitions)
    assert before["capture_date"] == "2018-03-04T16:00:00.000Z"
    assert after["capture_date"] == "2018-09-10T16:00:00.000Z"
    assert after["sensor"] == "INVENTED01"
    with pytest.raises(SceneError, match="has no acquisition 't2': choose pre or post"):
        source.metadata(scene, "t2")


def test_metadata_holds_plain_finite_values_alone(tmp_path: Path) -> None:
    tile_of(tmp_path)
    path = tmp_path / "train" / "labels" / "testville-flooding_00000001_pre_disaster.json"
    path.write_text(
        '{"features": {"xy": []}, "metadata": {"gsd": NaN, "pan": 1e999, "nested": {"a": 1}, "sensor": "X", '
        '"width": 64, "id": "half a character: \\ud800"}}'
    )
    source = open_xbd(tmp_path, damage_from="destroyed")
    assert source.metadata(source.scenes[0], "pre") == {"gsd": None, "sensor": "X", "width": 64}


def test_facts_of_a_tile(tmp_path: Path) -> None:
    boxes = [(subtype, rectangle(2, 20, 4, 8), rectangle(4 + 12 * i, 20, 4, 8)) for i, subtype in enumerate(SUBTYPES)]
    source, scene = tile_of(tmp_path, *boxes)
    facts = source.label_facts(scene)
    assert source.object_classes == SUBTYPES
    assert facts.objects.kind.tolist() == [0, 1, 2, 3, 4]
    assert facts.objects.y.tolist() == [24] * 5
    assert facts.objects.x.tolist() == [6, 18, 30, 42, 54]  # as the last acquisition shows them
    assert facts.attributes == {
        "folder": "train",
        "disaster_type": "flooding",
        "pre_sensor": "INVENTED01",
        "pre_date": "2018-03-04",
        "pre_off_nadir_angle": 20.5,
        "pre_sun_elevation": 45.0,
        "pre_sun_azimuth": 160.0,
        "pre_gsd": 2.0,
        "post_sensor": "INVENTED01",
        "post_date": "2018-09-10",
        "post_off_nadir_angle": 20.5,
        "post_sun_elevation": 45.0,
        "post_sun_azimuth": 160.0,
        "post_gsd": 2.0,
        "off_nadir_difference": 0.0,
    }


def test_metadata_of_any_kind_become_columns_of_one_kind(tmp_path: Path) -> None:
    source, scene = tile_of(tmp_path)
    path = tmp_path / "train" / "labels" / f"{scene.name}_post_disaster.json"
    metadata = {"sensor": 3, "capture_date": None, "off_nadir_angle": "20", "sun_elevation": True, "gsd": 10**400}
    path.write_text(json.dumps({"features": {"xy": []}, "metadata": metadata}))
    attributes = source.label_facts(scene).attributes
    assert {name: attributes[f"post_{name}"] for name in ("sensor", "date", "off_nadir_angle", "sun_elevation")} == {
        "sensor": None,
        "date": None,
        "off_nadir_angle": None,
        "sun_elevation": None,
    }
    assert attributes["post_gsd"] is None
    assert attributes["off_nadir_difference"] is None
    assert attributes["pre_gsd"] == 2.0


def test_outlines_are_the_buildings_of_their_acquisition(tmp_path: Path) -> None:
    source, scene = tile_of(tmp_path, ("destroyed", rectangle(5, 5, 10, 10), rectangle(8, 5, 10.4, 10.6)))
    (before,), (after,) = (source.outlines(scene, date) for date in scene.acquisitions)
    assert before.name == after.name
    assert (before.kind, after.kind) == ("no-damage", "destroyed")
    assert after.rings[0].tolist() == [[8, 5], [18, 5], [18, 16], [8, 16], [8, 5]]


def test_places_are_metres_on_one_plane(tmp_path: Path) -> None:
    """Neighbours are 128 pixels of 0.5 m apart, whatever their event; north is up."""
    write_xbd_tree(tmp_path, seed=3, scenes_per_split={"train": 2, "test": 2})
    source = open_xbd(tmp_path, damage_from="minor-damage")
    places = {int(scene.name[-8:]): source.label_facts(scene).location for scene in source.scenes}
    for number in range(3):
        (x, y), (next_x, next_y) = (np.array(places[number]), np.array(places[number + 1]))
        assert next_x - x == pytest.approx(64.0, abs=0.05)
        assert next_y == pytest.approx(y, abs=0.05)
    for scene in source.scenes:
        middle = np.radians(place_of(int(scene.name[-8:]), size=128)[1]) * EARTH_RADIUS - 32
        assert places[int(scene.name[-8:])][1] == pytest.approx(middle, abs=0.05)  # type: ignore[index]


@pytest.mark.parametrize("longitude", [0.0, 0.49999, 0.5, -73.50001, -179.99999])
@pytest.mark.parametrize("latitude", [0.0, -33.0, 71.0])
def test_the_centre_of_a_tile_on_the_edge_of_a_meridian(tmp_path: Path, longitude: float, latitude: float) -> None:
    write_tile(
        tmp_path / "train",
        "testville-flooding_00000001",
        rng=np.random.default_rng(0),
        size=64,
        outlines=[("destroyed", rectangle(20, 1, 7, 9), rectangle(22, 1, 7, 9))],
        corner=(longitude, latitude),
    )
    source = open_xbd(tmp_path, damage_from="minor-damage")
    side = np.degrees(64 * 0.5 / EARTH_RADIUS)
    x, y = on_the_plane(longitude + side / 2 / np.cos(np.radians(latitude)), latitude - side / 2)
    assert source.label_facts(source.scenes[0]).location == pytest.approx((float(x), float(y)), abs=0.05)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "POINT (1 2)",
        "POLYGON EMPTY",
        "POLYGON ((30 50, 30 51, 31 51, 30 50))",  # three corners of a building with four
        "POLYGON ((30 50, 30 50, 30 50, 30 50, 30 50))",
        "POLYGON ((nan 50, 30 51, 31 51, 31 50, nan 50))",
        "POLYGON ((300 50, 300 51, 301 51, 301 50, 300 50))",
        "POLYGON ((30 86, 30 87, 31 87, 31 86, 30 86))",
    ],
)
def test_a_tile_whose_degrees_say_nothing_has_no_place(tmp_path: Path, text: str | None) -> None:
    source, scene = tile_of(tmp_path, ("destroyed", ANY_SUBTYPE, ANY_SUBTYPE))
    for date in scene.acquisitions:
        path = tmp_path / "train" / "labels" / f"{scene.name}_{date}_disaster.json"
        content = json.loads(path.read_text())
        content["features"]["lng_lat"] = [{"wkt": text}]
        path.write_text(json.dumps(content))
    assert source.label_facts(scene).location is None
