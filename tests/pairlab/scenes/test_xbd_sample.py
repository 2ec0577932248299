"""The reader on 32 real xBD tiles, against the official target masks."""

import os
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.scenes.scene import IGNORE, Scene
from pairlab.scenes.xbd import XbdSource, open_xbd, xbd_fingerprint

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
    assert source.warnings == ("1 of 32 tiles have no building",)


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
        assert maps.objects[levels > 0].all()


def test_black_strips_are_not_valid(source: XbdSource) -> None:
    black = {scene.name: int((~source.change(scene).valid).sum()) for scene in source.scenes}
    assert {name: pixels for name, pixels in black.items() if pixels} == {
        "guatemala-volcano_00000000": 137_090,
        "guatemala-volcano_00000001": 110_950,
        "mexico-earthquake_00000012": 19_992,
        "santa-rosa-wildfire_00000038": 7_518,
    }


def test_metadata_of_both_dates(source: XbdSource) -> None:
    metadata = scene_of(source, "hurricane-michael_00000264").metadata
    assert (metadata["pre"]["sensor"], metadata["post"]["sensor"]) == ("WORLDVIEW02", "GEOEYE01")
    assert metadata["post"]["off_nadir_angle"] == pytest.approx(28.86673)
