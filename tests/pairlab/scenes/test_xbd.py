"""The reader on small generated trees: masks, relevant change, laziness, threads."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.protocols import LabelScheme, Unclassified
from pairlab.scenes import xbd
from pairlab.scenes.places import EARTH_RADIUS, on_the_plane
from pairlab.scenes.scene import IGNORE, Scene, SceneError, SceneSource
from pairlab.scenes.xbd import DamageFrom, no_data, open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint
from pairlab.scenes.xbd_labels import paint, read_label
from tests.pairlab.scenes.xbd_tree import (
    SUBTYPES,
    Corners,
    place_of,
    rectangle,
    wkt,
    write_label,
    write_tile,
    write_xbd_tree,
)

ANY_SUBTYPE = rectangle(10, 10, 20, 20)


def tile_of(folder: Path, *outlines: tuple[str, Corners, Corners], size: int = 64) -> tuple[xbd.XbdSource, Scene]:
    write_tile(
        folder / "train", "testville-flooding_00000001", rng=np.random.default_rng(0), size=size, outlines=outlines
    )
    source = open_xbd(folder, damage_from="minor-damage")
    return source, source.scenes[0]


def test_scenes_carry_name_split_event_and_size(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path, seed=1, scenes_per_split={"train": 2, "tier3": 1, "hold": 1, "test": 1}, size=96)
    source: SceneSource = open_xbd(tmp_path, damage_from="minor-damage")
    assert [(scene.name, scene.split, scene.event) for scene in source.scenes] == [
        ("sampleton-wildfire_00000001", "train", "sampleton-wildfire"),
        ("sampleton-wildfire_00000003", "validation", "sampleton-wildfire"),
        ("testville-flooding_00000000", "train", "testville-flooding"),
        ("testville-flooding_00000002", "train", "testville-flooding"),
        ("testville-flooding_00000004", "test", "testville-flooding"),
    ]
    assert {(scene.acquisitions, scene.height, scene.width) for scene in source.scenes} == {(("pre", "post"), 96, 96)}


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


def test_images_are_rgb_and_read_only(tmp_path: Path) -> None:
    source, scene = tile_of(tmp_path, ("no-damage", ANY_SUBTYPE, ANY_SUBTYPE))
    image = source.image(scene, "pre")
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    red, green, blue = image[20, 20]
    assert red > green > blue  # buildings are written as (200, 90, 60)
    assert source.image(scene, "pre") is image
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0] = 0
    assert source.image(scene, "pre", state="pre") is image


LEVELS: dict[LabelScheme, list[int]] = {
    "building": [1, 1, 1, 1],
    "intact_damaged": [1, 2, 2, 2],
    "damage_levels": [1, 2, 3, 4],
}


@pytest.mark.parametrize(
    ("scheme", "unclassified", "expected", "names"),
    [
        ("building", "ignore", IGNORE, ("background", "building")),
        ("building", "no-damage", 1, ("background", "building")),
        ("building", "own-class", 1, ("background", "building")),
        ("intact_damaged", "ignore", IGNORE, ("background", "intact", "damaged")),
        ("intact_damaged", "no-damage", 1, ("background", "intact", "damaged")),
        ("intact_damaged", "own-class", 3, ("background", "intact", "damaged", "un-classified")),
        ("damage_levels", "ignore", IGNORE, ("background", *SUBTYPES[:4])),
        ("damage_levels", "no-damage", 1, ("background", *SUBTYPES[:4])),
        ("damage_levels", "own-class", 5, ("background", *SUBTYPES)),
    ],
)
def test_each_subtype_becomes_its_class(
    tmp_path: Path, scheme: LabelScheme, unclassified: Unclassified, expected: int, names: tuple[str, ...]
) -> None:
    boxes = [rectangle(2 + 12 * position, 20, 8, 8) for position in range(5)]
    source, scene = tile_of(tmp_path, *((subtype, box, box) for subtype, box in zip(SUBTYPES, boxes, strict=True)))
    after, before = (source.mask(scene, date, scheme, unclassified=unclassified) for date in ("post", "pre"))
    centres = [6 + 12 * position for position in range(5)]
    assert after[24, centres].tolist() == [*LEVELS[scheme], expected]
    assert before[24, centres].tolist() == [1] * 5  # before the disaster every building is intact, and none is unknown
    assert (after > 0).sum() == (before > 0).sum() == 5 * 81  # OpenCV paints the outline too: 9 × 9
    assert after.dtype == np.uint8
    assert source.classes(scheme, unclassified=unclassified) == names
    if unclassified == "ignore":
        assert np.array_equal(source.mask(scene, "post", scheme), after)
        assert source.classes(scheme) == names


@pytest.mark.parametrize(("damage_from", "damaged"), [("minor-damage", 3), ("major-damage", 2), ("destroyed", 1)])
def test_damage_from_moves_the_border_of_damaged_and_of_change(
    tmp_path: Path, damage_from: DamageFrom, damaged: int
) -> None:
    boxes = [
        (subtype, box, box)
        for subtype, box in zip(SUBTYPES, (rectangle(2 + 12 * i, 20, 8, 8) for i in range(5)), strict=True)
    ]
    tile_of(tmp_path, *boxes)
    source = open_xbd(tmp_path, damage_from=damage_from)
    assert (source.mask(source.scenes[0], "post", "intact_damaged") == 2).sum() == damaged * 81
    maps = source.change(source.scenes[0])
    assert (maps.changed.sum(), maps.unknown.sum(), maps.objects.sum()) == (damaged * 81, 81, 5 * 81)


def test_a_hole_is_background(tmp_path: Path) -> None:
    tile_of(tmp_path)
    ring = wkt(rectangle(10, 10, 30, 30), rectangle(20, 20, 10, 10))
    path = tmp_path / "train" / "labels" / "testville-flooding_00000001_pre_disaster.json"
    write_label(path, [{"properties": {"feature_type": "building", "uid": "a"}, "wkt": ring}], size=64)
    source = open_xbd(tmp_path, damage_from="minor-damage")
    mask = source.mask(source.scenes[0], "pre", "building")
    assert (mask[12, 12], mask[25, 25], mask[38, 38], mask[50, 50]) == (1, 0, 1, 0)


def test_all_parts_of_a_multipolygon_are_painted(tmp_path: Path) -> None:
    tile_of(tmp_path)
    text = "MULTIPOLYGON (((2 2, 8 2, 8 8, 2 8, 2 2)), ((20 20, 28 20, 28 28, 20 28, 20 20)))"
    path = tmp_path / "train" / "labels" / "testville-flooding_00000001_pre_disaster.json"
    write_label(path, [{"properties": {"feature_type": "building", "uid": "a"}, "wkt": text}], size=64)
    source = open_xbd(tmp_path, damage_from="minor-damage")
    assert source.mask(source.scenes[0], "pre", "building").sum() == 7 * 7 + 9 * 9


def test_later_polygons_lie_over_earlier_ones(tmp_path: Path) -> None:
    under, over = rectangle(10, 10, 30, 30), rectangle(20, 20, 10, 10)
    source, scene = tile_of(tmp_path, ("destroyed", under, under), ("no-damage", over, over))
    mask = source.mask(scene, "post", "damage_levels")
    assert (mask[15, 15], mask[25, 25]) == (4, 1)
    assert not source.change(scene).changed[25, 25]


def test_what_lies_outside_the_tile_is_cut_off(tmp_path: Path) -> None:
    beyond = rectangle(-30, -5, 40, 200)
    outside = rectangle(100, 100, 20, 20)
    source, scene = tile_of(tmp_path, ("destroyed", beyond, beyond), ("destroyed", outside, outside))
    mask = source.mask(scene, "post", "building")
    assert mask[:, :11].all()
    assert not mask[:, 11:].any()


def test_a_tile_without_polygons_is_background_without_change(tmp_path: Path) -> None:
    source, scene = tile_of(tmp_path)
    maps = source.change(scene)
    assert not source.mask(scene, "post", "damage_levels").any()
    assert not maps.objects.any()
    assert not maps.changed.any()
    assert maps.valid.all()
    facts = source.label_facts(scene)
    assert len(facts.objects.kind) == 0
    assert facts.location is None


def test_change_lies_on_the_post_footprint_and_a_moved_outline_is_none(tmp_path: Path) -> None:
    source, scene = tile_of(
        tmp_path,
        ("major-damage", rectangle(5, 5, 10, 10), rectangle(8, 5, 10, 10)),
        ("no-damage", rectangle(35, 35, 10, 10), rectangle(39, 35, 10, 10)),
    )
    maps = source.change(scene)
    assert np.argwhere(maps.changed).min(axis=0).tolist() == [5, 8]
    assert maps.changed.sum() == 11 * 11
    assert maps.objects.sum() == 11 * 14 + 11 * 15
    assert not maps.unknown.any()


def test_buildings_on_one_date_only_are_unknown(tmp_path: Path) -> None:
    box = rectangle(10, 10, 10, 10)
    tile_of(tmp_path, ("destroyed", box, box))
    labels = tmp_path / "train" / "labels"
    before = json.loads((labels / "testville-flooding_00000001_pre_disaster.json").read_text())
    before["features"]["xy"][0]["properties"]["uid"] = "another"
    before["features"]["xy"][0]["wkt"] = wkt(rectangle(30, 30, 10, 10))
    (labels / "testville-flooding_00000001_pre_disaster.json").write_text(json.dumps(before))
    source = open_xbd(tmp_path, damage_from="minor-damage")
    maps = source.change(source.scenes[0])
    assert not maps.changed.any()
    assert maps.unknown.sum() == maps.objects.sum() == 2 * 11 * 11


def test_official_rule_on_generated_targets(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path, seed=3, scenes_per_split={"test": 4}, size=160, buildings=14)
    source = open_xbd(tmp_path, damage_from="minor-damage")
    for scene in source.scenes:
        for date, scheme in (("pre", "building"), ("post", "damage_levels")):
            target = cv2.imread(
                str(tmp_path / f"test/targets/{scene.name}_{date}_disaster_target.png"), cv2.IMREAD_UNCHANGED
            )
            mask = source.mask(scene, date, scheme)  # type: ignore[arg-type]
            np.testing.assert_array_equal(np.where(mask == IGNORE, 0, mask), target)


def test_black_strips_are_no_data_and_dark_specks_are_not() -> None:
    image = np.full((64, 64, 3), 90, np.uint8)
    image[:, :5] = 0
    image[30:40, 30:40] = 0  # 100 pixels: a shadow
    image[50, 20:40] = (0, 0, 1)
    expected = np.zeros((64, 64), bool)
    expected[:, :5] = True
    np.testing.assert_array_equal(no_data(image), expected)
    assert not no_data(np.full((64, 64, 3), 1, np.uint8)).any()
    assert no_data(np.zeros((64, 64, 3), np.uint8)).all()


def test_pixels_without_data_on_either_date_are_not_valid(tmp_path: Path) -> None:
    _, scene = tile_of(tmp_path, size=64)
    for date, rows in (("pre", slice(0, 6)), ("post", slice(58, 64))):
        path = tmp_path / "train" / "images" / f"{scene.name}_{date}_disaster.png"
        image = np.array(cv2.imread(str(path)))
        image[rows] = 0
        cv2.imwrite(str(path), image)
    valid = open_xbd(tmp_path, damage_from="minor-damage").change(scene).valid
    assert valid.sum() == 64 * 52
    assert valid[6:58].all()


def test_two_openings_and_threads_see_the_same(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path, seed=5, size=96)
    one, other = (open_xbd(tmp_path, damage_from="minor-damage") for _ in range(2))
    expected = [
        (one.image(s, "post").sum(), one.mask(s, "post", "damage_levels").sum(), one.change(s).changed.sum())
        for s in one.scenes
    ]
    seen: list[object] = []

    def read() -> None:
        seen.append(
            [
                (
                    other.image(s, "post").sum(),
                    other.mask(s, "post", "damage_levels").sum(),
                    other.change(s).changed.sum(),
                )
                for s in other.scenes
            ]
        )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert seen == [expected] * 4


def test_listing_and_the_labels_decode_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_xbd_tree(tmp_path, seed=7, scenes_per_split={"train": 3}, events=["testville-flooding"])
    (tmp_path / f"train/labels/{names[0]}_post_disaster.json").write_text("{")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(xbd, "decode_png", refuse)
    monkeypatch.setattr("cv2.imdecode", refuse)
    listing = list_xbd(tmp_path)
    source = open_xbd(tmp_path, damage_from="minor-damage")
    assert source.scenes == listing.scenes
    assert not listing.quarantined
    first, second, _ = source.scenes
    assert source.label_facts(second).attributes["post_sensor"] == "INVENTED01"
    assert source.change(second, pixels=False).changed.any()
    for read in (lambda: source.label_facts(first), lambda: source.change(first, pixels=False)):
        with pytest.raises(SceneError, match=f"train/labels/{names[0]}_post_disaster.json is not valid JSON"):
            read()


def test_scenes_of_an_index_are_opened_without_looking_at_the_folder(tmp_path: Path) -> None:
    names = write_xbd_tree(tmp_path, seed=7, scenes_per_split={"train": 3}, events=["testville-flooding"])
    scenes = list_xbd(tmp_path).scenes[1:]
    (tmp_path / f"train/images/{names[0]}_post_disaster.png").unlink()
    source = open_xbd(tmp_path, damage_from="minor-damage", scenes=scenes)
    assert source.scenes == scenes
    assert source.image(scenes[0], "post").shape == (128, 128, 3)


def test_change_without_pixels_takes_all_of_them_as_valid(tmp_path: Path) -> None:
    source, scene = tile_of(tmp_path, ("destroyed", ANY_SUBTYPE, ANY_SUBTYPE))
    path = tmp_path / "train" / "images" / f"{scene.name}_post_disaster.png"
    cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
    labels, pixels = source.change(scene, pixels=False), source.change(scene)
    assert labels.valid.all()
    assert not pixels.valid.any()
    for name in ("changed", "objects", "unknown"):
        assert np.array_equal(getattr(labels, name), getattr(pixels, name))
        assert getattr(labels, name).sum() == (441 if name != "unknown" else 0)


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


def test_fingerprint_follows_content_and_not_place(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    names = write_xbd_tree(first, seed=2)
    write_xbd_tree(second, seed=2)
    print_of = xbd_fingerprint(first)
    assert len(print_of) == 64
    assert int(print_of, 16) > 0
    assert xbd_fingerprint(second) == print_of
    label = second / f"train/labels/{names[0]}_post_disaster.json"
    label.write_text(label.read_text().replace("minor-damage", "major-damage"))
    assert xbd_fingerprint(second) != print_of
    label.write_text((first / f"train/labels/{names[0]}_post_disaster.json").read_text())
    assert xbd_fingerprint(second) == print_of
    (second / f"test/targets/{names[-1]}_post_disaster_target.png").unlink()
    assert xbd_fingerprint(second) == print_of  # targets are not read
    (second / f"train/images/{names[0]}_post_disaster.png").rename(
        second / "train/images/other-fire_00000099_post_disaster.png"
    )
    assert xbd_fingerprint(second) != print_of


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    names = write_xbd_tree(tmp_path, seed=2, scenes_per_split={"train": 2})
    (tmp_path / "train" / "images" / "notes.txt").write_text("")
    (tmp_path / "train" / "images" / ".DS_Store").write_text("")
    (tmp_path / "hold").mkdir()
    (tmp_path / "papers").mkdir()
    for date in ("pre", "post"):
        (tmp_path / f"train/images/{names[0]}_{date}_disaster.png").unlink()
    listing = list_xbd(tmp_path)
    assert [scene.name for scene in listing.scenes] == [names[1]]
    assert listing.quarantined == ()
    assert listing.warnings == (
        "folder 'papers' is no split of xBD (train, tier3, test, hold) and was left out",
        "1 file in train/images not named <event>_<8 digits>_{pre,post}_disaster.png left out: notes.txt",
        f"2 labels in train/labels without image left out: {names[0]}_post_disaster, {names[0]}_pre_disaster",
        "hold has no images and was left out",
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda source, scene: source.image(scene, "t3"), "has no acquisition 't3': choose pre or post"),
        (
            lambda source, scene: source.image(scene, "pre", state="post"),
            "is a photograph and cannot be rendered again",
        ),
        (
            lambda source, scene: source.mask(scene, "pre", "object_states"),
            "xBD has no label scheme 'object_states': choose",
        ),
        (
            lambda source, _: source.image(Scene("../../etc", "train", "etc", ("pre",), 1, 1), "pre"),
            r"no scene '\.\./\.\./etc' in this dataset",
        ),
    ],
)
def test_questions_it_cannot_answer(
    tmp_path: Path, call: Callable[[xbd.XbdSource, Scene], object], message: str
) -> None:
    source, scene = tile_of(tmp_path)
    with pytest.raises(SceneError, match=message):
        call(source, scene)


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.floats(-40, 100, allow_nan=False), st.floats(-40, 100, allow_nan=False)), min_size=3, max_size=8
    )
)
def test_painting_follows_the_opencv_rule_for_any_polygon(
    tmp_path_factory: pytest.TempPathFactory, points: list[tuple[float, float]]
) -> None:
    corners = np.array(points)
    text = f"POLYGON (({', '.join(f'{x!r} {y!r}' for x, y in [*points, points[0]])}))"
    path = tmp_path_factory.getbasetemp() / "any_00000001_pre_disaster.json"
    write_label(path, [{"properties": {"uid": "a"}, "wkt": text}], size=64)
    label = read_label(path, name="x", acquisition="pre", height=64, width=64)
    expected = np.zeros((64, 64), np.uint8)
    cv2.fillPoly(expected, [np.round(corners).astype(np.int32)], 1)
    assert np.array_equal(paint(label, [1], height=64, width=64), expected)
