"""A tree of three tiles, of which one is damaged, and what is said of it."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from pairlab.scenes.scene import Quarantined, Scene, SceneError
from pairlab.scenes.xbd import XbdSource
from pairlab.scenes.xbd_files import list_xbd
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

TILE = "testville-flooding_00000000"
IMAGE = f"train/images/{TILE}_post_disaster.png"
LABEL = f"train/labels/{TILE}_post_disaster.json"
PRE_IMAGE = f"train/images/{TILE}_pre_disaster.png"
OTHER, THIRD = "sampleton-wildfire_00000001", "testville-flooding_00000002"


def write_sound_tree(folder: Path) -> Path:
    """Writes the tree and returns its folder."""
    write_xbd_tree(folder, seed=4, scenes_per_split={"train": 2, "test": 1}, size=64, buildings=6)
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Returns every file below a folder, with its checksum or what it links to."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def refusal(folder: Path) -> str:
    """Returns why the whole tree is refused, having checked that listing left everything as it was."""
    before, files = snapshot(folder.parent), len(os.listdir("/proc/self/fd"))
    with pytest.raises(SceneError) as error:
        list_xbd(folder)
    assert snapshot(folder.parent) == before
    assert len(os.listdir("/proc/self/fd")) == files
    return str(error.value)


def quarantined(folder: Path) -> Quarantined:
    """Returns the tile that listing quarantines, having checked that it is TILE and that the others stay."""
    before, files = snapshot(folder.parent), len(os.listdir("/proc/self/fd"))
    listing = list_xbd(folder)
    assert snapshot(folder.parent) == before
    assert len(os.listdir("/proc/self/fd")) == files
    (left_out,) = listing.quarantined
    assert left_out.scene == TILE
    assert [scene.name for scene in listing.scenes] == [OTHER, THIRD]
    return left_out


def tile_of(source: XbdSource) -> Scene:
    """Returns the scene of TILE."""
    return next(scene for scene in source.scenes if scene.name == TILE)
