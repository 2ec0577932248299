"""The reader on 32 real xBD tiles, against the official target masks."""

import os
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.scenes.offset import estimate_offset
from pairlab.scenes.scene import IGNORE, Scene
from pairlab.scenes.xbd import XbdSource, open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint

SAMPLE = Path(
    os.environ.get("PAIRLAB_XBD_SAMPLE", Path(__file__).parents[3] / ".." / "shared" / "xbd_sample")
).resolve()

pytestmark = [
    pytest.mark.sample,
    pytest.mark.skipif(
        not (SAMPLE / "test").is_dir(),
        reason=f"THE REAL xBD TILES ARE MISSING: no {SAMPLE}/test; set PAIRLAB_XBD_SAMPLE to the sample's folder",
    ),
]

KNOWN_DIFFERENCES = {
    "mexico-earthquake_00000005_pre_disaster_target.png": 11,
    "mexico-earthquake_00000012_pre_disaster_target.png": 1,
}
"""Pixels in which the official masks differ from OpenCV's fill of their own labels."""


@pytest.fixture(scope="module")
def source() -> XbdSource:
    return open_xbd(SAMPLE, damage_from="minor-damage")


def scene_of(source: XbdSource, name: str) -> Scene:
    return next(scene for scene in source.scenes if scene.name == name)


def test_the_sample_opens_within_seconds() -> None:
    start = time.perf_counter()
    source = open_xbd(SAMPLE, damage_from="minor-damage")
    assert len(xbd_fingerprint(SAMPLE)) == 64
    assert time.perf_counter() - start < 10  # 0.25 s alone on a core
    assert Counter(scene.split for scene in source.scenes) == {"test": 26, "train": 6}
    assert Counter(scene.event for scene in source.scenes) == {
        "mexico-earthquake": 5,
        "midwest-flooding": 5,
        "santa-rosa-wildfire": 8,
        "hurricane-michael": 8,
        "guatemala-volcano": 6,
    }
    assert {(scene.height, scene.width) for scene in source.scenes} == {(1024, 1024)}
    listing = list_xbd(SAMPLE)
    assert listing.scenes == source.scenes
    assert listing.quarantined == ()


def test_masks_are_the_official_targets_up_to_two_known_ones(source: XbdSource) -> None:
    differences = {}
    targets = sorted((SAMPLE / "test" / "targets").glob("*.png"))
    for path in targets:
        name, date, _, _ = path.stem.rsplit("_", 3)
        mask = source.mask(scene_of(source, name), date, "building" if date == "pre" else "damage_levels")
        # The official post targets drop un-classified buildings to background.
        official = np.where(mask == IGNORE, 0, mask)
        target = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        different = int((official != target).sum())
        if different:
            differences[path.name] = different
    assert len(targets) == 20
    assert differences == KNOWN_DIFFERENCES


def test_a_tile_without_polygons(source: XbdSource) -> None:
    scene = scene_of(source, "guatemala-volcano_00000008")
    assert not source.mask(scene, "pre", "building").any()
    assert not source.mask(scene, "post", "damage_levels").any()
    maps = source.change(scene)
    assert not maps.objects.any()
    assert not maps.unknown.any()


def test_all_five_subtypes_in_one_tile(source: XbdSource) -> None:
    scene = scene_of(source, "hurricane-michael_00000264")
    assert np.unique(source.mask(scene, "post", "damage_levels")).tolist() == [0, 1, 2, 3, 4, IGNORE]
    assert np.unique(source.mask(scene, "post", "intact_damaged")).tolist() == [0, 1, 2, IGNORE]
    assert np.unique(source.mask(scene, "post", "intact_damaged", unclassified="no-damage")).tolist() == [0, 1, 2]
    assert np.unique(source.mask(scene, "pre", "intact_damaged")).tolist() == [0, 1]


def test_relevant_change_is_damage_and_un_classified_is_unknown(source: XbdSource) -> None:
    for scene in source.scenes:
        levels = source.mask(scene, "post", "damage_levels")
        maps = source.change(scene)
        np.testing.assert_array_equal(maps.changed, (levels >= 2) & (levels != IGNORE))
        np.testing.assert_array_equal(maps.unknown, levels == IGNORE)
        before = source.mask(scene, "pre", "building")
        np.testing.assert_array_equal(maps.objects, (levels > 0) | (before > 0))


def test_un_classified_buildings_can_count_as_intact_or_as_a_class(source: XbdSource) -> None:
    for scene in source.scenes:
        ignored, intact, own = (
            source.mask(scene, "post", "damage_levels", unclassified=choice)
            for choice in ("ignore", "no-damage", "own-class")
        )
        np.testing.assert_array_equal(intact, np.where(ignored == IGNORE, 1, ignored))
        np.testing.assert_array_equal(own, np.where(ignored == IGNORE, 5, ignored))


def test_black_strips_are_not_valid(source: XbdSource) -> None:
    black = {scene.name: int((~source.change(scene).valid).sum()) for scene in source.scenes}
    assert {name: pixels for name, pixels in black.items() if pixels} == {
        "guatemala-volcano_00000000": 137_090,
        "guatemala-volcano_00000001": 110_950,
        "mexico-earthquake_00000012": 19_992,
        "santa-rosa-wildfire_00000038": 7_518,
    }


def test_metadata_of_both_dates(source: XbdSource) -> None:
    scene = scene_of(source, "hurricane-michael_00000264")
    before, after = (source.metadata(scene, date) for date in scene.acquisitions)
    assert (before["sensor"], after["sensor"]) == ("WORLDVIEW02", "GEOEYE01")
    assert after["off_nadir_angle"] == pytest.approx(28.86673)
    attributes = source.label_facts(scene).attributes
    assert attributes["post_date"] == "2018-10-13"
    assert attributes["post_sensor"] == "GEOEYE01"


def test_objects_are_the_buildings_of_the_label(source: XbdSource) -> None:
    kinds = Counter(int(kind) for scene in source.scenes for kind in source.label_facts(scene).objects.kind)
    texts = [path.read_text() for path in SAMPLE.glob("*/labels/*_post_disaster.json")]
    assert [kinds[code] for code in range(5)] == [
        sum(text.count(f'"subtype": "{subtype}"') for text in texts) // 2  # in pixels and in degrees
        for subtype in source.object_classes
    ]


def test_places_are_a_tile_apart_and_of_one_town(source: XbdSource) -> None:
    """Tiles adjoin and measure 0.45 to 0.5 m a pixel; `gsd` would have placed them up to 1.5 km off."""
    places = {scene.name: source.label_facts(scene).location for scene in source.scenes}
    assert [name for name, place in places.items() if place is None] == ["guatemala-volcano_00000008"]
    spans = {}
    for event in {scene.event for scene in source.scenes}:
        known = np.array([places[s.name] for s in source.scenes if s.event == event and places[s.name] is not None])
        apart = np.hypot(*(known[:, None] - known[None]).transpose(2, 0, 1))[~np.eye(len(known), dtype=bool)]
        assert apart.min() > 440
        spans[event] = apart.max()
    assert max(spans.values()) < 20_000
    # Side by side in the sample: the distance is the tile's own height or width, 1024 pixels of 0.45 to 0.49 m.
    for one, other, metres in (
        ("guatemala-volcano_00000000", "guatemala-volcano_00000001", 504),
        ("hurricane-michael_00000082", "hurricane-michael_00000198", 480),
        ("santa-rosa-wildfire_00000045", "santa-rosa-wildfire_00000123", 460),
    ):
        assert np.hypot(*(np.array(places[one], float) - np.array(places[other], float))) == pytest.approx(
            metres, abs=3
        )


def test_offsets_are_plausible_where_they_are_confident(source: XbdSource) -> None:
    found = {s.name: estimate_offset(source.image(s, "pre"), source.image(s, "post")) for s in source.scenes}
    confident = {name: np.hypot(y, x) for name, (y, x, confidence) in found.items() if confidence >= 0.1}
    assert len(confident) >= 20
    assert max(confident.values()) <= 30
    assert 1 <= np.median(list(confident.values())) <= 10


def test_content_that_was_moved_is_found_moved(source: XbdSource) -> None:
    """The real post image, moved by a known number of pixels, is found that much farther away."""
    for name in ("hurricane-michael_00000264", "santa-rosa-wildfire_00000074", "mexico-earthquake_00000010"):
        scene = scene_of(source, name)
        before, after = source.image(scene, "pre"), source.image(scene, "post")
        y, x, _ = estimate_offset(before[40:-40, 40:-40], after[40:-40, 40:-40])
        moved_y, moved_x, _ = estimate_offset(before[40:-40, 40:-40], after[32:-48, 52:-28])
        assert (moved_y - y, moved_x - x) == pytest.approx((8, -12), abs=1.5)
