from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes import tiff
from pairlab.scenes.bitemporal import bitemporal_fingerprint, list_bitemporal, open_bitemporal
from pairlab.scenes.scene import IGNORE, RGB, SceneError
from tests.pairlab.scenes.bitemporal_tree import (
    drawn_image,
    indexed,
    write_image,
    write_levir,
    write_manifest,
    write_mask,
    write_scenes,
)

LEVIR = BitemporalDataset(root="data")
CLASSES = ("background", "field", "house")


def of_manifest(name: str = "manifest.csv", **fields: object) -> BitemporalDataset:
    return BitemporalDataset.model_validate({"root": "data", "manifest": name, "classes": CLASSES} | fields)


def read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), dtype=np.uint8)


def test_the_levir_layout_becomes_scenes_with_their_change(tmp_path: Path) -> None:
    changed = write_levir(tmp_path, seed=1, scenes={"train": 3, "val": 1, "test": 2})
    listing = list_bitemporal(tmp_path, LEVIR)
    assert (listing.quarantined, listing.warnings) == ((), ())
    assert {scene.name: scene.split for scene in listing.scenes} == {
        "test_0": "test",
        "test_1": "test",
        "train_0": "train",
        "train_1": "train",
        "train_2": "train",
        "val_0": "validation",
    }
    source = open_bitemporal(tmp_path, LEVIR)
    assert source.bands == RGB
    assert source.object_classes == ()
    for scene in source.scenes:
        folder = scene.name.partition("_")[0]
        for acquisition in ("A", "B"):
            image = source.image(scene, acquisition)
            np.testing.assert_array_equal(image, read(tmp_path / folder / acquisition / f"{scene.name}.png")[..., ::-1])
            with pytest.raises(ValueError, match="read-only"):
                image[0, 0, 0] = 1
        maps = source.change(scene)
        np.testing.assert_array_equal(maps.changed, changed[scene.name])
        np.testing.assert_array_equal(maps.objects, changed[scene.name])
        assert not maps.unknown.any()
        assert maps.valid.all()
        np.testing.assert_array_equal(source.mask(scene, "B", "change"), changed[scene.name].astype(np.uint8))
        assert (source.mask(scene, "A", "change") == IGNORE).all()
    assert source.classes("change") == ("unchanged", "changed")


def test_a_flat_folder_is_all_train(tmp_path: Path) -> None:
    changed = write_levir(tmp_path, seed=1, scenes={"": 2})
    scenes = list_bitemporal(tmp_path, LEVIR).scenes
    assert [(scene.name, scene.split) for scene in scenes] == [("scene_0", "train"), ("scene_1", "train")]
    assert changed.keys() == {scene.name for scene in scenes}


def test_names_that_repeat_over_splits_get_the_split_before_them(tmp_path: Path) -> None:
    changed = write_levir(tmp_path, seed=1, scenes={"train": 2, "test": 2}, numbered=True)
    source = open_bitemporal(tmp_path, LEVIR)
    assert [scene.name for scene in source.scenes] == ["test_0", "test_1", "train_0", "train_1"]
    for scene in source.scenes:
        np.testing.assert_array_equal(source.change(scene).changed, changed[scene.name])


def test_a_scene_without_change_mask_is_unknown_and_never_clean(tmp_path: Path) -> None:
    write_levir(tmp_path, seed=1, scenes={"train": 2})
    (tmp_path / "train/label/train_1.png").unlink()
    listing = list_bitemporal(tmp_path, LEVIR)
    assert listing.warnings == ("1 scene in train without change mask: train_1",)
    source = open_bitemporal(tmp_path, LEVIR)
    maps = source.change(source.scenes[1])
    assert maps.unknown.all()
    assert not maps.changed.any()
    assert not maps.objects.any()
    assert (source.mask(source.scenes[1], "B", "change") == IGNORE).all()
    chips = indexed(tmp_path, LEVIR).chips(32)
    assert chips.unknown.tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet"])
def test_a_manifest_names_scenes_acquisitions_and_classes(tmp_path: Path, name: str) -> None:
    rows = write_scenes(tmp_path, seed=2)
    config = of_manifest(write_manifest(tmp_path, rows, name=name))
    listing = list_bitemporal(tmp_path, config)
    assert (listing.quarantined, listing.warnings) == ((), ())
    assert [(scene.name, scene.split, scene.event) for scene in listing.scenes] == [
        ("place-0", "train", "north"),
        ("place-1", "train", "south"),
        ("place-2", "validation", "north"),
        ("place-3", "test", "south"),
    ]
    source = open_bitemporal(tmp_path, config)
    assert source.classes("classes") == CLASSES
    scene = source.scenes[1]
    before, after = (read(tmp_path / f"masks/1_{date}.png") for date in ("before", "after"))
    np.testing.assert_array_equal(source.mask(scene, "before", "classes"), before)
    np.testing.assert_array_equal(source.mask(scene, "after", "classes"), after)
    maps = source.change(scene)
    np.testing.assert_array_equal(maps.changed, before != after)
    np.testing.assert_array_equal(maps.objects, (before > 0) | (after > 0))
    assert not maps.unknown.any()
    assert (source.mask(scene, "after", "change") == IGNORE).all()  # it has no change mask of its own
    assert source.label_facts(scene).attributes == {"first_sensor": "alpha", "last_sensor": "beta", "cloud": 0.25}
    assert source.metadata(scene, "after") == {"image": "images/1_after.png", "sensor": "beta", "cloud": 0.25}


def test_no_column_hides_another(tmp_path: Path) -> None:
    rows = [{**row, "first_sensor": "gamma"} for row in write_scenes(tmp_path, seed=2, splits=("train",))]
    source = open_bitemporal(tmp_path, of_manifest(write_manifest(tmp_path, rows)))
    assert source.label_facts(source.scenes[0]).attributes == {
        "first_sensor of sensor": "alpha",
        "last_sensor": "beta",
        "first_sensor": "gamma",
        "cloud": 0.0,
    }


def test_ignored_pixels_of_a_class_mask_have_no_known_change(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, seed=2, splits=("train",))
    mask = read(tmp_path / "masks/0_before.png")
    mask[:20] = IGNORE
    write_mask(tmp_path / "masks/0_before.png", mask)
    source = open_bitemporal(tmp_path, of_manifest(write_manifest(tmp_path, rows)))
    maps = source.change(source.scenes[0])
    assert maps.unknown[:20].all()
    assert not maps.unknown[20:].any()
    assert not maps.changed[:20].any()
    after = read(tmp_path / "masks/0_after.png")
    np.testing.assert_array_equal(maps.objects[:20], after[:20] > 0)
    np.testing.assert_array_equal(maps.changed[20:], (mask != after)[20:])


def test_a_change_mask_of_the_manifest_goes_before_a_difference_of_classes(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, seed=2, splits=("train", "train"))
    changed = np.zeros((64, 64), np.uint8)
    changed[10:30, 5:50] = 1
    write_mask(tmp_path / "changes/0.png", changed)
    rows[1]["change"] = "changes/0.png"  # in one row of the scene is enough
    source = open_bitemporal(tmp_path, of_manifest(write_manifest(tmp_path, rows)))
    maps = source.change(source.scenes[0])
    np.testing.assert_array_equal(maps.changed, changed == 1)
    np.testing.assert_array_equal(source.mask(source.scenes[0], "after", "change"), changed)
    houses = [read(tmp_path / f"masks/0_{date}.png") > 0 for date in ("before", "after")]
    np.testing.assert_array_equal(maps.objects, houses[0] | houses[1] | (changed == 1))
    other = source.change(source.scenes[1])
    assert other.changed.any()
    assert not other.unknown.any()


def test_of_three_acquisitions_the_first_and_the_last_are_compared(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, seed=3, splits=("train",), acquisitions=("t0", "t1", "t2"))
    source = open_bitemporal(tmp_path, of_manifest(write_manifest(tmp_path, rows)))
    scene = source.scenes[0]
    assert scene.acquisitions == ("t0", "t1", "t2")
    first, last = (read(tmp_path / f"masks/0_{date}.png") for date in ("t0", "t2"))
    np.testing.assert_array_equal(source.change(scene).changed, first != last)
    assert source.image(scene, "t1").shape == (64, 64, 3)


def test_images_alone_are_enough_for_pretraining(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, seed=3, splits=("train",))
    bare = [{key: row[key] for key in ("scene", "acquisition", "image")} for row in rows]
    source = open_bitemporal(tmp_path, of_manifest(write_manifest(tmp_path, bare), classes=()))
    scene = source.scenes[0]
    assert (scene.split, scene.event) == ("train", "none")
    assert source.change(scene).unknown.all()
    assert (source.mask(scene, "after", "change") == IGNORE).all()
    with pytest.raises(SceneError, match="has no label scheme 'classes': choose change"):
        source.mask(scene, "after", "classes")


@pytest.mark.parametrize("scheme", ["building", "intact_damaged", "object_states"])
def test_schemes_of_other_datasets_are_refused(tmp_path: Path, scheme: str) -> None:
    write_levir(tmp_path, seed=1, scenes={"train": 1})
    source = open_bitemporal(tmp_path, LEVIR)
    with pytest.raises(SceneError, match=f"no label scheme '{scheme}': choose change"):
        source.classes(scheme)  # type: ignore[arg-type]


def test_unknown_scenes_acquisitions_and_states_are_refused(tmp_path: Path) -> None:
    write_levir(tmp_path, seed=1, scenes={"train": 1})
    source = open_bitemporal(tmp_path, LEVIR)
    other = replace(source.scenes[0], name="elsewhere")
    with pytest.raises(SceneError, match="no scene 'elsewhere' in this dataset: choose one of its 1 scenes"):
        source.change(other)
    with pytest.raises(SceneError, match="train_0 has no acquisition 'C': choose one of A, B"):
        source.image(source.scenes[0], "C")
    with pytest.raises(SceneError, match="train_0 is a photograph and cannot be rendered again in state 'A'"):
        source.image(source.scenes[0], "B", state="A")


def test_palette_masks_hold_their_positions_and_rgb_masks_their_grey(tmp_path: Path) -> None:
    write_levir(tmp_path, seed=1, scenes={"train": 1})
    mask = read(tmp_path / "train/label/train_0.png")
    write_image(tmp_path / "train/label/train_0.png", np.repeat(mask[..., None], 3, axis=2))
    source = open_bitemporal(tmp_path, LEVIR)
    np.testing.assert_array_equal(source.mask(source.scenes[0], "B", "change"), mask // 255)


def test_scenes_of_an_index_open_without_looking_at_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_scenes(tmp_path, seed=2)
    config = of_manifest(write_manifest(tmp_path, rows))
    scenes = list_bitemporal(tmp_path, config).scenes
    monkeypatch.setattr("pairlab.scenes.bitemporal.list_bitemporal", None)
    source = open_bitemporal(tmp_path, config, scenes=scenes, bands=RGB)
    assert source.scenes == scenes
    assert source.image(scenes[0], "before").shape == (64, 64, 3)


def test_listing_decodes_no_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_scenes(tmp_path, seed=2)
    config = of_manifest(write_manifest(tmp_path, rows))
    monkeypatch.setattr(cv2, "imdecode", None)
    monkeypatch.setattr(tiff, "decode_tiff", None)
    assert len(list_bitemporal(tmp_path, config).scenes) == 4
    assert len(bitemporal_fingerprint(tmp_path, config)) == 64


def test_the_index_counts_what_masks_say(tmp_path: Path) -> None:
    changed = write_levir(tmp_path, seed=1, scenes={"train": 2, "val": 1, "test": 1})
    index = indexed(tmp_path, LEVIR)
    assert index.table.changed_pixels.tolist() == [int(changed[scene.name].sum()) for scene in index.table.scenes]
    assert index.table.objects.shape == (4, 0)
    assert index.table.quarantined == ()
    chips = index.chips(32)
    assert chips.changed_pixels.sum() == index.table.changed_pixels.sum()


def test_threads_share_a_source(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, seed=2)
    source = open_bitemporal(tmp_path, of_manifest(write_manifest(tmp_path, rows)))
    expected = [source.change(scene).changed.sum() for scene in source.scenes]
    fresh = open_bitemporal(tmp_path, of_manifest())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda scene: fresh.change(scene).changed.sum(), fresh.scenes * 8))
    assert found == expected * 8


def test_declared_and_black_pixels_have_no_data(tmp_path: Path) -> None:
    write_levir(tmp_path, seed=1, scenes={"train": 1})
    image = drawn_image(np.random.default_rng(0), size=64)
    image[:20, :20] = 0
    image[40:, 60:] = 255
    write_image(tmp_path / "train/A/train_0.png", image)
    source = open_bitemporal(tmp_path, LEVIR)
    valid = source.change(source.scenes[0]).valid
    assert not valid[:20, :20].any()
    assert valid.sum() == 64 * 64 - 400
    assert source.change(source.scenes[0], pixels=False).valid.all()
    declared = open_bitemporal(tmp_path, BitemporalDataset(root="data", no_data=255))
    assert declared.bands.no_data == 255
    assert declared.change(declared.scenes[0]).valid.sum() == 64 * 64 - 24 * 4


@pytest.mark.parametrize(
    "file", ["train/A/train_0.png", "train/B/train_1.png", "train/label/train_0.png", "test/A/test_0.png"]
)
def test_the_fingerprint_changes_with_content_and_names_alone(tmp_path: Path, file: str) -> None:
    for folder in ("one", "two"):
        write_levir(tmp_path / folder, seed=1, scenes={"train": 2, "test": 1})
    first = bitemporal_fingerprint(tmp_path / "one", LEVIR)
    assert bitemporal_fingerprint(tmp_path / "two", LEVIR) == first
    path = tmp_path / "one" / file
    content = path.read_bytes()
    image = read(path)
    image[0, 0] = 255 - image[0, 0]
    cv2.imwrite(str(path), image)
    assert bitemporal_fingerprint(tmp_path / "one", LEVIR) != first
    path.write_bytes(content)
    assert bitemporal_fingerprint(tmp_path / "one", LEVIR) == first
    path.rename(path.with_name("other.png"))
    assert bitemporal_fingerprint(tmp_path / "one", LEVIR) != first


def test_the_fingerprint_changes_with_the_manifest_and_with_a_patched_tiff(tmp_path: Path) -> None:
    rows = write_scenes(tmp_path, seed=2, splits=("train",), size=256)
    image = drawn_image(np.random.default_rng(0), size=256)
    assert cv2.imwrite(str(tmp_path / "images/0_before.tif"), image, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
    rows[0]["image"] = "images/0_before.tif"
    config = of_manifest(write_manifest(tmp_path, rows))
    first = bitemporal_fingerprint(tmp_path, config)
    content = bytearray((tmp_path / "images/0_before.tif").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "images/0_before.tif").write_bytes(content)
    second = bitemporal_fingerprint(tmp_path, config)
    rows[0]["cloud"] = 0.5
    write_manifest(tmp_path, rows)
    assert len({first, second, bitemporal_fingerprint(tmp_path, config)}) == 3
