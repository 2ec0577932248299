"""The folders of an xBD dataset: which tiles lie in them, and whether their files fit together."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pairlab.scenes.png import png_size
from pairlab.scenes.scene import SceneError

SPLIT_OF_FOLDER: Mapping[str, str] = {"train": "train", "tier3": "train", "test": "test", "hold": "validation"}
"""xBD's split folders and the split each stands for."""
ACQUISITIONS = ("pre", "post")

_EXPECTED = "{train,tier3,test,hold}/{images,labels}"
_FILE = re.compile(r"(?P<tile>(?P<event>[A-Za-z0-9-]+)_\d{8})_(?P<acquisition>pre|post)_disaster")
_PARTS = ("images", "labels", "targets")


@dataclass(frozen=True, slots=True)
class Tile:
    """One place: two images of one size and their labels."""

    name: str
    """`<event>_<8 digits>`, unique in the dataset."""
    event: str
    folder: str
    """Split folder it lies in."""
    height: int
    width: int


def tree_root(folder: Path) -> Path:
    """Returns the dataset's folder without links; raises SceneError where there is none."""
    root = Path(os.path.realpath(folder))
    if not root.is_dir():
        raise SceneError(f"folder {folder.name!r} does not exist or is no folder: expected an xBD tree, {_EXPECTED}")
    return root


def image_name(folder: str, tile: str, acquisition: str) -> str:
    """Returns the image's path below the dataset's folder."""
    return f"{folder}/images/{tile}_{acquisition}_disaster.png"


def label_name(folder: str, tile: str, acquisition: str) -> str:
    """Returns the label's path below the dataset's folder."""
    return f"{folder}/labels/{tile}_{acquisition}_disaster.json"


def list_tiles(root: Path) -> tuple[tuple[Tile, ...], tuple[str, ...]]:
    """Returns the tiles in order of their names, and a sentence on each thing that was left out.

    Looks at file names and at the first and last bytes of each image; decodes nothing.

    Args:
        root: as `tree_root` gives it.

    Raises:
        SceneError: an unknown split folder, no tiles, an image without its partner or its label, a tile in two splits,
            a link out of the folder, an image that `png_size` refuses, partners of different size.
    """
    warnings: list[str] = []
    tiles: dict[str, Tile] = {}
    for folder in _split_folders(root, warnings):
        images = _listed(root, f"{folder}/images", ".png", warnings)
        labels = _listed(root, f"{folder}/labels", ".json", warnings)
        _check_partners(folder, images, labels)
        orphans = sorted(labels - images)
        if orphans:
            warnings.append(f"{_count(orphans, 'label')} in {folder}/labels without image left out: {_some(orphans)}")
        for stem in sorted(images):
            match = _FILE.fullmatch(stem)
            if match is None or match["acquisition"] != "pre":
                continue
            name = match["tile"]
            if name in tiles:
                raise SceneError(
                    f"tile {name} lies in {tiles[name].folder} and in {folder}: a tile belongs to one split, remove one"
                )
            height, width = _common_size(root, folder, name)
            tiles[name] = Tile(name=name, event=match["event"], folder=folder, height=height, width=width)
        if not images:
            warnings.append(f"{folder} has no images and was left out")
    if not tiles:
        found = ", ".join(sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in os.scandir(root)))
        raise SceneError(
            f"no xBD tiles in folder {root.name!r}: expected {_EXPECTED} with files such as "
            f"train/images/hurricane-michael_00000264_pre_disaster.png, found {_shortened(found) or 'an empty folder'}"
        )
    return tuple(tiles[name] for name in sorted(tiles)), tuple(warnings)


def xbd_fingerprint(folder: Path) -> str:
    """Returns 64 hex digits that change with the names and sizes of images and the names and content of labels.

    Raises:
        SceneError: a folder or file that cannot be read, or a link out of the folder.
    """
    root = tree_root(folder)
    digest = hashlib.sha256(b"xbd 1\n")
    for split in SPLIT_OF_FOLDER:
        for part, ending in (("images", ".png"), ("labels", ".json")):
            for stem in sorted(_listed(root, f"{split}/{part}", ending, [])):
                name = f"{split}/{part}/{stem}{ending}"
                try:
                    content = str((root / name).stat().st_size) if part == "images" else _content_hash(root / name)
                except OSError as error:
                    raise SceneError(f"{name} cannot be read ({error.strerror}): check its permissions") from error
                digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _split_folders(root: Path, warnings: list[str]) -> list[str]:
    """Returns the split folders that are there, in xBD's order."""
    entries = [entry.name for entry in _entries(root, "") if entry.is_dir() and not entry.name.startswith((".", "__"))]
    for name in sorted(set(entries) - set(SPLIT_OF_FOLDER)):
        if any((root / name / part).is_dir() for part in _PARTS):
            raise SceneError(
                f"unknown split folder {name!r}; xBD has {', '.join(SPLIT_OF_FOLDER)}: rename it, or move it elsewhere"
            )
        warnings.append(f"folder {name!r} is no split of xBD ({', '.join(SPLIT_OF_FOLDER)}) and was left out")
    return [name for name in SPLIT_OF_FOLDER if name in entries]


def _listed(root: Path, folder: str, ending: str, warnings: list[str]) -> set[str]:
    """Returns the names, without ending, of a folder's files that are named as xBD names them."""
    stems, strays = set(), []
    for entry in _entries(root, folder):
        stem = entry.name.removesuffix(ending)
        if stem != entry.name and _FILE.fullmatch(stem):
            if not entry.is_file():
                raise SceneError(f"{folder}/{entry.name} is no regular file: put the original file in its place")
            stems.add(stem)
        elif not entry.name.startswith("."):
            strays.append(entry.name)
    if strays:
        form = f"<event>_<8 digits>_{{pre,post}}_disaster{ending}"
        warnings.append(f"{_count(strays, 'file')} in {folder} not named {form} left out: {_some(sorted(strays))}")
    return stems


def _entries(root: Path, folder: str) -> Iterator["os.DirEntry[str]"]:
    """Yields what lies in a folder, none where it is missing; refuses links that lead out of the dataset."""
    path = root / folder
    if not Path(os.path.realpath(path)).is_relative_to(root):
        raise SceneError(f"{folder} is a link that leads out of the dataset's folder: copy the files into it")
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
                    name = f"{folder}/{entry.name}".removeprefix("/")
                    raise SceneError(f"{name} is a link that leads out of the dataset's folder: copy the file into it")
                yield entry
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise SceneError(f"{folder or root.name} cannot be read ({error.strerror}): check its permissions") from error


def _check_partners(folder: str, images: set[str], labels: set[str]) -> None:
    alone = sorted(stem for stem in images if _partner(stem) not in images)
    if alone:
        match = _FILE.fullmatch(alone[0])
        has = match["acquisition"] if match else "pre"
        misses = "post" if has == "pre" else "pre"
        more = f" (so do {len(alone) - 1} more images)" if len(alone) > 1 else ""
        raise SceneError(
            f"{folder}/images/{alone[0]}.png has no {misses} image: {_partner(alone[0])}.png is missing{more}; "
            "add it, or remove the tile's files"
        )
    unlabelled = sorted(images - labels)
    if unlabelled:
        raise SceneError(
            f"missing label {folder}/labels/{unlabelled[0]}.json ({len(unlabelled)} of {len(images)} images in "
            f"{folder}/images have none): add it, or remove the tile's files"
        )


def _partner(stem: str) -> str:
    if stem.endswith("_pre_disaster"):
        return stem.removesuffix("_pre_disaster") + "_post_disaster"
    return stem.removesuffix("_post_disaster") + "_pre_disaster"


def _common_size(root: Path, folder: str, tile: str) -> tuple[int, int]:
    (before, before_size), (after, after_size) = (
        (name, png_size(root / name, name=name)) for name in (image_name(folder, tile, date) for date in ACQUISITIONS)
    )
    if before_size != after_size:
        raise SceneError(
            f"{after} has {after_size[1]} × {after_size[0]} pixels, "
            f"but {before} has {before_size[1]} × {before_size[0]}: both images of a tile must have the same size"
        )
    return before_size


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count(names: list[str], noun: str) -> str:
    return f"{len(names)} {noun}" if len(names) == 1 else f"{len(names)} {noun}s"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
