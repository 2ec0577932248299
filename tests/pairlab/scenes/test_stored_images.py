"""Reading from the store: the same pixels as from the dataset's files, whatever happened to either."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.experiment.pairing import Noise, Pairing, Places
from pairlab.experiment.training import Pretraining
from pairlab.pairing.drawing import draw_pairs
from pairlab.scenes.chip_file import PAGE, read_contents
from pairlab.scenes.chip_store import ChipStore
from pairlab.scenes.indexing import ImageStore, IndexFiles, index_dataset
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Pixels, Scene, SceneError, SceneFiles, SceneSource, UInt8Array
from pairlab.scenes.stored_images import StoredImages, StoredSource, chip_of
from pairlab.scenes.xbd import XbdSource, open_xbd
from pairlab.views.batches import PairBatches
from tests.pairlab.scenes.stored_datasets import source_file, store_source
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

KEY = "f" * 64


class Counting(XbdSource):
    """An xBD dataset that counts the images it was asked for."""

    def __init__(self, source: XbdSource, root: Path) -> None:
        super().__init__(root, source.scenes, damage_from="minor-damage")
        self.asked: list[tuple[str, str]] = []

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        self.asked.append((scene.name, acquisition))
        return super().image(scene, acquisition, state=state)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An xBD tree with 11 tiles of 200 × 200 pixels, and a store that holds all of it."""
    folder = tmp_path / "tree"
    write_xbd_tree(folder, seed=4, size=200)
    with store_of(folder) as store:
        store_source(store, KEY, open_xbd(folder, damage_from="minor-damage"), folder)
    return folder


def store_of(tree: Path) -> ChipStore:
    return ChipStore(tree.parent / "store", budget_bytes=64 * 2**20, keep_free_bytes=0)


def reopened(tree: Path) -> tuple[StoredSource, Counting, StoredImages]:
    """Returns the dataset read from the store, the dataset behind it, and what is kept, as a new process has them."""
    behind = Counting(open_xbd(tree, damage_from="minor-damage"), tree)
    images = store_of(tree).open(KEY)
    return StoredSource(behind, images, folder=tree), behind, images


def part_of(tree: Path, scene: Scene) -> Path:
    for path in sorted((tree.parent / "store" / KEY).glob("*.chips")):
        contents = read_contents(path)
        assert contents is not None
        if scene.name in {each.scene for each in contents.images}:
            return path
    raise AssertionError(f"{scene.name} is not kept")


def rewrite(tree: Path, scene: Scene, acquisition: str, change: Callable[[Pixels], Pixels]) -> None:
    """Writes a scene's PNG again."""
    path = tree / scene.files[acquisition].image
    image = cv2.imread(str(path))
    assert image is not None
    path.write_bytes(cv2.imencode(".png", change(image))[1].tobytes())


def test_every_image_and_chip_is_that_of_the_png(tree: Path) -> None:
    stored, behind, images = reopened(tree)
    plain = open_xbd(tree, damage_from="minor-damage")
    assert len(images) == 2 * len(plain.scenes) == 22
    for scene in plain.scenes:
        for acquisition in scene.acquisitions:
            expected = plain.image(scene, acquisition)
            image = stored.image(scene, acquisition, state=acquisition)
            assert (image.dtype, image.flags.c_contiguous) == (expected.dtype, True)
            np.testing.assert_array_equal(image, expected)
            with pytest.raises(ValueError, match="read-only"):
                image[0, 0] = 0
            for y, x, size in ((0, 0, 32), (64, 128, 64), (96, 96, 96), (150, 10, 64), (190, 190, 32), (7, 63, 3)):
                chip = chip_of(stored, scene, acquisition, y=y, x=x, size=size)
                np.testing.assert_array_equal(chip, expected[y : y + size, x : x + size])
                np.testing.assert_array_equal(chip, chip_of(plain, scene, acquisition, y=y, x=x, size=size))
    assert behind.asked == []
    assert images.warnings == ()


@pytest.mark.parametrize("rate", [None, 0.5])
def test_training_sees_the_same_batches_from_the_store_and_from_the_pngs(tree: Path, rate: float | None) -> None:
    plain: SceneSource = open_xbd(tree, damage_from="minor-damage")
    stored, behind, _ = reopened(tree)
    pairing = Pairing(
        policy="temporal",
        pairs=30,
        noise=Noise(rate=rate, control=None if rate is None else "masked", min_changed_pixels=1),
    )
    places = Places(noisy_only=rate is not None, min_changed_pixels=1)
    pairs = draw_pairs(
        build_index(plain).chips(32), acquisitions=("pre", "post"), pairing=pairing, places=places, seed=1
    )
    training = Pretraining(steps=12, batch_size=4, warmup_steps=1)
    from_files, from_store = (
        PairBatches(source, pairs, training, seed=1, grid=8, points=16).ahead(0, 12) for source in (plain, stored)
    )
    for expected, found in zip(from_files, from_store, strict=True):
        for field in fields(expected):
            one, other = getattr(expected, field.name), getattr(found, field.name)
            if isinstance(one, np.ndarray):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
            elif field.name != "factors":
                assert one == other
        for field in fields(expected.factors):
            np.testing.assert_array_equal(getattr(expected.factors, field.name), getattr(found.factors, field.name))
    assert behind.asked == []


def test_everything_but_images_is_the_datasets_own(tree: Path) -> None:
    stored, _, _ = reopened(tree)
    plain = open_xbd(tree, damage_from="minor-damage")
    source: SceneSource = stored
    assert (source.scenes, source.bands, source.object_classes) == (plain.scenes, plain.bands, plain.object_classes)
    scene = plain.scenes[0]
    assert source.classes("damage_levels", unclassified="own-class") == plain.classes(
        "damage_levels", unclassified="own-class"
    )
    for scheme in ("building", "intact_damaged"):
        np.testing.assert_array_equal(source.mask(scene, "post", scheme), plain.mask(scene, "post", scheme))
    for pixels in (False, True):
        one, other = source.change(scene, pixels=pixels), plain.change(scene, pixels=pixels)
        for field in fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    image = plain.image(scene, "pre")
    np.testing.assert_array_equal(source.no_data(image), plain.no_data(image))
    assert source.metadata(scene, "pre") == plain.metadata(scene, "pre")
    assert source.label_facts(scene).attributes == plain.label_facts(scene).attributes
    assert [each.name for each in source.outlines(scene, "post")] == [
        each.name for each in plain.outlines(scene, "post")
    ]


def test_another_state_is_asked_of_the_dataset(tree: Path) -> None:
    stored, _, _ = reopened(tree)
    with pytest.raises(SceneError, match="cannot be rendered again in state 'post'"):
        stored.image(stored.scenes[0], "pre", state="post")
    with pytest.raises(SceneError, match="cannot be rendered again in state 'post'"):
        stored.chip(stored.scenes[0], "pre", y=0, x=0, size=32, state="post")


def test_what_is_not_kept_is_read_from_the_files(tree: Path) -> None:
    shutil.rmtree(tree.parent / "store")
    with ChipStore(tree.parent / "store", budget_bytes=5 * 256 * 200 * 3, keep_free_bytes=0) as store:
        store_source(store, KEY, open_xbd(tree, damage_from="minor-damage"), tree)
    stored, behind, images = reopened(tree)
    assert 0 < len(images) < 6
    plain = open_xbd(tree, damage_from="minor-damage")
    for scene in plain.scenes:
        for acquisition in scene.acquisitions:
            np.testing.assert_array_equal(stored.image(scene, acquisition), plain.image(scene, acquisition))
    assert len(behind.asked) == 22 - len(images)
    assert images.warnings == ()


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_flipped_byte_is_found_and_the_png_is_read(tree: Path, place: int) -> None:
    stored, behind, images = reopened(tree)
    plain = open_xbd(tree, damage_from="minor-damage")
    scene = plain.scenes[5]
    contents = read_contents(path := part_of(tree, scene))
    assert contents is not None
    kept = next(each for each in contents.images if (each.scene, each.acquisition) == (scene.name, "post"))
    with path.open("r+b") as file:
        file.seek(kept.offset + place % kept.nbytes)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))
    for _ in range(3):
        np.testing.assert_array_equal(stored.image(scene, "post"), plain.image(scene, "post"))
        chip = stored.chip(scene, "post", y=8, x=8, size=64)
        np.testing.assert_array_equal(chip, plain.image(scene, "post")[8:72, 8:72])
    np.testing.assert_array_equal(stored.image(scene, "pre"), plain.image(scene, "pre"))
    assert set(behind.asked) == {(scene.name, "post")}
    name = scene.files["post"].image
    assert images.warnings == (
        f"chip store: damaged images (1, the first {name}) are not used, but the dataset's files instead",
    )


def test_a_page_that_never_reached_the_disk_is_found(tree: Path) -> None:
    stored, behind, images = reopened(tree)
    plain = open_xbd(tree, damage_from="minor-damage")
    scene = plain.scenes[0]
    contents = read_contents(path := part_of(tree, scene))
    assert contents is not None
    kept = next(each for each in contents.images if (each.scene, each.acquisition) == (scene.name, "pre"))
    with path.open("r+b") as file:
        file.seek(kept.offset + PAGE)
        file.write(bytes(PAGE))
    np.testing.assert_array_equal(stored.image(scene, "pre"), plain.image(scene, "pre"))
    assert behind.asked == [(scene.name, "pre")]
    assert len(images.warnings) == 1


def test_new_pixels_of_a_png_come_out(tree: Path) -> None:
    scene = open_xbd(tree, damage_from="minor-damage").scenes[2]
    rewrite(tree, scene, "pre", lambda image: 255 - image)
    stored, behind, images = reopened(tree)
    expected = open_xbd(tree, damage_from="minor-damage").image(scene, "pre")
    np.testing.assert_array_equal(stored.image(scene, "pre"), expected)
    np.testing.assert_array_equal(stored.chip(scene, "pre", y=64, x=64, size=64), expected[64:128, 64:128])
    assert set(behind.asked) == {(scene.name, "pre")}
    assert images.warnings == (
        f"chip store: images whose files changed (1, the first {scene.files['pre'].image}) are not used, but the "
        "dataset's files instead",
    )


def test_a_dataset_that_was_copied_is_compared_once_and_then_read_from_the_store(tree: Path) -> None:
    copied = tree.parent / "copied"
    shutil.copytree(tree, copied, copy_function=shutil.copyfile)
    stored, behind, images = reopened(copied)
    for _ in range(3):
        for scene in stored.scenes:
            for acquisition in scene.acquisitions:
                stored.chip(scene, acquisition, y=0, x=0, size=64)
    assert len(behind.asked) == 22
    assert images.warnings == ()


def test_a_png_that_became_unreadable_is_told_of_as_without_a_store(tree: Path) -> None:
    scene = open_xbd(tree, damage_from="minor-damage").scenes[2]
    stored, _, _ = reopened(tree)
    path = tree / scene.files["pre"].image
    path.write_bytes(path.read_bytes()[:-40])
    for _ in range(2):
        with pytest.raises(SceneError, match="is a truncated PNG"):
            stored.image(scene, "pre")
    later = store_of(tree).open(KEY)
    stored = StoredSource(XbdSource(tree, stored.scenes, damage_from="minor-damage"), later, folder=tree)
    path.unlink()
    with pytest.raises(SceneError, match="cannot be read"):
        stored.image(scene, "pre")
    assert "images that cannot be read, No such file or directory" in later.warnings[0]


def test_rendered_scenes_have_no_files_and_are_asked_for(tree: Path) -> None:
    stored, behind, _ = reopened(tree)
    scene = stored.scenes[0]
    without_files = Scene(scene.name, scene.split, scene.event, scene.acquisitions, scene.height, scene.width)
    with pytest.raises(KeyError):
        stored.image(without_files, "pre")
    assert behind.asked == [(scene.name, "pre")]


def test_images_handed_out_outlive_the_store(tree: Path) -> None:
    stored, _, images = reopened(tree)
    scene = stored.scenes[0]
    expected = open_xbd(tree, damage_from="minor-damage").image(scene, "pre")
    narrow = stored.chip(scene, "pre", y=0, x=0, size=48)
    images.close()
    assert store_of(tree).forget(KEY)
    np.testing.assert_array_equal(narrow, expected[:48, :48])
    np.testing.assert_array_equal(stored.image(scene, "pre"), expected)


def test_threads_share_the_images(tree: Path) -> None:
    stored, behind, _ = reopened(tree)
    plain = open_xbd(tree, damage_from="minor-damage")

    def check(scene: Scene) -> None:
        for acquisition in scene.acquisitions:
            np.testing.assert_array_equal(stored.image(scene, acquisition), plain.image(scene, acquisition))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(check, plain.scenes * 8))
    assert behind.asked == []


@pytest.mark.parametrize(("dtype", "bands"), [(np.uint16, 4), (np.float32, 13), (np.uint8, 1)])
def test_bands_of_any_kind_come_back_bit_for_bit(tmp_path: Path, dtype: type, bands: int) -> None:
    source = source_file(tmp_path)
    time.sleep(0.02)
    image: Pixels = np.random.default_rng(0).normal(1000, 300, (65, 129, bands)).astype(dtype)
    store = ChipStore(tmp_path / "store", budget_bytes=2**26, keep_free_bytes=0)
    with store.part("aa", number=0) as part:
        part.add("here", "2020", image, source=source)
    scene = Scene("here", "train", "e", ("2020",), 65, 129, {"2020": SceneFiles(source.name)})
    write_xbd_tree(tmp_path / "tree", seed=1, scenes_per_split={"train": 1}, size=64)
    behind = open_xbd(tmp_path / "tree", damage_from="minor-damage")
    stored = StoredSource(behind, store.open("aa"), folder=tmp_path)
    found = stored.image(scene, "2020")
    assert found.dtype == dtype
    assert found.tobytes() == image.tobytes()


def test_the_index_job_fills_the_store(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    write_xbd_tree(folder, seed=6, size=96)
    time.sleep(0.02)
    files = IndexFiles(tmp_path / "index", KEY)
    with store_of(folder) as store:
        kept: ImageStore = store
        source = open_xbd(folder, damage_from="minor-damage")
        list(index_dataset(source, files, root=folder, store=kept, should_stop=lambda: False))
        assert store.has_part(KEY, 0)
        assert (store.usage(KEY).images, store.usage(KEY).offered) == (22, 22)
    stored, behind, _ = reopened(folder)
    plain = open_xbd(folder, damage_from="minor-damage")
    for scene in plain.scenes:
        for acquisition in scene.acquisitions:
            np.testing.assert_array_equal(stored.image(scene, acquisition), plain.image(scene, acquisition))
    assert behind.asked == []
