"""The scenes that a manifest describes, and what its own columns say of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pairlab.scenes.bitemporal_layout import NO_EVENT, SPLITS, Candidate, Layout
from pairlab.scenes.folder import counted, name_trouble, printed, relative_path, some
from pairlab.scenes.manifest import Manifest, ManifestRow
from pairlab.scenes.scene import Attribute, SceneError, SceneFiles


def scenes_of_manifest(manifest: Manifest, *, name: str, classes: Sequence[str]) -> Layout:
    """Returns the scenes of a manifest; their acquisitions are in the order of its rows.

    All scenes have the acquisitions of most of them, because a pairing policy names acquisitions; dates that differ
    from place to place go into a column of their own. A scene without a split is of split train.

    Args:
        manifest: read, not checked.
        name: what messages call it.
        classes: names of the values of its masks.

    Raises:
        SceneError: masks without classes, or scenes that have no acquisitions in common.
    """
    masked = any(row.mask for row in manifest.rows)
    if masked and not classes:
        raise SceneError(
            f"{name} names masks, but classes is empty: name their values 0, 1, 2, … there, 0 is the background; a "
            "mask of the change alone belongs into column change"
        )
    candidates = [_candidate(scene, rows) for scene, rows in _rows_of_scenes(manifest).items()]
    orders = Counter(tuple(each.files) for each in candidates if each.trouble is None)
    usual, count = orders.most_common(1)[0] if orders else ((), 0)
    if count * 2 < orders.total():
        raise SceneError(
            f"{name} names acquisitions otherwise from scene to scene ({some([', '.join(each) for each in orders])}): "
            "name them alike in all, such as before and after, and put dates into a column of their own"
        )
    warnings = [f"classes names {', '.join(classes)}, but {name} has no masks"] if classes and not masked else []
    owners: dict[str, set[str]] = {}
    for each in candidates:
        for files in each.files.values():
            owners.setdefault(files.image, set()).add(each.name)
    shared = sorted(image for image, scenes in owners.items() if len(scenes) > 1)
    if shared:
        warnings.append(f"{counted(shared, 'image')} in {name} used by several scenes: {some(shared)}")
    return Layout([_like(each, usual) for each in candidates], warnings)


@dataclass(frozen=True)
class ManifestFacts:
    """What a manifest says of its scenes beyond their files."""

    manifest: Manifest

    def change(self, scene: str) -> str | None:
        """Returns the scene's change mask, as a path below the dataset's folder; None without one."""
        return next((row.change for row in self._scenes.get(scene, ()) if row.change is not None), None)

    def attributes(self, scene: str) -> dict[str, Attribute]:
        """Returns the scene's values of all own columns.

        A column whose values differ between the acquisitions of any scene becomes two, `first_…` and `last_…` (with
        `… of …` behind them where the manifest has a column of that name).
        """
        rows = self._scenes.get(scene, ())
        values: dict[str, Attribute] = {}
        for column, cells in self.manifest.columns.items():
            own = [cells[row.number - 1] for row in rows]
            if column in self._varying:
                ends = (own[0], own[-1]) if own else (None, None)
                for end, value in zip(("first", "last"), ends, strict=True):
                    name = f"{end}_{column}"
                    values[name if name not in self.manifest.columns else f"{name} of {column}"] = value
            else:
                values[column] = next((value for value in own if value is not None), None)
        return values

    def metadata(self, scene: str, acquisition: str) -> dict[str, Any]:
        """Returns the values of all own columns for one acquisition."""
        number = next((row.number for row in self._scenes.get(scene, ()) if row.acquisition == acquisition), None)
        if number is None:
            return {}
        return {column: cells[number - 1] for column, cells in self.manifest.columns.items()}

    @cached_property
    def _scenes(self) -> Mapping[str, Sequence[ManifestRow]]:
        return _rows_of_scenes(self.manifest)

    @cached_property
    def _varying(self) -> frozenset[str]:
        """Columns whose values differ within a scene."""
        return frozenset(
            column
            for column, cells in self.manifest.columns.items()
            if any(
                len({cells[row.number - 1] for row in rows if cells[row.number - 1] is not None}) > 1
                for rows in self._scenes.values()
            )
        )


class _RowTrouble(Exception):
    """Rows that make no scene; the message is a sentence."""


def _rows_of_scenes(manifest: Manifest) -> dict[str, list[ManifestRow]]:
    rows: dict[str, list[ManifestRow]] = {}
    for row in manifest.rows:
        rows.setdefault(row.scene, []).append(row)
    return rows


def _candidate(scene: str, rows: Sequence[ManifestRow]) -> Candidate:
    """Returns the scene that some rows describe."""
    files: dict[str, SceneFiles] = {}
    change, split, event, trouble = None, "train", NO_EVENT, None
    try:
        _check_names(scene, rows)
        for row in rows:
            mask = None if row.mask is None else relative_path(row.mask)
            files[row.acquisition] = SceneFiles(relative_path(row.image), mask)
        if len({each.image for each in files.values()}) < len(files):
            raise _RowTrouble(f"two acquisitions of {scene} are the same image: name one image each")
        named = _agreed(scene, "split", [row.split for row in rows]) or "train"
        if named not in SPLITS:
            raise _RowTrouble(f"{scene} has the unknown split {printed(named)!r}: choose one of {', '.join(SPLITS)}")
        split = SPLITS[named]
        event = _agreed(scene, "event", [row.event for row in rows]) or NO_EVENT
        mask = _agreed(scene, "change", [row.change for row in rows])
        change = None if mask is None else relative_path(mask)
    except (_RowTrouble, SceneError) as error:
        trouble = str(error)
    name = printed(scene, limit=120) or f"row {rows[0].number}"
    return Candidate(name=name, split=split, event=event, files=files, change=change, trouble=trouble)


def _check_names(scene: str, rows: Sequence[ManifestRow]) -> None:
    """Raises _RowTrouble where the names of a scene and its acquisitions cannot be used."""
    for row in rows:
        if row.trouble is not None:
            raise _RowTrouble(row.trouble)
    trouble = name_trouble(scene)
    if trouble:
        raise _RowTrouble(f"the scene's name {printed(scene)!r} (row {rows[0].number}) {trouble}: rename it")
    for row in rows:
        trouble = name_trouble(row.acquisition)
        if trouble:
            raise _RowTrouble(
                f"the acquisition {printed(row.acquisition)!r} of {scene} (row {row.number}) {trouble}: rename it"
            )
        if not row.image:
            raise _RowTrouble(f"acquisition {row.acquisition} of {scene} (row {row.number}) has no image: name one")
        if row.event is not None and not row.event.isprintable():
            raise _RowTrouble(f"{scene} has an event that cannot be printed, {printed(row.event)}: rename it")
    repeated = [name for name, count in Counter(row.acquisition for row in rows).items() if count > 1]
    if repeated:
        numbers = [str(row.number) for row in rows if row.acquisition == repeated[0]]
        raise _RowTrouble(
            f"{scene} has acquisition {repeated[0]} more than once (rows {', '.join(numbers[:5])}): give every scene "
            "and each of its acquisitions its own name"
        )
    if len(rows) < 2:
        raise _RowTrouble(f"{scene} has one acquisition, {rows[0].acquisition}: a scene needs two or more, one a row")


def _agreed(scene: str, what: str, values: Sequence[str | None]) -> str | None:
    """Returns the one value that the rows of a scene give; None without any."""
    given = list(dict.fromkeys(value for value in values if value is not None))
    if len(given) > 1:
        raise _RowTrouble(f"the rows of {scene} give {what} {some(given)}: give one in all of them")
    return given[0] if given else None


def _like(candidate: Candidate, usual: tuple[str, ...]) -> Candidate:
    """Returns the scene, with trouble where its acquisitions are not the usual ones."""
    if candidate.trouble is not None or tuple(candidate.files) == usual:
        return candidate
    return replace(
        candidate,
        trouble=f"{candidate.name} has acquisitions {', '.join(candidate.files)}, most scenes have {', '.join(usual)}: "
        "name them alike and in the same order, earliest first",
    )
