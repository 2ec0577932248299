"""Whatever lies in the folder of a dataset: no crash, nothing read outside of it, no more memory than it is worth."""

import json
import os
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pairlab.experiment.datasets import XbdDataset
from pairlab.scenes.dataset import list_dataset
from pairlab.scenes.scene import SceneError
from tests.pairlab.scenes.fuzzing import MORE_BYTES
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

ROOT = Path(__file__).parents[3]
TILE = "testville-flooding_00000000"


def fuzzed(folder: Path, *, seed: int, rounds: int) -> dict[str, Any]:
    """Returns what the fuzzing process printed, having checked that nothing killed it."""
    command = [sys.executable, "-m", "tests.pairlab.scenes.fuzzing", str(folder), str(seed), str(rounds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_damaged_trees_are_read_or_refused_in_words(tmp_path: Path) -> None:
    found = fuzzed(tmp_path, seed=1, rounds=120)
    assert found["wrong"] == []
    assert found["seen"]["read"] > 150
    assert found["seen"]["quarantined"] > 100
    assert found["peak_bytes"] < 500 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_many_damaged_trees_are_read_or_refused_in_words(tmp_path: Path, seed: int) -> None:
    assert fuzzed(tmp_path, seed=seed, rounds=600)["wrong"] == []


BOUNDED = """
import json, resource, sys, time
from pathlib import Path
from pairlab.scenes.indexing import IndexFiles, index_dataset
from pairlab.scenes.index_file import read_index
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint
from tests.pairlab.scenes.fuzzing import peak_bytes
from tests.pairlab.scenes.xbd_tree import write_xbd_tree
tree, more = Path(sys.argv[1]), int(sys.argv[2])

def read(tree, index):
    xbd_fingerprint(tree)
    listing = list_xbd(tree)
    source = open_xbd(tree, damage_from="minor-damage", scenes=listing.scenes)
    files = IndexFiles(index, "0" * 64)
    list(index_dataset(source, files, root=tree, quarantined=listing.quarantined, should_stop=lambda: False))
    return source, read_index(files.index)

write_xbd_tree(tree.parent / "warm", seed=1, scenes_per_split={"train": 1}, size=64)
read(tree.parent / "warm", tree.parent / "warm index")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))
before, began = peak_bytes(), time.perf_counter()
source, index = read(tree, tree.parent / "index")
seconds = time.perf_counter() - began
for scene in index.table.scenes:
    for date in scene.acquisitions:
        source.mask(scene, date, "damage_levels")
        source.outlines(scene, date)
    source.change(scene)
grown = peak_bytes() - before
reasons = {each.scene: each.reason for each in index.table.quarantined}
objects = index.table.objects.sum(axis=1).tolist()
print(json.dumps({"seconds": seconds, "grown": grown, "reasons": reasons, "objects": objects}))
"""


def bounded(tree: Path, *, more_bytes: int) -> dict[str, Any]:
    """Returns what a process found that may take so many bytes more than it has at its beginning."""
    command = [sys.executable, "-c", BOUNDED, str(tree), str(more_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (8192, 8192), (2**32 - 1, 1), (8192, 1300)])
def test_a_header_alone_allocates_nothing(tmp_path: Path, width: int, height: int) -> None:
    """Both images of a tile claim a size that their few bytes cannot hold; the other tile is read."""
    tree = tmp_path / "tree"
    write_xbd_tree(tree, seed=4, scenes_per_split={"train": 2}, size=64)
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for path in tree.rglob(f"{TILE}*.png"):
        content = path.read_bytes()
        path.write_bytes(content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:])
    found = bounded(tree, more_bytes=MORE_BYTES)
    assert len(found["objects"]) == 1
    assert list(found["reasons"]) == [TILE]
    assert TILE in found["reasons"][TILE]
    assert found["grown"] < 150 * 2**20


def test_a_bomb_of_zeros_takes_a_small_multiple_of_its_pixels(tmp_path: Path) -> None:
    """4096 × 4096 black pixels in 50 kB are a PNG as the standard has it: 50 MB decoded, and no data anywhere."""
    side = 4096
    tree = tmp_path / "tree"
    write_xbd_tree(tree, seed=4, scenes_per_split={"train": 2}, size=64)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )
    for path in tree.rglob(f"{TILE}*.png"):
        path.write_bytes(content)
    for path in tree.rglob(f"{TILE}*.json"):
        label = json.loads(path.read_text())
        label["metadata"].update(width=side, height=side)
        path.write_text(json.dumps(label))
    found = bounded(tree, more_bytes=2**30)
    assert len(found["objects"]) == 2
    assert found["grown"] < 700 * 2**20


def test_a_label_of_100_000_polygons(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write_xbd_tree(tree, seed=4, scenes_per_split={"train": 2}, size=64)
    rng = random.Random(0)
    corners = [(rng.uniform(-10, 70), rng.uniform(-10, 70)) for _ in range(100_000)]
    for date, properties in (("pre", {}), ("post", {"subtype": "destroyed"})):
        path = tree / f"train/labels/{TILE}_{date}_disaster.json"
        content = json.loads(path.read_text())
        content["features"]["xy"] = [
            {
                "properties": {"feature_type": "building", "uid": f"{number}", **properties},
                "wkt": f"POLYGON (({x} {y}, {x + 5.5} {y}, {x + 5.5} {y + 4.25}, {x} {y + 4.25}, {x} {y}))",
            }
            for number, (x, y) in enumerate(corners)
        ]
        path.write_text(json.dumps(content))
    found = bounded(tree, more_bytes=3 * 2**30)
    assert sorted(found["objects"]) == [10, 100_000]
    assert found["reasons"] == {}
    assert found["seconds"] < 30  # about 2 on a core of its own
    assert found["grown"] < 1.5 * 2**30


@pytest.mark.parametrize("folder", ["..", "../secret", "/etc", "a/../../b", "a\\..\\b", "a\0b"])
def test_a_registration_names_no_folder_outside_of_its_root(folder: str) -> None:
    with pytest.raises(ValidationError, match="must be a relative path below the data root"):
        XbdDataset(root="r", folder=folder)


def test_a_link_in_a_data_root_leads_nowhere_else(tmp_path: Path) -> None:
    write_xbd_tree(tmp_path / "outside", seed=4, scenes_per_split={"train": 1}, size=64)
    root = tmp_path / "root"
    root.mkdir()
    (root / "direct").symlink_to(tmp_path / "outside")
    (root / "folder").mkdir()
    (root / "folder" / "up").symlink_to(os.path.join("..", "..", "outside"))
    for folder in ("direct", "folder/up", "direct/train"):
        with pytest.raises(SceneError, match="leads out of data root 'r': name a folder inside it"):
            list_dataset(XbdDataset(root="r", folder=folder), data_roots={"r": root})
    with pytest.raises(SceneError, match="no data root 'q' \\(known: r\\): start PairLab with"):
        list_dataset(XbdDataset(root="q"), data_roots={"r": root})
