"""Scenes in the order a list shows them, and where in it a page goes on."""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.datasets.scene_query import COLUMN_PREFIX
from pairlab.scenes.filtering import column_named, is_number
from pairlab.scenes.index import SceneTable

Rows = NDArray[np.uint16] | NDArray[np.int32]
"""Of a scene table: two bytes are enough for most."""
SortValue = str | float | None
"""What a scene is sorted by; None where it has no value."""


@dataclass(frozen=True)
class SceneOrder:
    """All scenes of a table in one order: by value, then by name; those without a value come last."""

    rows: Rows
    values: NDArray[Any]
    """Per scene of the table: float64 with NaN, or texts and None."""
    keys: NDArray[np.float64]
    """Per scene, what ascends along `rows`; NaN where there is no value."""
    texts: tuple[str, ...] | None
    """All texts among `values`, sorted; None where these are numbers."""
    descending: bool

    @property
    def nbytes(self) -> int:
        """Memory it takes beside the table's."""
        return self.rows.nbytes + self.keys.nbytes + self.values.nbytes + 8 * len(self.texts or ())

    def value(self, row: int) -> SortValue:
        """Returns what a scene is sorted by."""
        value = self.values[row]
        if value is None or isinstance(value, str):
            return value
        return None if math.isnan(value) else float(value)

    def place_behind(self, rows: Rows, table: SceneTable, value: SortValue, name: str) -> int:
        """Returns where in `rows`, which follow this order, the scenes behind a value and a name begin.

        A scene of that value and name need not be there any more, so a list stays whole while it changes.
        """
        key = self._key(value)

        def place(row: int) -> tuple[bool, float, str]:
            own = float(self.keys[row])
            return (True, 0.0, table.scenes[row].name) if math.isnan(own) else (False, own, table.scenes[row].name)

        return bisect_right(rows, (key is None, key or 0.0, name), key=place)

    def _key(self, value: SortValue) -> float | None:
        if self.texts is None or value is None:
            key = None if isinstance(value, str) else value
        else:
            place = bisect_left(self.texts, str(value))
            there = place < len(self.texts) and self.texts[place] == value
            key = float(place) if there else place - 0.5
        return -key if self.descending and key is not None else key


def order_of(table: SceneTable, sort: str) -> SceneOrder:
    """Returns the order that a request asks for.

    Args:
        table: the dataset's scenes.
        sort: a field or `column/NAME`, with `-` in front descending.

    Raises:
        SceneError: a column that the dataset does not have.
    """
    names = [scene.name for scene in table.scenes]
    values = _values(table, sort.removeprefix("-"), names)
    keys, texts = _keys(values)
    descending = sort.startswith("-")
    if descending:
        keys = -keys
    ranks = np.empty(len(table), dtype=np.int32)
    ranks[sorted(range(len(table)), key=names.__getitem__)] = np.arange(len(table), dtype=np.int32)
    return SceneOrder(rows_of(np.lexsort((ranks, keys))), values, keys, texts, descending)  # NaN comes last


def rows_of(rows: NDArray[np.intp]) -> Rows:
    """Returns rows of a table in as little memory as they need."""
    if not len(rows) or rows.max() <= np.iinfo(np.uint16).max:
        return rows.astype(np.uint16)
    return rows.astype(np.int32)


def _values(table: SceneTable, field: str, names: list[str]) -> NDArray[Any]:
    if field.startswith(COLUMN_PREFIX):
        return column_named(table, field.removeprefix(COLUMN_PREFIX))
    if field == "name":
        return np.array(names, dtype=object)
    if field == "objects":
        return np.asarray(table.objects.sum(axis=1), dtype=np.float64)
    if field == "offset":
        return table.offset_length
    return np.asarray(getattr(table, field))


def _keys(values: NDArray[Any]) -> tuple[NDArray[np.float64], tuple[str, ...] | None]:
    if is_number(values):
        return values.astype(np.float64), None
    given = values.tolist()
    texts = sorted({value for value in given if value is not None})
    place = {text: float(position) for position, text in enumerate(texts)}
    return np.array([math.nan if value is None else place[value] for value in given], dtype=np.float64), tuple(texts)
