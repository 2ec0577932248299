"""Relevant change of xBD, as it is counted and paired."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.experiment.pairing import Pairing, Places
from pairlab.pairing.drawing import draw_pairs
from pairlab.scenes.measuring import build_index
from pairlab.scenes.xbd import DamageFrom, no_data, open_xbd
from tests.pairlab.scenes.one_tile import tile_of
from tests.pairlab.scenes.xbd_tree import (
    SUBTYPES,
    rectangle,
    wkt,
)

ANY_SUBTYPE = rectangle(10, 10, 20, 20)


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


def test_buildings_are_joined_by_uid_whatever_their_order_and_their_subtype_before(tmp_path: Path) -> None:
    places = [rectangle(2 + 12 * i, 20, 8, 8) for i in range(5)]
    boxes = [(subtype, place, place) for subtype, place in zip(SUBTYPES, places, strict=True)]
    _, scene = tile_of(tmp_path, *boxes)
    expected = open_xbd(tmp_path, damage_from="major-damage").change(scene)
    path = tmp_path / "train" / "labels" / f"{scene.name}_pre_disaster.json"
    before = json.loads(path.read_text())
    before["features"]["xy"].reverse()
    for entry in before["features"]["xy"]:
        entry["properties"]["subtype"] = "destroyed"  # nothing is, before the disaster
    path.write_text(json.dumps(before))
    found = open_xbd(tmp_path, damage_from="major-damage").change(scene)
    assert found.changed.sum() == 2 * 81
    for name in ("changed", "objects", "unknown"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_chips_with_un_classified_buildings_alone_are_unknown_and_never_clean(tmp_path: Path) -> None:
    shown = [("un-classified", 4, 4, 8), ("destroyed", 36, 4, 8), ("no-damage", 4, 36, 8), ("un-classified", 52, 4, 6)]
    boxes = [(subtype, rectangle(x, y, side, side)) for subtype, x, y, side in shown]
    source, _ = tile_of(tmp_path, *((subtype, box, box) for subtype, box in boxes))
    chips = build_index(source).chips(32)
    assert chips.unknown.tolist() == [True, False, False, False]  # a known change makes a chip noisy, whatever else
    assert chips.unknown_pixels.tolist() == [81, 49, 0, 0]
    assert chips.changed_pixels.tolist() == [0, 81, 0, 0]
    assert chips.object_pixels.tolist() == [81, 81 + 49, 81, 0]
    assert chips.objects.tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [1, 0, 0, 0, 0], [0] * 5]
    pairing = Pairing(policy="temporal", pairs=4)
    drawn = draw_pairs(chips, acquisitions=("pre", "post"), pairing=pairing, places=Places(), seed=0)
    assert drawn.pool == {"chips": 4, "noisy": 1, "clean": 2, "unknown": 1}


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
