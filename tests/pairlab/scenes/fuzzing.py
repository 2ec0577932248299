"""Damages small xBD trees at random and looks whether reading them stays within its bounds; runs on its own.

python -m tests.pairlab.scenes.fuzzing FOLDER SEED ROUNDS

Prints one JSON object: what went wrong, as a list with the number of the round (seed and round repeat it), what was
seen, and the greatest memory in use. Files are opened below the tree alone, or an entry says which was not.
"""

import json
import os
import random
import re
import resource
import shutil
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pairlab.scenes.index_file import read_index
from pairlab.scenes.indexing import IndexFiles, index_dataset
from pairlab.scenes.scene import SceneError
from pairlab.scenes.xbd import open_xbd
from pairlab.scenes.xbd_files import list_xbd, xbd_fingerprint
from tests.pairlab.scenes.xbd_tree import write_xbd_tree

SIZE = 64
MORE_BYTES = 400 * 2**20
"""What reading may take beyond what the process has when it begins; a 50,000² image would take 7.5 GB."""
HOSTILE_NAMES = (
    b"..png", b"...", b"-rf", b"a b.png", b"new\nline_00000001_pre_disaster.png", b"tab\t.json", b"\x1b[31mred.png",
    b"\xff\xfe_00000001_pre_disaster.png", "٠_00000001_pre_disaster.png".encode(), b"..%2f..%2fetc%2fpasswd",
    b"..\\..\\etc_00000001_pre_disaster.png", b"con", b"x" * 255, b"y" * 229 + b"_00000001_pre_disaster.png",
    b"z_00000001_pre_disaster.png", b"a_1_pre_disaster.png", b"_00000001_pre_disaster.png",
    b"a_00000001_mid_disaster.png", b"a_00000001_pre_disaster.PNG",
)  # fmt: skip
HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e400, 10**400, float("nan"), "", "x" * 100_000, "\u0000", "\ud800", "../../etc/passwd", [],
    {}, [[[]]], {"wkt": {}}, ["POLYGON"], "destroyed", 2**63,
)  # fmt: skip
HOSTILE_WKT = (
    "POLYGON ((1e308 1e308, -1e308 1e308, 1e308 -1e308, 1e308 1e308))",
    "POLYGON ((nan nan, nan nan, nan nan, nan nan))",
    "POLYGON ((65536 65536, -65536 65536, -65536 -65536, 65536 65536))",
    "POLYGON ((65537 0, 0 0, 0 1, 65537 0))",
    "POLYGON EMPTY",
    "MULTIPOLYGON EMPTY",
    "GEOMETRYCOLLECTION (" * 400 + "POINT (1 1)" + ")" * 400,
    "POLYGON (" + "(" * 10_000,
    "POLYGON ((0 0, 1 1, 0 0, 0 0))",
    "POLYGON ((" + ", ".join(f"{n % 64} {n % 61}" for n in range(20_000)) + ", 0 0))",
    "POLYGON Z ((0 0 0, 9 0 0, 9 9 0, 0 0 0))",
    "CURVEPOLYGON ((0 0, 1 1, 1 0, 0 0))",
    "SRID=4326;POLYGON ((0 0, 9 0, 9 9, 0 0))",
    "POLYGON ((0x1p3 0, 9 0, 9 9, 0x1p3 0))",
    "POLYGON ((0 0, 9 0, 9 9, 0 0))\x00",
)

TILE = re.compile(r"(.*_[0-9]{8})_(?:pre|post)_disaster", re.DOTALL)

Damage = Callable[[random.Random, Path], None]


def flip_bits(rng: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 2, 8, 100])):
        if content:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(rng: random.Random, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def splice(rng: random.Random, path: Path) -> None:
    content = path.read_bytes()
    cut, other = (rng.randrange(len(content) + 1) for _ in range(2))
    path.write_bytes(content[:cut] + rng.randbytes(rng.choice([0, 1, 16, 3000])) + content[other:])


def claim_size(rng: random.Random, path: Path) -> None:
    """Gives a PNG a header, with its checksum, that claims another size, depth, colour or interlacing."""
    content = path.read_bytes()
    width, height = (rng.choice([0, 1, SIZE, 8192, 8193, 50_000, 2**31 - 1, 2**32 - 1]) for _ in range(2))
    depth, colour, interlaced = rng.choice([1, 8, 16, 77]), rng.choice([0, 2, 2, 3, 6, 9]), rng.choice([0, 1, 7])
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    path.write_bytes(content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:])


def add_chunk(rng: random.Random, path: Path) -> None:
    """Puts a chunk of an odd kind behind a PNG's header, with its checksum or without."""
    content = path.read_bytes()
    kind = rng.choice([b"zTXt", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"eXIf", b"IDAT", b"abcd"])
    body = rng.choice([b"", rng.randbytes(40), b"name\0\0" + zlib.compress(bytes(2**24))])
    length = rng.choice([len(body), 0, 2**31 - 1])
    chunk = struct.pack(">I", length) + kind + body + struct.pack(">I", rng.choice([zlib.crc32(kind + body), 0]))
    path.write_bytes(content[:33] + chunk + content[33:])


def change_json(rng: random.Random, path: Path) -> None:
    """Puts a hostile value at a random place of a label."""
    content = json.loads(path.read_text())
    for _ in range(rng.randint(1, 3)):
        node: Any = content
        while True:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
                node = node[key]
                continue
            if rng.random() < 0.2 and isinstance(node, dict):
                del node[key]
            else:
                node[key] = rng.choice(HOSTILE_VALUES)
            break
    path.write_text(json.dumps(content))


def change_wkt(rng: random.Random, path: Path) -> None:
    content = json.loads(path.read_text())
    features = content["features"]["xy"] + content["features"]["lng_lat"]
    for feature in rng.sample(features, min(len(features), rng.randint(1, 3))):
        text = feature["wkt"]
        place = rng.randrange(len(text))
        feature["wkt"] = rng.choice(
            [rng.choice(HOSTILE_WKT), text[:place] + rng.choice(" ,.()-+eE0x\t\0") + text[place:], text[:place]]
        )
    path.write_text(json.dumps(content))


def nest(rng: random.Random, path: Path) -> None:
    path.write_text(rng.choice(["[", '{"a":']) * rng.choice([10, 900, 200_000]))


def replace_by_link(rng: random.Random, path: Path) -> None:
    """Makes a file a link: out of the tree, to itself, to nothing, to a device, or to another file of the tree."""
    others = sorted(other for other in path.parent.iterdir() if other != path)
    outside = path.parents[3] / "outside" / "secret"
    target = rng.choice(
        [outside, path, Path("/nowhere"), Path("/dev/zero"), Path("../../../../outside/secret"), rng.choice(others)]
    )
    path.unlink()
    path.symlink_to(target)


def replace_by_special(rng: random.Random, path: Path) -> None:
    """Makes a file a folder, a pipe or a socket."""
    path.unlink()
    kind = rng.choice(["folder", "pipe", "socket"])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as made:
            here = Path.cwd()
            os.chdir(path.parent)  # the path of a socket is short
            made.bind(path.name)
            os.chdir(here)


def add_hostile_names(rng: random.Random, path: Path) -> None:
    for name in rng.sample(HOSTILE_NAMES, 4):
        other = os.path.join(os.fsencode(path.parent), name)
        if not os.path.lexists(other):
            shutil.copyfile(path, other)


def link_folder_out(rng: random.Random, path: Path) -> None:
    outside = path.parents[3] / "outside"
    (path.parents[2] / rng.choice(["hold", "papers", "..hold"])).symlink_to(outside)


def remove(_: random.Random, path: Path) -> None:
    path.unlink()


ANY: tuple[Damage, ...] = (
    flip_bits, flip_bits, truncate, splice, replace_by_link, replace_by_special, add_hostile_names, remove,
)  # fmt: skip
OF_IMAGES: tuple[Damage, ...] = (claim_size, add_chunk)
OF_LABELS: tuple[Damage, ...] = (change_json, change_json, change_wkt, change_wkt, nest)


class Watch:
    """Notes every file that is opened outside of the tree while it is told to."""

    def __init__(self) -> None:
        self.root: str | None = None
        self.allowed: tuple[str, ...] = ()
        self.strayed: list[str] = []
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.root is None or event not in ("open", "os.scandir", "os.listdir") or isinstance(arguments[0], int):
            return
        path = os.path.realpath(os.fsdecode(arguments[0] or "."))
        if not path.startswith((self.root, *self.allowed)):
            self.strayed.append(f"{event} {path}")


def one_round(folder: Path, rng: random.Random, watch: Watch, pristine: Path) -> Counter[str]:
    """Damages a copy of a tree and reads it; raises whatever is no SceneError, AssertionError where it was misread."""
    tree = folder / "tree"
    shutil.copytree(pristine, tree)
    (folder / "outside" / "images").mkdir(parents=True)
    (folder / "outside" / "secret").write_bytes(b"nobody reads this")
    hurt: set[str] = set()
    for _ in range(rng.randint(1, 4)):
        path = rng.choice(
            [path for path in sorted(tree.rglob("*_disaster.*")) if path.is_file() and not path.is_symlink()]
        )
        image = path.suffix == ".png"
        damage = rng.choice(
            [*ANY, *(OF_IMAGES if image else OF_LABELS) * 2, *([link_folder_out] if rng.random() < 0.1 else [])]
        )
        try:
            damage(rng, path)
        except (ValueError, KeyError, TypeError, struct.error, FileExistsError, RecursionError, AttributeError):
            continue  # what an earlier damage left cannot be damaged so
        if tile := TILE.match(path.name):  # else one of the hostile names
            hurt.add(tile[1])
    watch.root, watch.allowed = os.path.realpath(tree), (str(folder / "index"),)
    try:
        return _read(tree, IndexFiles(folder / "index", "0" * 64), hurt)
    finally:
        watch.root = None


def _read(tree: Path, files: IndexFiles, hurt: set[str]) -> Counter[str]:
    seen: Counter[str] = Counter()
    try:
        assert len(xbd_fingerprint(tree)) == 64
        listing = list_xbd(tree)
        source = open_xbd(tree, damage_from="minor-damage", scenes=listing.scenes)
        list(index_dataset(source, files, root=tree, quarantined=listing.quarantined, should_stop=lambda: False))
    except SceneError as error:
        _check_sentence(str(error))
        return Counter({"whole tree": 1})
    index = read_index(files.index)
    assert index is not None, "the index cannot be read back"
    known = {scene.name for scene in index.table.scenes}
    for each in index.table.quarantined:
        _check_sentence(each.reason)
        assert each.scene not in known, f"{each.scene} is quarantined and takes part"
        seen["quarantined"] += 1
    named = known | {each.scene for each in index.table.quarantined}
    sound = {
        f"{event}_{number:08d}" for number, event in enumerate(("testville-flooding", "sampleton-wildfire") * 2)
    } - hurt
    assert sound <= known, f"{sorted(sound - known)} were sound"
    assert {scene.name for scene in listing.scenes} <= named, "a tile is neither known nor quarantined"
    for scene in index.table.scenes:
        for date in scene.acquisitions:
            assert source.image(scene, date).shape == (scene.height, scene.width, 3)
            assert source.mask(scene, date, "damage_levels").shape == (scene.height, scene.width)
            json.dumps(source.metadata(scene, date), allow_nan=False).encode()
        assert source.change(scene).changed.shape == (scene.height, scene.width)
        seen["read"] += 1
    assert (index.chips(32).valid_pixels <= 1024).all()
    return seen


def _check_sentence(text: str) -> None:
    assert text.isprintable(), f"not printable: {text!r}"
    assert 20 < len(text) < 2000, f"of {len(text)} characters: {text[:200]!r}"
    text.encode()


def peak_bytes() -> int:
    """Returns the most memory that this process has had (`ru_maxrss` knows that of its parent too)."""
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0])


def main(folder: Path, seed: int, rounds: int) -> None:
    """Prints what happened in so many rounds."""
    watch = Watch()
    pristine = folder / "pristine"
    write_xbd_tree(pristine, seed=1, scenes_per_split={"train": 2, "test": 2}, size=SIZE, buildings=6, targets=())
    one_round(folder / "warm", random.Random(0), watch, pristine)  # what is imported late is imported here
    watch.strayed.clear()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE_BYTES, used + MORE_BYTES))
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for number in range(rounds):
        try:
            seen += one_round(folder / str(number), random.Random(f"{seed} {number}"), watch, pristine)
        except Exception as error:
            wrong.append(f"round {number}: {type(error).__name__}: {str(error)[:300]}")
        wrong.extend(f"round {number}: {stray}" for stray in watch.strayed)
        watch.strayed.clear()
        shutil.rmtree(folder / str(number), ignore_errors=True)
    print(json.dumps({"wrong": wrong, "seen": seen, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
