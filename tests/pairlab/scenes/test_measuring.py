"""What a scene contributes, against a count of its pixels one by one."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.scenes.index import CELL, COUNTS, ChipIndex
from pairlab.scenes.measuring import build_index, index_of, look_at_pixels, measure_labels, quarantined_by, with_pixels
from pairlab.scenes.scene import Quarantined, Scene, SceneError, SceneFiles, SceneSource
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.scenes.counted_scenes import KINDS, CountedScenes

SIDES = st.integers(1, 150)
SIZES = st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5)


def assert_chips_are_what_is_counted(source: SceneSource, chips: ChipIndex, *, pixels: bool) -> None:
    """Checks every chip, and that there is one for every whole window, by slicing the maps."""
    size, row = chips.chip_size, 0
    for position, scene in enumerate(source.scenes):
        maps, objects = source.change(scene, pixels=pixels), source.label_facts(scene).objects
        for y in range(0, scene.height - size + 1, size):
            for x in range(0, scene.width - size + 1, size):
                window = np.s_[y : y + size, x : x + size]
                valid = maps.valid[window]
                counted = [int((where[window] & valid).sum()) for where in (maps.objects, maps.changed, maps.unknown)]
                assert (chips.scene[row], chips.y[row], chips.x[row]) == (position, y, x)
                assert chips.valid_pixels[row] == valid.sum()
                assert [chips.object_pixels[row], chips.changed_pixels[row], chips.unknown_pixels[row]] == counted
                assert chips.total_pixels[row] == size * size
                at_y = np.clip(objects.y, 0, scene.height - 1)
                at_x = np.clip(objects.x, 0, scene.width - 1)
                inside = (at_y >= y) & (at_y < y + size) & (at_x >= x) & (at_x < x + size)
                classes = len(source.object_classes)
                assert chips.objects[row].tolist() == np.bincount(objects.kind[inside], minlength=classes).tolist()
                row += 1
    assert len(chips) == row


@settings(deadline=None, max_examples=60)
@given(SIZES, st.sampled_from([32, 64, 96, 128]))
def test_chips_of_every_size_count_what_their_windows_show(sizes: Sequence[tuple[int, int]], chip_size: int) -> None:
    source = CountedScenes(sizes)
    index = build_index(source)
    assert_chips_are_what_is_counted(source, index.chips(chip_size), pixels=False)
    for row, scene in enumerate(source.scenes):
        maps = source.change(scene, pixels=False)
        found = tuple(int(getattr(index.table, name)[row]) for name in COUNTS)
        assert found == (maps.valid.sum(), maps.objects.sum(), maps.changed.sum(), maps.unknown.sum())
        kinds = source.label_facts(scene).objects.kind
        assert index.table.objects[row].tolist() == np.bincount(kinds, minlength=3).tolist()


@settings(deadline=None, max_examples=60)
@given(SIZES, st.sampled_from([32, 64]))
def test_what_has_no_data_does_not_count(sizes: Sequence[tuple[int, int]], chip_size: int) -> None:
    source = CountedScenes(sizes, empty=True)
    labels = index_of(source, [measure_labels(source, scene) for scene in source.scenes], pixels_read=False)
    assert (labels.table.no_data_share == 0).all()
    facts = [
        look_at_pixels(source, scene, [source.image(scene, date) for date in scene.acquisitions])
        for scene in reversed(source.scenes)
    ]
    index = with_pixels(labels, facts)
    assert_chips_are_what_is_counted(source, index.chips(chip_size), pixels=True)
    for row, scene in enumerate(source.scenes):
        maps = source.change(scene)
        counts = [int((where & maps.valid).sum()) for where in (maps.objects, maps.changed, maps.unknown)]
        assert [getattr(index.table, name)[row] for name in COUNTS] == [maps.valid.sum(), *counts]
        assert index.table.no_data_share[row] == pytest.approx(1 - maps.valid.mean())
    assert index.table.pixels_read


def test_scenes_whose_pixels_were_not_looked_at_are_left_out() -> None:
    source = CountedScenes([(64, 64), (40, 70), (64, 32)], empty=True)
    labels = index_of(source, [measure_labels(source, scene) for scene in source.scenes], pixels_read=False)
    facts = [
        look_at_pixels(source, scene, [source.image(scene, date) for date in scene.acquisitions])
        for scene in (source.scenes[2], source.scenes[0])
    ]
    index = with_pixels(labels, facts)
    assert [scene.name for scene in index.table.scenes] == ["scene-0000", "scene-0002"]
    assert index.cells.shape == (4, 4 + 2)
    assert len(with_pixels(labels, []).table) == 0
    assert with_pixels(labels, []).chips(32).objects.shape == (0, len(KINDS))


def test_the_offset_is_that_of_the_first_to_the_last_image() -> None:
    source = CountedScenes([(256, 256)])
    (scene,) = source.scenes
    ground = cv2.GaussianBlur(source.image(scene, "pre"), (0, 0), 2)
    ground = cv2.normalize(ground, None, 1, 255, cv2.NORM_MINMAX)
    facts = look_at_pixels(source, scene, [ground, np.roll(ground, (5, -9), axis=(0, 1))])
    assert facts.offset[:2] == pytest.approx((5, -9), abs=1)
    assert facts.recounted is None
    index = with_pixels(index_of(source, [measure_labels(source, scene)], pixels_read=False), [facts])
    assert index.table.offset_length[0] == pytest.approx(np.hypot(5, 9), abs=1)
    assert index.table.offset_confidence[0] == facts.offset[2] > 0.05


def test_rendered_scenes_have_data_everywhere_and_no_offset_to_estimate() -> None:
    source = SyntheticSource(SyntheticDataset(train=6, validation=2, test=2))
    index = build_index(source)
    assert index.table.pixels_read
    assert (index.table.valid_pixels == index.table.total_pixels).all()
    assert np.isnan(index.table.offset).all()
    assert index.table.object_classes == source.object_classes
    for row, scene in enumerate(source.scenes):
        assert index.table.changed_pixels[row] == source.change(scene).changed.sum()


@pytest.mark.parametrize(
    ("sentence", "file"),
    [
        ("train/images/a_post.png is a damaged PNG", "train/images/a_post.png"),
        ("missing label train/labels/a_pre.json: add it", "train/labels/a_pre.json"),
        ("something is wrong", ""),
    ],
)
def test_the_file_at_fault_is_the_one_the_sentence_names(sentence: str, file: str) -> None:
    files = {date: SceneFiles(f"train/images/a_{date}.png", f"train/labels/a_{date}.json") for date in ("pre", "post")}
    scene = Scene("a", "train", "e", ("pre", "post"), height=CELL, width=CELL, files=files)
    assert quarantined_by(scene, SceneError(sentence)) == Quarantined("a", file, sentence)
