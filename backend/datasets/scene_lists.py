"""Which scenes pass a filter, in which order; what was worked out for one request is kept for the next ones."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from backend.datasets.bounded_cache import BoundedCache
from backend.datasets.scene_order import Rows, SceneOrder, order_of, rows_of
from backend.datasets.scene_query import OrderedQuery, SceneQuery, filter_of
from backend.datasets.sources import FileVersion, KnownScenes
from pairlab.scenes.filtering import matching
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import BoolArray

MEBIBYTE = 2**20
ORDER_BYTES = 16 * MEBIBYTE
"""One of all of xBD takes 0.2 MB."""
LIST_BYTES = 16 * MEBIBYTE
"""One of all of xBD takes at most 22 kB."""
KEY_BYTES = 1000
"""What the filter of a list takes, about."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Which scenes of a dataset are flagged, read when a filter asks for it."""

    key: Hashable
    """Changes with every mark."""
    read: Callable[[], Sequence[str]]
    """Returns names."""


class SceneLists:
    """Lists of all datasets, within a bounded number of bytes."""

    def __init__(self) -> None:
        self._orders: BoundedCache[tuple[FileVersion, str], SceneOrder] = BoundedCache(
            ORDER_BYTES, size_of=lambda order: order.nbytes
        )
        self._lists: BoundedCache[Hashable, Rows] = BoundedCache(
            LIST_BYTES, size_of=lambda rows: rows.nbytes + KEY_BYTES
        )

    def order(self, known: KnownScenes, sort: str) -> SceneOrder:
        """Returns the order of all scenes; raises SceneError for a column that the dataset does not have."""
        return self._orders.get((known.version, sort), lambda: order_of(known.table, sort))

    def passing(self, known: KnownScenes, query: SceneQuery, flags: Flags) -> Rows:
        """Returns the rows of the scenes that pass, in the table's order; raises as `filter_of` and `matching`."""

        def make() -> Rows:
            rows = rows_of(matching(known.table, filter_of(query, known.table)))
            if query.flagged is not None:
                rows = rows[_at(known.table, flags.read())[rows] == query.flagged]
            return rows

        return self._lists.get(("passing", known.version, *_key(query, flags)), make)

    def in_order(self, known: KnownScenes, query: OrderedQuery, flags: Flags) -> Rows:
        """Returns the rows of the scenes that pass, in the order asked for."""

        def make() -> Rows:
            passes = np.zeros(len(known.table), dtype=bool)
            passes[self.passing(known, query, flags)] = True
            order = self.order(known, query.sort).rows
            return order[passes[order]]

        return self._lists.get(_order_key(known, query, flags), make)

    def in_order_before(self, known: KnownScenes, query: OrderedQuery, flags: Flags) -> Rows | None:
        """Returns what `in_order` does where nothing has to be worked out for it."""
        return self._lists.peek(_order_key(known, query, flags))


def _order_key(known: KnownScenes, query: OrderedQuery, flags: Flags) -> Hashable:
    return ("in order", known.version, query.sort, *_key(query, flags))


def _key(query: SceneQuery, flags: Flags) -> tuple[Hashable, ...]:
    return (*query.key(), None if query.flagged is None else flags.key)


def _at(table: SceneTable, names: Sequence[str]) -> BoolArray:
    flagged = np.zeros(len(table), dtype=bool)
    flagged[[table.position[name] for name in names if name in table.position]] = True
    return flagged
