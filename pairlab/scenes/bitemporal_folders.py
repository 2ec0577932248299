"""The LEVIR-CD layout (Chen and Shi, 2020, doi 10.3390/rs12101662): images before, images after, change masks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pairlab.scenes.bitemporal_layout import NO_EVENT, SPLITS, Candidate, Layout
from pairlab.scenes.folder import check_inside, counted, entries, name_trouble, printed, some
from pairlab.scenes.image_files import ENDINGS
from pairlab.scenes.scene import SceneError, SceneFiles

BEFORE, AFTER, LABEL = "A", "B", "label"
"""Folders; A and B are the acquisitions as well."""
EXPECTED = (
    "A/ and B/ with images of equal names (and label/ with change masks), in it or in its train/, val/ and test/, or a "
    "manifest"
)

_SPLIT_FOLDERS = ("train", "val", "test")
_ENDINGS = ", ".join(ENDINGS)


def scenes_of_folders(root: Path) -> Layout:
    """Returns the scenes of a folder that holds `A/`, `B/` and perhaps `label/`, itself or in train/, val/ and test/.

    A scene is named after its files; where names repeat over splits (00000.png in each), the split is put before them.
    Without split folders all scenes are of split train.

    Args:
        root: the dataset's folder.

    Raises:
        SceneError: no such folders, or one that leads out of the dataset.
    """
    folders = [""] if _has_pairs(root, "") else [name for name in _SPLIT_FOLDERS if _has_pairs(root, name)]
    visible = [entry.name for entry in entries(root, "") if entry.is_dir() and not entry.name.startswith((".", "__"))]
    others = sorted(set(visible) - ({BEFORE, AFTER, LABEL} if folders == [""] else set(folders)))
    if not folders:
        raise SceneError(
            f"no image pairs in folder {root.name!r}: expected {EXPECTED}; found {some(others) or 'no folders'}"
        )
    warnings = [f"{counted(others, 'folder')} left out, no part of the layout: {some(others)}"] if others else []
    found = [(folder, candidate) for folder in folders for candidate in _pairs(root, folder, warnings)]
    counts = Counter(candidate.name for _, candidate in found)
    if max(counts.values(), default=0) > 1:
        found = [(folder, replace(each, name=f"{folder}_{each.name}")) for folder, each in found]
    return Layout([candidate for _, candidate in found], warnings)


def _has_pairs(root: Path, folder: str) -> bool:
    return all(check_inside(root, str(PurePosixPath(folder, part))).is_dir() for part in (BEFORE, AFTER))


def _pairs(root: Path, folder: str, warnings: list[str]) -> Iterator[Candidate]:
    """Yields the scenes of one folder that holds A, B and perhaps label."""
    parts = {part: _images(root, str(PurePosixPath(folder, part)), warnings) for part in (BEFORE, AFTER, LABEL)}
    before, after, labels = (parts[part] for part in (BEFORE, AFTER, LABEL))
    orphans = sorted(labels.keys() - before.keys() - after.keys())
    if orphans:
        masks = PurePosixPath(folder, LABEL)
        warnings.append(f"{counted(orphans, 'mask')} in {masks} without images left out: {some(orphans)}")
    unlabelled = sorted((before.keys() & after.keys()) - labels.keys())
    if unlabelled:
        warnings.append(
            f"{counted(unlabelled, 'scene')} in {folder or root.name} without change mask: {some(unlabelled)}"
        )
    for stem in sorted(before.keys() | after.keys()):
        files = {part: parts[part].get(stem, []) for part in parts}
        first = {part: names[0] if names else None for part, names in files.items()}
        yield Candidate(
            name=printed(stem, limit=120),
            split=SPLITS[folder or "train"],
            event=NO_EVENT,
            files={
                BEFORE: SceneFiles(first[BEFORE] or ""),
                AFTER: SceneFiles(first[AFTER] or "", first[LABEL]),
            },
            change=first[LABEL],
            trouble=_trouble(stem, folder, files),
        )


def _trouble(stem: str, folder: str, files: dict[str, list[str]]) -> str | None:
    """Returns why the files of one name make no scene, as a sentence; None where they do."""
    trouble = name_trouble(stem)
    if trouble:
        return f"the name {printed(stem)!r} {trouble}: rename its files"
    for several in files.values():
        if len(several) > 1:
            return f"{' and '.join(several)} have one name: a scene has one file of each kind, remove the others"
    for part, other in ((BEFORE, AFTER), (AFTER, BEFORE)):
        if not files[part]:
            where = PurePosixPath(folder, part)
            return f"{files[other][0]} has no image of the same name in {where}: add it, or remove this one"
    return None


def _images(root: Path, folder: str, warnings: list[str]) -> dict[str, list[str]]:
    """Returns the image files of a folder by name without ending, each a path below the dataset's folder."""
    files: dict[str, list[str]] = {}
    strays: list[str] = []
    for name in sorted(entry.name for entry in entries(root, folder)):
        path = PurePosixPath(folder, name)
        if path.suffix.lower() in ENDINGS:
            files.setdefault(path.stem, []).append(str(path))
        elif not name.startswith("."):
            strays.append(name)
    if strays:
        warnings.append(f"{counted(strays, 'file')} in {folder} not ending in {_ENDINGS} left out: {some(strays)}")
    return files
