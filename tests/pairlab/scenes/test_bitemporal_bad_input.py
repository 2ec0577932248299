"""Bi-temporal datasets that cannot be used, or not all of them: each fault has its own sentence with its file."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from pairlab.experiment.datasets import BitemporalDataset
from pairlab.scenes.bitemporal import bitemporal_fingerprint, list_bitemporal, open_bitemporal
from pairlab.scenes.scene import Quarantined, SceneError
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
Rows = list[dict[str, object]]


def of_manifest(**fields: object) -> BitemporalDataset:
    defaults = {"root": "data", "manifest": "manifest.csv", "classes": ("background", "field", "house")}
    return BitemporalDataset.model_validate(defaults | fields)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_levir(tmp_path / "tree", seed=1, scenes={"train": 3, "test": 1})
    return tmp_path / "tree"


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    return write_scenes(tmp_path, seed=2)


def left_out(folder: Path, config: BitemporalDataset, *, usable: int) -> Quarantined:
    """Returns the one scene that is quarantined, having checked that the others are not."""
    listing = list_bitemporal(folder, config)
    assert len(listing.scenes) == usable
    (quarantined,) = listing.quarantined
    bitemporal_fingerprint(folder, config)
    return quarantined


def refusal(folder: Path, config: BitemporalDataset) -> str:
    with pytest.raises(SceneError) as error:
        list_bitemporal(folder, config)
    return str(error.value)


def claim(path: Path, *, width: int, height: int) -> None:
    """Rewrites a PNG's header."""
    data = path.read_bytes()
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(data[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])


def test_an_image_of_another_size(tree: Path) -> None:
    write_image(tree / "train/B/train_1.png", drawn_image(np.random.default_rng(0), size=96))
    assert left_out(tree, LEVIR, usable=3) == Quarantined(
        "train_1",
        "train/B/train_1.png",
        "train/B/train_1.png has 96 × 96 pixels, but train/A/train_1.png has 64 × 64: all images of a scene must have "
        "the same size",
    )


def test_a_mask_of_another_size(tree: Path) -> None:
    write_mask(tree / "train/label/train_1.png", np.zeros((32, 64), np.uint8))
    assert left_out(tree, LEVIR, usable=3).reason == (
        "train/label/train_1.png has 64 × 32 pixels, but train/A/train_1.png has 64 × 64: a mask must have its images' "
        "size"
    )


@pytest.mark.parametrize(("gone", "stays"), [("A", "B"), ("B", "A")])
def test_an_image_without_partner(tree: Path, gone: str, stays: str) -> None:
    (tree / f"train/{gone}/train_1.png").unlink()
    assert left_out(tree, LEVIR, usable=3) == Quarantined(
        "train_1",
        f"train/{stays}/train_1.png",
        f"train/{stays}/train_1.png has no image of the same name in train/{gone}: add it, or remove this one",
    )


def test_two_files_of_one_name(tree: Path) -> None:
    write_image(tree / "train/A/train_1.jpg", drawn_image(np.random.default_rng(0), size=64))
    assert left_out(tree, LEVIR, usable=3).reason == (
        "train/A/train_1.jpg and train/A/train_1.png have one name: a scene has one file of each kind, remove the "
        "others"
    )


def test_unlike_bands_within_a_scene(tree: Path) -> None:
    write_image(tree / "train/B/train_1.png", drawn_image(np.random.default_rng(0), size=64, bands=1))
    assert left_out(tree, LEVIR, usable=3).reason == (
        "train/B/train_1.png has 1 band of uint8, but train/A/train_1.png has 3 bands of uint8: all images of a scene "
        "must have the same bands"
    )


def test_unlike_types_over_scenes(tree: Path) -> None:
    for folder in "AB":
        write_image(
            tree / f"train/{folder}/train_1.png", drawn_image(np.random.default_rng(0), size=64, dtype="uint16")
        )
    assert left_out(tree, LEVIR, usable=3) == Quarantined(
        "train_1",
        "train/A/train_1.png",
        "train/A/train_1.png has 3 bands of uint16, most images have 3 bands of uint8: all images of a dataset have "
        "the same bands, convert it or register it in another dataset",
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no PNG, JPEG or TIFF, but an empty file: put the original image in its place"),
        (b"GIF89a" + bytes(90), "is no PNG, JPEG or TIFF, but a file that starts with b'GIF89a"),
        (b"\xff\xd8\xff\xe0\0\x04ab", "is a damaged JPEG of 8 bytes without a frame header"),
        (b"II*\0\xff\xff\xff\x0f" + bytes(90), "is a damaged TIFF of 98 bytes (truncated: no byte 268435455)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(10), "is a truncated PNG of 18 bytes: copy the file again"),
    ],
)
def test_files_that_are_no_images(tree: Path, content: bytes, reason: str) -> None:
    (tree / "train/A/train_1.png").write_bytes(content)
    found = left_out(tree, LEVIR, usable=3)
    assert found.file == "train/A/train_1.png"
    assert found.reason.startswith(f"train/A/train_1.png {reason}")


def test_a_truncated_image(tree: Path) -> None:
    path = tree / "train/A/train_1.png"
    path.write_bytes(path.read_bytes()[:-100])
    assert "is a truncated PNG" in left_out(tree, LEVIR, usable=3).reason


def test_a_header_that_claims_to_be_huge(tree: Path) -> None:
    claim(tree / "train/A/train_1.png", width=50_000, height=50_000)
    assert left_out(tree, LEVIR, usable=3).reason == (
        "train/A/train_1.png claims 50000 × 50000 pixels; 1 to 8192 a side are read: cut larger images into tiles"
    )


def test_pixels_that_cannot_be_decoded_are_found_by_the_index(tree: Path) -> None:
    path = tree / "train/A/train_1.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    index = indexed(tree, LEVIR)
    assert [scene.name for scene in index.table.scenes] == ["test_0", "train_0", "train_2"]
    (quarantined,) = index.table.quarantined
    assert (quarantined.scene, quarantined.file) == ("train_1", "train/A/train_1.png")
    assert quarantined.reason == (
        "train/A/train_1.png is a damaged PNG: its header is sound, its pixels are not; copy the file again"
    )


@pytest.mark.parametrize(("values", "found"), [((0, 1, 255), "0, 1, 255"), ((0, 7), "0, 7"), ((3,), "3")])
def test_unknown_values_of_a_change_mask(tree: Path, values: tuple[int, ...], found: str) -> None:
    write_mask(tree / "train/label/train_1.png", np.resize(np.array(values, np.uint8), (64, 64)))
    (quarantined,) = indexed(tree, LEVIR).table.quarantined
    assert quarantined == Quarantined(
        "train_1",
        "train/label/train_1.png",
        f"train/label/train_1.png holds the values {found}; a change mask has 0 for unchanged, and 1 or 255 for "
        "changed: correct the mask",
    )


def test_unknown_values_of_a_class_mask(tmp_path: Path, rows: Rows) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[0, :3] = 3, 9, 255
    write_mask(tmp_path / "masks/1_before.png", mask)
    write_manifest(tmp_path, rows)
    (quarantined,) = indexed(tmp_path, of_manifest()).table.quarantined
    assert quarantined == Quarantined(
        "place-1",
        "masks/1_before.png",
        "masks/1_before.png holds the values 3, 9; allowed are 0 background, 1 field, 2 house and 255 (ignored): "
        "correct the mask, or name more classes",
    )


def test_masks_in_colour_and_as_jpeg(tree: Path) -> None:
    write_image(tree / "train/label/train_1.png", drawn_image(np.random.default_rng(0), size=64))
    (quarantined,) = indexed(tree, LEVIR).table.quarantined
    assert quarantined.reason == (
        "train/label/train_1.png is a picture in colour, no mask: save the class of each pixel as one 8-bit grey band"
    )
    (tree / "train/label/train_1.png").unlink()
    write_mask(tree / "train/label/train_1.jpg", np.zeros((64, 64), np.uint8))
    assert left_out(tree, LEVIR, usable=3).reason == (
        "train/label/train_1.jpg is a JPEG, which blurs the edges between classes: save the mask as PNG or TIFF"
    )


@pytest.mark.parametrize("part", ["A", "label"])
def test_a_link_that_leads_out_is_not_followed(tree: Path, part: str) -> None:
    path = tree / f"train/{part}/train_1.png"
    path.rename(tree.parent / "outside.png")
    path.symlink_to(tree.parent / "outside.png")
    assert left_out(tree, LEVIR, usable=3).reason == (
        f"train/{part}/train_1.png is a link that leads out of the dataset's folder: copy what it leads to into it"
    )


def test_a_folder_that_leads_out_is_refused(tree: Path) -> None:
    (tree / "train/label").rename(tree.parent / "outside")
    (tree / "train/label").symlink_to(tree.parent / "outside")
    assert refusal(tree, LEVIR) == (
        "train/label is a link that leads out of the dataset's folder: copy what it leads to into it"
    )


def test_a_pipe_is_not_waited_for(tree: Path) -> None:
    (tree / "train/A/train_1.png").unlink()
    os.mkfifo(tree / "train/A/train_1.png")
    assert left_out(tree, LEVIR, usable=3).reason == (
        "train/A/train_1.png is no regular file: put the original file in its place"
    )


def test_folders_without_pairs(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere", LEVIR).startswith(
        "folder 'nowhere' does not exist or is no folder: expected A/ and B/ with images of equal names"
    )
    (tmp_path / "photos" / "holiday").mkdir(parents=True)
    message = refusal(tmp_path / "photos", LEVIR)
    assert message.startswith("no image pairs in folder 'photos': expected A/ and B/ with images of equal names")
    assert message.endswith("or a manifest; found holiday")
    for part in "AB":
        (tmp_path / "empty" / part).mkdir(parents=True)
    assert refusal(tmp_path / "empty", LEVIR).startswith("no scenes in folder 'empty': it names none; expected A/")


def test_a_dataset_without_a_usable_scene_names_the_first_fault(tmp_path: Path) -> None:
    write_levir(tmp_path, seed=1, scenes={"train": 2})
    for number in (0, 1):
        (tmp_path / f"train/A/train_{number}.png").write_bytes(b"")
    assert refusal(tmp_path, LEVIR) == (
        f"none of the 2 scenes in folder {tmp_path.name!r} can be used; the first, train_0: train/A/train_0.png is no "
        "PNG, JPEG or TIFF, but an empty file: put the original image in its place"
    )


def test_what_is_left_out_is_said(tree: Path) -> None:
    (tree / "train/A/notes.txt").write_text("")
    (tree / "extra").mkdir()
    write_mask(tree / "test/label/other.png", np.zeros((4, 4), np.uint8))
    assert list_bitemporal(tree, LEVIR).warnings == (
        "1 folder left out, no part of the layout: extra",
        "1 file in train/A not ending in .png, .jpg, .jpeg, .tif, .tiff left out: notes.txt",
        "1 mask in test/label without images left out: other",
    )


ROWS: dict[str, tuple[dict[str, object], str]] = {
    "unknown split": (
        {"split": "trian"},
        "place-1 has the unknown split 'trian': choose one of train, val, validation, test",
    ),
    "two splits": ({"split": "test"}, "the rows of place-1 give split test, train: give one in all of them"),
    "two events": ({"event": "west"}, "the rows of place-1 give event west, south: give one in all of them"),
    "an acquisition twice": (
        {"acquisition": "after"},
        "place-1 has acquisition after more than once (rows 3, 4): give every scene and each of its acquisitions its "
        "own name",
    ),
    "another acquisition": (
        {"acquisition": "earlier"},
        "place-1 has acquisitions earlier, after, most scenes have before, after: name them alike and in the same "
        "order, earliest first",
    ),
    "one acquisition": (
        {"scene": "place-0", "acquisition": "between"},
        "place-1 has one acquisition, after: a scene needs two or more, one a row",
    ),
    "no image": ({"image": ""}, "acquisition before of place-1 (row 3) has no image: name one"),
    "the same image": (
        {"image": "images/1_after.png"},
        "two acquisitions of place-1 are the same image: name one image each",
    ),
    "a missing image": (
        {"image": "images/none.png"},
        "images/none.png does not exist: put it there, or correct its name",
    ),
    "a path upwards": (
        {"image": "../secret.png"},
        "../secret.png leads out of the dataset's folder: write a path below it, with / between folders",
    ),
    "an absolute path": (
        {"mask": "/etc/passwd"},
        "/etc/passwd leads out of the dataset's folder: write a path below it, with / between folders",
    ),
    "a path of another system": (
        {"change": "a\\b.png"},
        "a\\b.png leads out of the dataset's folder: write a path below it, with / between folders",
    ),
    "a path with control characters": (
        {"image": "a\x1b[2J.png"},
        "'a\\x1b[2J.png' is no path: it is longer than 1000 characters or holds such as cannot be printed",
    ),
    "an event that turns the text": (
        {"event": "a\u202eb"},
        "place-1 has an event that cannot be printed, 'a\\u202eb': rename it",
    ),
    "an acquisition that is a path": (
        {"acquisition": ".."},
        "the acquisition '..' of place-1 (row 3) begins with a dot or blank or holds one of \" # % * / < > ? \\ |: "
        "rename it",
    ),
    "a long text": (
        {"sensor": "x" * 2000},
        "line 4 of manifest.csv has a text longer than 1000 characters: shorten it",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_make_no_scene(tmp_path: Path, rows: Rows, case: str) -> None:
    change, reason = ROWS[case]
    rows[2].update(change)
    if case == "unknown split":
        rows[3].update(change)
    write_manifest(tmp_path, rows)
    listing = list_bitemporal(tmp_path, of_manifest())
    (found,) = [each for each in listing.quarantined if each.scene == "place-1"]
    assert found.reason == reason
    assert len(listing.scenes) == (2 if case == "one acquisition" else 3)
    bitemporal_fingerprint(tmp_path, of_manifest())


@pytest.mark.parametrize("name", ["..", "a/b", "a\nb", "", "a\x00b", "x" * 121, "é" * 121, "a%2Fb", "\u202egnp", "?"])
def test_names_of_scenes_that_cannot_be_used(tmp_path: Path, rows: Rows, name: str) -> None:
    for row in rows[2:4]:
        row["scene"] = name
    write_manifest(tmp_path, rows)
    found = left_out(tmp_path, of_manifest(), usable=3)
    assert found.file == "manifest.csv"
    assert found.reason.startswith("the scene's name ")
    assert found.reason.isprintable()
    assert found.scene.isprintable()


def test_images_that_several_scenes_use_are_named(tmp_path: Path, rows: Rows) -> None:
    rows[2]["image"] = rows[0]["image"]
    write_manifest(tmp_path, rows)
    assert list_bitemporal(tmp_path, of_manifest()).warnings == (
        "1 image in manifest.csv used by several scenes: images/0_before.png",
    )


def test_datasets_that_do_not_fit_their_configuration(tmp_path: Path, rows: Rows) -> None:
    write_manifest(tmp_path, rows)
    assert refusal(tmp_path, of_manifest(classes=())) == (
        "manifest.csv names masks, but classes is empty: name their values 0, 1, 2, … there, 0 is the background; a "
        "mask of the change alone belongs into column change"
    )
    assert refusal(tmp_path, of_manifest(classes=("ground", "house", "house"))) == (
        "classes names house more than once: give each value of a mask its own name"
    )
    assert refusal(tmp_path, of_manifest(manifest=None)).startswith(
        "classes names the values of a manifest's masks, but the LEVIR-CD layout has change masks alone"
    )
    assert refusal(tmp_path, of_manifest(manifest="other.csv")).startswith("other.csv does not exist")
    for number, row in enumerate(rows):
        row["acquisition"] = f"2020-01-{number + 1:02d}"
    write_manifest(tmp_path, rows)
    assert refusal(tmp_path, of_manifest()) == (
        "manifest.csv names acquisitions otherwise from scene to scene (2020-01-01, 2020-01-02, 2020-01-03, "
        "2020-01-04, 2020-01-05, 2020-01-06, …): name them alike in all, such as before and after, and put dates "
        "into a column of their own"
    )


def test_a_manifest_outside_is_not_read(tmp_path: Path, rows: Rows) -> None:
    write_manifest(tmp_path, rows, name="outside.csv")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/manifest.csv").symlink_to(tmp_path / "outside.csv")
    assert refusal(tmp_path / "inside", of_manifest()) == (
        "manifest.csv is a link that leads out of the dataset's folder: copy what it leads to into it"
    )


def test_files_that_changed_since_the_index(tree: Path) -> None:
    source = open_bitemporal(tree, LEVIR)
    write_image(tree / "train/A/train_1.png", drawn_image(np.random.default_rng(0), size=32))
    write_mask(tree / "train/label/train_1.png", np.zeros((32, 32), np.uint8))
    scene = next(scene for scene in source.scenes if scene.name == "train_1")
    with pytest.raises(SceneError, match=r"train/A/train_1.png has \(height, width, bands\) \(32, 32, 3\), but had"):
        source.image(scene, "A")
    with pytest.raises(SceneError, match=r"train/label/train_1.png has 32 × 32 pixels, its image 64 × 64"):
        source.change(scene)


def test_nothing_is_written(tree: Path) -> None:
    def names() -> list[str]:
        return sorted(str(path) for path in tree.rglob("*"))

    before = names()
    indexed(tree, LEVIR)
    bitemporal_fingerprint(tree, LEVIR)
    assert names() == before
    assert cv2.imread(str(tree / "train/A/train_0.png")) is not None
