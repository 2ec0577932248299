"""The folders of an xBD dataset: which tiles lie in them, and whether their files fit together."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pairlab.scenes.folder import check_inside, counted, dataset_root, entries, printed, some
from pairlab.scenes.png import png_size
from pairlab.scenes.scene import Listing, Quarantined, Scene, SceneError, SceneFiles

SPLIT_OF_FOLDER: Mapping[str, str] = {"train": "train", "tier3": "train", "test": "test", "hold": "validation"}
"""xBD's split folders and the split each stands for."""
ACQUISITIONS = ("pre", "post")

CHECKSUM_BYTES = 20
"""Adler-32 of the pixels (4), CRC of the last image chunk (4) and the end chunk (12)."""

_EXPECTED = "{train,tier3,test,hold}/{images,labels}"
_FILE = re.compile(r"(?P<tile>(?P<event>[A-Za-z0-9-]{1,100})_\d{8})_(?P<acquisition>pre|post)_disaster", re.ASCII)
_PARTS = ("images", "labels", "targets")


def tree_root(folder: Path) -> Path:
    """Returns the dataset's folder without links; raises SceneError where there is none."""
    return dataset_root(folder, expected=f"an xBD tree, {_EXPECTED}")


def image_name(folder: str, tile: str, acquisition: str) -> str:
    """Returns the image's path below the dataset's folder."""
    return f"{folder}/images/{tile}_{acquisition}_disaster.png"


def label_name(folder: str, tile: str, acquisition: str) -> str:
    """Returns the label's path below the dataset's folder."""
    return f"{folder}/labels/{tile}_{acquisition}_disaster.json"


def list_xbd(folder: Path) -> Listing:
    """Returns the tiles as scenes, those that cannot be used with the reason, and a sentence on what was left out.

    Looks at file names and at the first and last bytes of each image; decodes nothing, writes nothing.

    Args:
        folder: holds `{train,tier3,test,hold}/{images,labels}`; tier3 counts as train, hold as validation.

    Raises:
        SceneError: no such folder, an unknown split folder, a folder that links out of the dataset, or no tile at all.
    """
    root = tree_root(folder)
    warnings: list[str] = []
    scenes: dict[str, Scene] = {}
    quarantined: dict[str, Quarantined] = {}
    seen: dict[str, str] = {}
    for split in _split_folders(root, warnings):
        images = _listed(root, f"{split}/images", ".png", warnings)
        labels = _listed(root, f"{split}/labels", ".json", warnings)
        orphans = sorted(labels.keys() - images.keys())
        if orphans:
            warnings.append(f"{counted(orphans, 'label')} in {split}/labels without image left out: {some(orphans)}")
        if not images:
            warnings.append(f"{split} has no images and was left out")
        for tile in sorted({stem.rpartition("_disaster")[0].rpartition("_")[0] for stem in images}):
            if tile in seen:
                scenes.pop(tile, None)
                reason = f"tile {tile} lies in {seen[tile]} and in {split}: a tile belongs to one split, remove one"
                quarantined[tile] = Quarantined(tile, image_name(split, tile, ACQUISITIONS[0]), reason)
                continue
            seen[tile] = split
            try:
                scenes[tile] = _tile(root, split, tile, images, labels)
            except _TileError as error:
                quarantined[tile] = Quarantined(tile, error.file, str(error))
    if not scenes:
        raise SceneError(_nothing_found(root, tuple(quarantined.values())))
    return Listing(
        scenes=tuple(scenes[name] for name in sorted(scenes)),
        quarantined=tuple(quarantined[name] for name in sorted(quarantined)),
        warnings=tuple(warnings),
    )


def xbd_fingerprint(folder: Path) -> str:
    """Returns 64 hex digits that change with the names of files, the pixels of images and the content of labels.

    Of an image its size and its last bytes are read: they hold the Adler-32 checksum of all pixels (RFC 1950) and the
    last chunk's CRC, so that no edit goes unseen and nothing is decoded.

    Raises:
        SceneError: a folder that cannot be read, or one that links out of the dataset.
    """
    root = tree_root(folder)
    digest = hashlib.sha256(b"xbd 2\n")
    for split in SPLIT_OF_FOLDER:
        for part, ending in (("images", ".png"), ("labels", ".json")):
            files = _listed(root, f"{split}/{part}", ending, [])
            for stem in sorted(files):
                name = f"{split}/{part}/{stem}{ending}"
                digest.update(f"{name} {files[stem] or _content(root / name, part)}\n".encode())
    return digest.hexdigest()


def _content(path: Path, part: str) -> str:
    """Returns what stands for a file's content; the error where it cannot be read, which is part of what is there."""
    try:
        with path.open("rb") as file:
            if part == "labels":
                return hashlib.file_digest(file, "sha256").hexdigest()
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - CHECKSUM_BYTES))
            return f"{length} {file.read().hex()}"
    except OSError as error:
        return f"unreadable: {error.strerror}"


class _TileError(SceneError):
    """A tile that cannot be used, and the file at fault."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(reason)
        self.file = file


def _tile(root: Path, split: str, tile: str, images: Mapping[str, str], labels: Mapping[str, str]) -> Scene:
    """Returns one tile as a scene; raises _TileError."""
    match = _FILE.fullmatch(f"{tile}_pre_disaster")
    assert match is not None
    files, sizes = {}, {}
    for date, other in (ACQUISITIONS, ACQUISITIONS[::-1]):
        image, label = image_name(split, tile, date), label_name(split, tile, date)
        stem = f"{tile}_{date}_disaster"
        if stem not in images:
            raise _TileError(
                image_name(split, tile, other),
                f"{image_name(split, tile, other)} has no {date} image: {stem}.png is missing; add it, or remove the "
                "tile's files",
            )
        if stem not in labels:
            raise _TileError(label, f"missing label {label}: add it, or remove the tile's files")
        for name, trouble in ((image, images[stem]), (label, labels[stem])):
            if trouble:
                raise _TileError(name, f"{name} {trouble}")
        files[date] = SceneFiles(image=image, label=label)
    for date in ACQUISITIONS:
        image = files[date].image
        try:
            sizes[date] = png_size(root / image, name=image)
        except SceneError as error:
            raise _TileError(image, str(error)) from error
    if sizes["pre"] != sizes["post"]:
        raise _TileError(
            files["post"].image,
            f"{files['post'].image} has {sizes['post'][1]} × {sizes['post'][0]} pixels, but {files['pre'].image} has "
            f"{sizes['pre'][1]} × {sizes['pre'][0]}: both images of a tile must have the same size",
        )
    height, width = sizes["pre"]
    return Scene(
        name=tile,
        split=SPLIT_OF_FOLDER[split],
        event=match["event"],
        acquisitions=ACQUISITIONS,
        height=height,
        width=width,
        files=files,
    )


def _nothing_found(root: Path, quarantined: tuple[Quarantined, ...]) -> str:
    if quarantined:
        first = quarantined[0].reason
        return f"none of the {len(quarantined)} xBD tiles in folder {root.name!r} can be used; the first: {first}"
    found = ", ".join(sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in os.scandir(root)))
    return (
        f"no xBD tiles in folder {root.name!r}: expected {_EXPECTED} with files such as "
        f"train/images/hurricane-michael_00000264_pre_disaster.png, found {printed(found) or 'an empty folder'}"
    )


def _split_folders(root: Path, warnings: list[str]) -> list[str]:
    """Returns the split folders that are there, in xBD's order."""
    visible = (entry for entry in entries(root, "") if not entry.name.startswith((".", "__")))
    folders = {entry.name for entry in visible if entry.is_dir()}
    for name in sorted(folders):
        check_inside(root, name)
    for name in sorted(folders - set(SPLIT_OF_FOLDER)):
        if any((root / name / part).is_dir() for part in _PARTS):
            raise SceneError(
                f"unknown split folder {name!r}; xBD has {', '.join(SPLIT_OF_FOLDER)}: rename it, or move it elsewhere"
            )
        warnings.append(f"folder {name!r} is no split of xBD ({', '.join(SPLIT_OF_FOLDER)}) and was left out")
    return [name for name in SPLIT_OF_FOLDER if name in folders]


def _listed(root: Path, folder: str, ending: str, warnings: list[str]) -> dict[str, str]:
    """Returns the files that are named as xBD names them, without ending, and what is wrong with each, if anything."""
    files: dict[str, str] = {}
    strays = []
    for entry in entries(root, folder):
        stem = entry.name.removesuffix(ending)
        if stem != entry.name and _FILE.fullmatch(stem):
            files[stem] = _trouble(root, entry)
        elif not entry.name.startswith("."):
            strays.append(entry.name)
    if strays:
        form = f"<event>_<8 digits>_{{pre,post}}_disaster{ending}"
        warnings.append(f"{counted(strays, 'file')} in {folder} not named {form} left out: {some(sorted(strays))}")
    return files


def _trouble(root: Path, entry: "os.DirEntry[str]") -> str:
    """Returns why a file must not be opened, as the end of a sentence; empty where nothing speaks against it."""
    try:
        if entry.is_symlink() and not Path(os.path.realpath(entry.path)).is_relative_to(root):
            return "is a link that leads out of the dataset's folder: copy what it leads to into it"
        return "" if entry.is_file() else "is no regular file: put the original file in its place"
    except OSError as error:
        return f"cannot be read ({error.strerror}): check that it may be read"
