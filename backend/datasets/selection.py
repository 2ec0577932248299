"""A selection of scenes taken along: as a filter for experiments, or as CSV."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backend.context import Context
from backend.datasets.browsing import flags_of
from backend.datasets.marks import marks_of
from backend.datasets.scene_order import Rows
from backend.datasets.scene_query import COLUMN_PREFIX, OrderedQuery, SceneQuery, filter_of
from backend.datasets.schemas import ExportedFilter, MarkRead
from backend.datasets.service import find_browsable
from backend.errors import InvalidError
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.experiment.yaml_text import MAX_YAML_CHARACTERS, write_yaml
from pairlab.scenes.filtering import SHARES
from pairlab.scenes.index import COUNTS, SceneTable

ROWS_AT_ONCE = 500
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins so for a formula, which may do anything."""


def export_filter(context: Context, name: str, query: SceneQuery) -> ExportedFilter:
    """Returns the selection as `SceneFilter`; marks, which experiments do not know, become names of scenes.

    Raises:
        InvalidError: no scene is selected, or too many names for an experiment file.
    """
    found = find_browsable(context, name)
    flags = flags_of(context, found.registered.row)
    rows = context.lists.passing(found.known, query, flags)
    if not len(rows):
        raise InvalidError("no scene passes this filter, so no experiment can use it: widen it")
    scenes = found.known.table.scenes
    wanted = filter_of(query, found.known.table)
    if query.flagged is True:
        wanted = wanted.model_copy(update={"only": tuple(scenes[row].name for row in rows.tolist())})
    elif query.flagged is False:
        wanted = wanted.model_copy(update={"without": tuple(sorted(flags.read()))})
    content = _shortened(wanted)
    yaml = write_yaml({"scenes": content})
    if len(yaml) > MAX_YAML_CHARACTERS // 2:
        raise InvalidError(
            f"the names of {max(len(wanted.only), len(wanted.without)):,} marked scenes are too many for an experiment "
            "file: narrow the selection by columns and shares instead of marks"
        )
    return ExportedFilter(filter=content, yaml=yaml, total=len(rows))


def csv_lines(context: Context, name: str, query: OrderedQuery) -> Iterator[str]:
    """Returns the selection as lines of CSV, a header first; all columns, in the order asked for.

    Raises what lists of scenes raise before the first line is asked for.
    """
    found = find_browsable(context, name)
    table = found.known.table
    rows = context.lists.in_order(found.known, query, flags_of(context, found.registered.row))
    return _lines(table, rows, marks_of(context, found.registered.row))


def _lines(table: SceneTable, rows: Rows, marks: Mapping[str, MarkRead]) -> Iterator[str]:
    yield _written([list(_columns(table, rows[:0], marks))])
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield _written(zip(*_columns(table, rows[start : start + ROWS_AT_ONCE], marks).values(), strict=True))


def _columns(table: SceneTable, rows: Rows, marks: Mapping[str, MarkRead]) -> dict[str, Sequence[Any]]:
    """Returns all columns of some scenes by their title."""
    scenes = [table.scenes[row] for row in rows.tolist()]
    noted = [marks.get(scene.name) for scene in scenes]
    numbers = {name: getattr(table, name) for name in (*COUNTS, *SHARES)}
    numbers |= {"offset": table.offset_length, "offset_y": table.offset[:, 0], "offset_x": table.offset[:, 1]}
    numbers |= {"offset_confidence": table.offset_confidence, "unknown": table.unknown.astype(np.int8)}
    numbers |= {f"objects/{name}": table.objects[:, place] for place, name in enumerate(table.object_classes)}
    numbers |= {f"{COLUMN_PREFIX}{name}": values for name, values in table.columns.items()}
    return {
        "scene": [scene.name for scene in scenes],
        "split": [scene.split for scene in scenes],
        "event": [scene.event for scene in scenes],
        "acquisitions": [" ".join(scene.acquisitions) for scene in scenes],
        "height": [scene.height for scene in scenes],
        "width": [scene.width for scene in scenes],
        **{name: values[rows].tolist() for name, values in numbers.items()},
        "flagged": [int(mark is not None and mark.flagged) for mark in noted],
        "note": ["" if mark is None else mark.note for mark in noted],
    }


def _written(rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[_cell(value) for value in row] for row in rows])
    return buffer.getvalue()


def _cell(value: Any) -> Any:  # noqa: ANN401  (text, number or nothing)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return "" if value is None or value != value else value


def _shortened(wanted: SceneFilter) -> dict[str, Any]:
    """Returns the filter without what lets all scenes pass, plain values."""
    return wanted.model_dump(mode="json", exclude_defaults=True)
