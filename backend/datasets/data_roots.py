"""What in the data roots looks like a dataset."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from backend.context import Context
from backend.datasets.schemas import DataRootRead

XBD_SPLITS = ("train", "tier3", "test", "hold")
BITEMPORAL_SPLITS = ("train", "val", "test")
MANIFEST_ENDINGS = (".csv", ".parquet")
MOST_FOLDERS = 1000
MOST_MANIFESTS = 20

FolderKind = Literal["xbd", "bitemporal"]


def list_data_roots(context: Context) -> list[DataRootRead]:
    """Returns the data roots given at start, with the folders in them that look like a dataset."""
    return [_read(name, root) for name, root in sorted(context.settings.data_roots.items())]


def _read(name: str, root: Path) -> DataRootRead:
    kinds: dict[str, FolderKind] = {}
    manifests: dict[str, list[str]] = {}
    for folder, path in islice(_folders(root), MOST_FOLDERS):
        found = _manifests(path)
        kind = _kind(path, has_manifest=bool(found))
        if kind is not None:
            kinds[folder] = kind
            if found:
                manifests[folder] = found
    return DataRootRead(name=name, folders=list(kinds), kinds=kinds, manifests=manifests)


def _folders(root: Path) -> Iterator[tuple[str, Path]]:
    yield "", root
    try:
        folders = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    inside = os.path.realpath(root)
    for folder in folders:
        if Path(os.path.realpath(root / folder)).is_relative_to(inside):
            yield folder, root / folder


def _kind(folder: Path, *, has_manifest: bool) -> FolderKind | None:
    if any(_is_folder(folder / split / "labels") for split in XBD_SPLITS):
        return "xbd"
    layouts = (folder, *(folder / split for split in BITEMPORAL_SPLITS))
    paired = any(_is_folder(layout / "A") and _is_folder(layout / "B") for layout in layouts)
    return "bitemporal" if paired or has_manifest else None


def _manifests(folder: Path) -> list[str]:
    try:
        files = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(MANIFEST_ENDINGS))
    except OSError:
        return []
    return files[:MOST_MANIFESTS]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
