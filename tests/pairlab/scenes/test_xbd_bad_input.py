"""Files and folders that cannot be used: each has its own sentence, and nothing is left behind."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairlab.scenes.scene import Quarantined, SceneError
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint
from tests.pairlab.scenes.damaged_trees import (
    IMAGE,
    LABEL,
    OTHER,
    PRE_IMAGE,
    THIRD,
    TILE,
    quarantined,
    refusal,
    tile_of,
    write_sound_tree,
)
from tests.pairlab.scenes.xbd_tree import write_xbd_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_sound_tree(tmp_path / "tree")


def image_refusal(folder: Path) -> str:
    """Returns why TILE is quarantined, having checked that IMAGE is named as the file at fault."""
    left_out = quarantined(folder)
    assert left_out.file == IMAGE
    return left_out.reason


def rewrite_header(path: Path, *, width: int = 64, height: int = 64, bits: int = 8, colour: int = 2) -> None:
    data = path.read_bytes()
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    path.write_bytes(data[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])


def test_missing_label(tree: Path) -> None:
    (tree / LABEL).unlink()
    assert quarantined(tree) == Quarantined(TILE, LABEL, f"missing label {LABEL}: add it, or remove the tile's files")


@pytest.mark.parametrize(("gone", "stays"), [("post", "pre"), ("pre", "post")])
def test_an_image_without_its_partner(tree: Path, gone: str, stays: str) -> None:
    (tree / f"train/images/{TILE}_{gone}_disaster.png").unlink()
    partner = f"train/images/{TILE}_{stays}_disaster.png"
    assert quarantined(tree) == Quarantined(
        TILE,
        partner,
        f"{partner} has no {gone} image: {TILE}_{gone}_disaster.png is missing; add it, or remove the tile's files",
    )


def test_images_of_different_size(tree: Path) -> None:
    other = tree.parent / "other"
    write_xbd_tree(other, seed=4, scenes_per_split={"train": 1}, size=96)
    (other / IMAGE).replace(tree / IMAGE)
    assert quarantined(tree) == Quarantined(
        TILE,
        IMAGE,
        f"{IMAGE} has 96 × 96 pixels, but {PRE_IMAGE} has 64 × 64: both images of a tile must have the same size",
    )


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="folder 'nowhere' does not exist or is no folder: expected an xBD tree"):
        open_xbd(tmp_path / "nowhere", damage_from="minor-damage")


def test_an_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert refusal(folder) == (
        "no xBD tiles in folder 'empty': expected {train,tier3,test,hold}/{images,labels} with files such as "
        "train/images/hurricane-michael_00000264_pre_disaster.png, found an empty folder"
    )


def test_a_folder_with_other_things(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "train" / "images").mkdir(parents=True)
    (folder / "train" / "images" / "holiday.png").write_bytes(b"")
    (folder / "readme.txt").write_text("")
    assert refusal(folder).endswith("found readme.txt, train/")


def test_an_unknown_split_folder(tree: Path) -> None:
    (tree / "test").rename(tree / "tset")
    assert refusal(tree) == (
        "unknown split folder 'tset'; xBD has train, tier3, test, hold: rename it, or move it elsewhere"
    )


def test_a_tile_in_two_splits(tree: Path) -> None:
    for part in ("images", "labels"):
        (tree / "hold" / part).mkdir(parents=True)
        for path in (tree / "train" / part).glob(f"{TILE}*"):
            (tree / "hold" / part / path.name).write_bytes(path.read_bytes())
    assert quarantined(tree) == Quarantined(
        TILE,
        f"hold/images/{TILE}_pre_disaster.png",
        f"tile {TILE} lies in train and in hold: a tile belongs to one split, remove one",
    )


@pytest.mark.parametrize("length", [0, 5, 20, 33, 1000, -12, -1])
def test_truncated_png(tree: Path, length: int) -> None:
    (tree / IMAGE).write_bytes((tree / IMAGE).read_bytes()[:length])
    message = image_refusal(tree)
    assert message.startswith(f"{IMAGE} is ")
    assert "a truncated PNG" in message if length not in (0, 5) else "not a PNG" in message


def test_a_file_of_another_kind(tree: Path) -> None:
    (tree / IMAGE).write_bytes(b"GIF89a" + bytes(100))
    assert image_refusal(tree) == (
        f"{IMAGE} is not a PNG, but a file that starts with b'GIF89a\\x00\\x00': put the original image in its place"
    )


def test_a_png_that_claims_to_be_huge(tree: Path) -> None:
    rewrite_header(tree / IMAGE, width=50_000, height=50_000)
    assert image_refusal(tree) == (
        f"{IMAGE} claims 50000 × 50000 pixels; 1 to 8192 a side are read: cut larger images into tiles"
    )


@pytest.mark.parametrize(("bits", "colour"), [(16, 2), (8, 0), (8, 3)])
def test_a_png_that_is_not_8_bit_rgb(tree: Path, bits: int, colour: int) -> None:
    rewrite_header(tree / IMAGE, bits=bits, colour=colour)
    assert image_refusal(tree) == (
        f"{IMAGE} is not 8-bit RGB (bit depth {bits}, colour type {colour}): convert it to 8-bit RGB"
    )


def test_a_damaged_header(tree: Path) -> None:
    data = bytearray((tree / IMAGE).read_bytes())
    data[19] ^= 1
    (tree / IMAGE).write_bytes(data)
    assert (
        image_refusal(tree) == f"{IMAGE} is a damaged PNG: its header does not match its checksum; copy the file again"
    )


def test_damage_within_the_pixels_is_said_when_they_are_read(tree: Path) -> None:
    data = bytearray((tree / IMAGE).read_bytes())
    data[len(data) // 2] ^= 255
    (tree / IMAGE).write_bytes(data)
    source = open_xbd(tree, damage_from="minor-damage")
    scene = tile_of(source)
    for read in (lambda: source.image(scene, "post"), lambda: source.change(scene)):
        with pytest.raises(SceneError, match=f"{IMAGE} is a damaged PNG: its header is sound, its pixels are not"):
            read()
    assert source.image(scene, "pre").shape == (64, 64, 3)


def test_a_file_that_changes_after_opening(tree: Path) -> None:
    source = open_xbd(tree, damage_from="minor-damage")
    scene = tile_of(source)
    write_xbd_tree(tree, seed=4, scenes_per_split={"train": 2}, size=96)
    with pytest.raises(
        SceneError, match="has 96 × 96 pixels, but had 64 × 64 when the dataset was indexed: index it again"
    ):
        source.image(scene, "pre")
    (tree / IMAGE).unlink()
    with pytest.raises(SceneError, match=r"post_disaster.png cannot be read \(No such file or directory\)"):
        source.image(scene, "post")


@pytest.mark.parametrize("part", ["images", "labels"])
def test_a_file_that_links_out_of_the_folder(tree: Path, part: str) -> None:
    inside = tree / (IMAGE if part == "images" else LABEL)
    outside = tree.parent / inside.name
    inside.rename(outside)
    inside.symlink_to(outside)
    name = str(inside.relative_to(tree))
    message = f"{name} is a link that leads out of the dataset's folder: copy what it leads to into it"
    assert quarantined(tree) == Quarantined(TILE, name, message)
    known = xbd_fingerprint(tree)
    outside.write_bytes(b"what lies outside is not looked at")
    assert xbd_fingerprint(tree) == known


@pytest.mark.parametrize("part", ["images", "labels"])
def test_a_file_that_becomes_a_link_after_listing_is_not_read(tree: Path, part: str) -> None:
    source = open_xbd(tree, damage_from="minor-damage")
    scene = tile_of(source)
    inside = tree / (IMAGE if part == "images" else LABEL)
    outside = tree.parent / inside.name
    inside.rename(outside)
    inside.symlink_to(outside)
    with pytest.raises(SceneError, match=f"{inside.name} is a link that leads out of the dataset's folder"):
        source.image(scene, "post") if part == "images" else source.mask(scene, "post", "building")


@pytest.mark.parametrize("target", ["loop", "nowhere"])
def test_a_link_that_leads_nowhere(tree: Path, target: str) -> None:
    (tree / LABEL).unlink()
    (tree / LABEL).symlink_to(tree / (LABEL if target == "loop" else "nowhere"))
    left_out = quarantined(tree)
    assert left_out.file == LABEL
    assert left_out.reason.startswith(f"{LABEL} ")
    assert len(xbd_fingerprint(tree)) == 64


@pytest.mark.parametrize("name", ["train", "train/images", "train/labels", "papers"])
def test_a_folder_that_links_out_of_the_folder(tree: Path, name: str) -> None:
    outside = tree.parent / "outside"
    (tree / "papers").mkdir()
    (tree / name).rename(outside)
    (tree / name).symlink_to(outside)
    assert refusal(tree).startswith(f"{name} is a link that leads out of the dataset's folder: copy what")


def test_links_within_the_folder_and_to_the_folder_are_followed(tree: Path) -> None:
    (tree / "store").mkdir()
    (tree / IMAGE).rename(tree / "store" / "image")
    (tree / IMAGE).symlink_to(Path("../../store/image"))
    (tree.parent / "alias").symlink_to(tree)
    source = open_xbd(tree.parent / "alias", damage_from="minor-damage")
    assert len(source.scenes) == 3
    assert source.image(tile_of(source), "post").shape == (64, 64, 3)


@pytest.mark.parametrize("name", [IMAGE, LABEL])
def test_a_pipe_in_place_of_a_file_does_not_hang(tree: Path, name: str) -> None:
    (tree / name).unlink()
    os.mkfifo(tree / name)
    message = f"{name} is no regular file: put the original file in its place"
    assert quarantined(tree) == Quarantined(TILE, name, message)
    assert len(xbd_fingerprint(tree)) == 64


def test_a_tree_of_which_nothing_can_be_used(tree: Path) -> None:
    for path in tree.rglob("*_post_disaster.png"):
        path.write_bytes(b"")
    assert refusal(tree) == (
        f"none of the 3 xBD tiles in folder 'tree' can be used; the first: train/images/{OTHER}_post_disaster.png is "
        "not a PNG, but an empty file: put the original image in its place"
    )


def test_several_troubles_are_all_told(tree: Path) -> None:
    (tree / IMAGE).write_bytes(b"")
    (tree / f"test/labels/{THIRD}_pre_disaster.json").unlink()
    listing = list_xbd(tree)
    assert [(each.scene, each.file) for each in listing.quarantined] == [
        (TILE, IMAGE),
        (THIRD, f"test/labels/{THIRD}_pre_disaster.json"),
    ]
    assert [scene.name for scene in listing.scenes] == [OTHER]


def test_digits_of_other_scripts_name_no_tile(tree: Path) -> None:
    for path in list(tree.rglob(f"{TILE}*")):
        path.rename(path.with_name(path.name.replace("00000000", "٠٠٠٠٠٠٠٠")))
    listing = list_xbd(tree)
    assert [scene.name for scene in listing.scenes] == [OTHER, THIRD]
    assert sum("not named <event>_<8 digits>" in warning for warning in listing.warnings) == 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes_are_read_or_refused_in_words(tree: Path, flips: list[tuple[float, int]]) -> None:
    said: list[str] = []
    for name in (IMAGE, LABEL):
        original = (tree / name).read_bytes()
        data = np.frombuffer(original, np.uint8).copy()
        for where, mask in flips:
            data[int(where * len(data))] ^= mask
        (tree / name).write_bytes(data.tobytes())
        try:
            source = open_xbd(tree, damage_from="minor-damage")
            for scene in source.scenes:
                assert source.image(scene, "post").shape == (64, 64, 3)
                assert source.change(scene).changed.shape == (64, 64)
        except SceneError as error:
            said.append(str(error))
        finally:
            (tree / name).write_bytes(original)
    assert all(TILE in sentence for sentence in said)
