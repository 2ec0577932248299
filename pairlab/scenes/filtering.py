"""Which scenes of a dataset pass a filter: lists, selections and experiments ask the same function."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.scene_filter import Range, SceneFilter
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import BoolArray, SceneError

MOST_NAMED = 30
SHARES = ("change_share", "object_change_share", "no_data_share")
"""Fields of a filter that are ranges of the scene table's property of the same name."""


def matching(table: SceneTable, wanted: SceneFilter) -> NDArray[np.intp]:
    """Returns the rows of the scenes that pass, in the table's order.

    An event or scene that the dataset does not have matches nothing; a scene without a value passes no range.

    Args:
        table: the dataset's scenes.
        wanted: everything in it must hold.

    Raises:
        SceneError: a column or object class that the dataset does not have, or a range of texts.
    """
    passing = np.ones(len(table), dtype=bool)
    if wanted.events:
        passing &= _any_of([scene.event for scene in table.scenes], wanted.events)
    if wanted.splits:
        passing &= _any_of([scene.split for scene in table.scenes], wanted.splits)
    for name in SHARES:
        passing &= _within(getattr(table, name), getattr(wanted, name))
    passing &= _within(table.offset_length, wanted.offset)
    if wanted.objects:
        passing &= _shows(table, wanted.objects)
    for column, allowed in wanted.where.items():
        passing &= _column_holds(table, column, allowed)
    if wanted.name:
        part = wanted.name.casefold()
        passing &= np.array([part in scene.name.casefold() for scene in table.scenes], dtype=bool)
    if wanted.only:
        passing &= _at(table, wanted.only)
    if wanted.without:
        passing &= ~_at(table, wanted.without)
    return np.flatnonzero(passing)


def column_named(table: SceneTable, column: str) -> NDArray[Any]:
    """Returns a column of the dataset's own; raises SceneError with the columns there are."""
    if column not in table.columns:
        there_are = f"there are: {_listed(list(table.columns))}" if table.columns else "the dataset has none"
        raise SceneError(f"no column {column[:100]!r}; {there_are}")
    return table.columns[column]


def is_number(values: NDArray[Any]) -> bool:
    """Whether a column holds numbers, NaN where there is none; otherwise it holds texts or None."""
    return bool(np.issubdtype(values.dtype, np.floating))


def _any_of(values: Sequence[str], allowed: Sequence[str]) -> BoolArray:
    choice = frozenset(allowed)
    return np.array([value in choice for value in values], dtype=bool)


def _within(values: NDArray[np.float64], bounds: Range | None) -> BoolArray:
    if bounds is None:
        return np.ones(len(values), dtype=bool)
    return (values >= bounds[0]) & (values <= bounds[1])  # NaN compares false


def _shows(table: SceneTable, kinds: Sequence[str]) -> BoolArray:
    unknown = [kind for kind in kinds if kind not in table.object_classes]
    if unknown:
        known = _listed(table.object_classes)
        there_are = f"there are: {known}" if known else "the dataset has no labelled objects"
        raise SceneError(f"no object class {unknown[0][:100]!r}; {there_are}")
    places = [table.object_classes.index(kind) for kind in kinds]
    return np.asarray((table.objects[:, places] > 0).any(axis=1))


def _column_holds(table: SceneTable, column: str, allowed: Sequence[str] | Range) -> BoolArray:
    values = column_named(table, column)
    texts = [each for each in allowed if isinstance(each, str)]
    low, high = (None, None) if texts else allowed
    if is_number(values):
        if low is None or high is None or isinstance(low, str) or isinstance(high, str):
            raise SceneError(f"column {column!r} holds numbers: give a range [low, high], not the text {texts[0]!r}")
        return _within(values, (low, high))
    if low is not None:
        raise SceneError(f"column {column!r} holds texts: give one or more of them, not a range")
    return _any_of(values.tolist(), texts)


def _at(table: SceneTable, names: Sequence[str]) -> BoolArray:
    position = table.position
    chosen = np.zeros(len(table), dtype=bool)
    chosen[[position[name] for name in names if name in position]] = True
    return chosen


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
