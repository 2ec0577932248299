"""The reader on small generated trees: scenes, images, masks, laziness, threads."""

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
from pairlab.scenes.scene import IGNORE, Scene, SceneError, SceneSource
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint
from pairlab.scenes.xbd_labels import paint, read_label
from tests.pairlab.scenes.one_tile import tile_of
from tests.pairlab.scenes.xbd_tree import (
    SUBTYPES,
    rectangle,
    wkt,
    write_label,
    write_xbd_tree,
)

ANY_SUBTYPE = rectangle(10, 10, 20, 20)


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
