"""How a selection of scenes reads: names of quantities, orders and conditions."""

from collections.abc import Iterator
from dataclasses import replace

from frontend.scene_query import COLUMN, Bounds, SceneQuery, is_range, shown_number

QUANTITY_WORDS = {
    "change": "change share",
    "object_change": "object change share",
    "no_data": "no data",
    "offset": "offset",
}
FLAG_WORDS = {True: "flagged", False: "not flagged"}
SORT_WORDS = {
    "name": "name",
    "change_share": "change share",
    "object_change_share": "object change share",
    "no_data_share": "no data",
    "offset": "offset",
    "objects": "number of objects",
}
HISTOGRAM_WORDS = {
    "change_share": "change share",
    "object_change_share": "object change share",
    "no_data_share": "no data",
    "offset": "offset, pixels",
}
SHARES = frozenset({"change_share", "object_change_share", "no_data_share"})
"""Histograms of shares in [0, 1]; the others count in units of their own."""


def sort_words(key: str) -> str:
    """Returns what an order goes by in words."""
    return SORT_WORDS.get(key) or key.removeprefix(COLUMN)


def conditions(query: SceneQuery) -> Iterator[tuple[str, SceneQuery]]:
    """Yields each condition in words, and the query without it."""
    for event in query.events:
        yield f"event {event}", replace(query, events=tuple(each for each in query.events if each != event))
    for split in query.splits:
        yield f"split {split}", replace(query, splits=tuple(each for each in query.splits if each != split))
    for kind in query.objects:
        yield f"shows {kind}", replace(query, objects=tuple(each for each in query.objects if each != kind))
    for name, bounds in query.ranges.items():
        unit = " px" if name == "offset" else " %"
        yield (
            f"{QUANTITY_WORDS[name]} {range_words(bounds, unit=unit, scale=1 if name == 'offset' else 100)}",
            query.with_range(name, (None, None)),
        )
    for column, condition in query.where.items():
        words = range_words(condition) if is_range(condition) else " or ".join(str(each) for each in condition)
        yield f"{column}: {words}", query.with_condition(column, ())
    if query.name:
        yield f"name contains {query.name}", replace(query, name="")
    if query.flagged is not None:
        yield FLAG_WORDS[query.flagged], replace(query, flagged=None)


def range_words(bounds: Bounds, *, unit: str = "", scale: float = 1) -> str:
    """Returns bounds in words."""
    low, high = (None if each is None else f"{shown_number(each * scale)}{unit}" for each in bounds)
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"from {low}" if low is not None else f"up to {high}"
