"""Manifests of bi-temporal datasets: a row per scene and acquisition, as CSV or Parquet, from unknown hands."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pairlab.scenes.folder import open_regular, printed, some
from pairlab.scenes.scene import Attribute, SceneError

NEEDED = ("scene", "acquisition", "image")
OPTIONAL = ("mask", "change", "split", "event")
MAX_MANIFEST_BYTES = 64 * 2**20
MAX_ROWS = 500_000
MAX_COLUMNS = 200
MAX_CELLS = 5_000_000
MAX_CELL = 1000
"""Greatest length of a text, characters."""

Cells = Sequence[Attribute]


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One acquisition of one scene."""

    number: int
    """Of its row, counted from 1 without the names of columns."""
    scene: str
    acquisition: str
    image: str
    mask: str | None
    """File of its class indices."""
    change: str | None
    """File of the change between the first and the last acquisition of its scene."""
    split: str | None
    event: str | None
    trouble: str | None
    """What is wrong with the row itself, as a sentence."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a manifest, and its other columns."""

    rows: tuple[ManifestRow, ...]
    columns: Mapping[str, Cells]
    """The dataset's own: one value a row, all of them numbers (or None) or all of them texts (or None)."""


def read_manifest(path: Path, *, name: str) -> Manifest:
    """Returns what a manifest says; nothing that it names is looked at.

    Args:
        path: a CSV (UTF-8, commas, names of columns first) or, ending in .parquet, a Parquet file.
        name: what messages call it.

    Raises:
        SceneError: it cannot be read, is too large, or lacks a column.
    """
    with open_regular(path, name=name) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise SceneError(f"{name} has more than the {MAX_MANIFEST_BYTES} bytes that are read: split the dataset")
    table = _parquet(content, name) if path.suffix.lower() == ".parquet" else _csv(content, name)
    missing = [column for column in NEEDED if column not in table.columns]
    if missing:
        raise SceneError(
            f"{name} has no column {' and no column '.join(missing)}; it needs {', '.join(NEEDED)} and has "
            f"{some(list(table.columns)) or 'none'}: name the columns so in its first line"
        )
    texts = {
        column: [None if value is None else _text(value) for value in table.columns[column]]
        for column in (*NEEDED, *OPTIONAL)
        if column in table.columns
    }
    none: Sequence[str | None] = [None] * table.rows
    columns = [texts.get(column, none) for column in (*NEEDED, *OPTIONAL)]
    rows = tuple(
        ManifestRow(
            number, scene or "", acquisition or "", image or "", mask, change, split, event, table.troubles.get(number)
        )
        for number, (scene, acquisition, image, mask, change, split, event) in enumerate(
            zip(*columns, strict=True), start=1
        )
    )
    own = {column: cells for column, cells in table.columns.items() if column not in texts}
    return Manifest(rows, {column: _typed(cells) for column, cells in own.items()})


@dataclass(frozen=True, slots=True)
class _Table:
    """A file's cells, column by column, and what is wrong with single rows."""

    columns: Mapping[str, Cells]
    rows: int
    troubles: Mapping[int, str]


def _csv(content: bytes, name: str) -> _Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SceneError(f"{name} is no UTF-8 text (byte {error.start}): save it as UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    cells: list[list[str]] = []
    troubles: dict[int, str] = {}
    try:
        for row in reader:
            if not any(row):
                continue
            if header is None:
                header = [column.strip() for column in row]
                _check_names(header, name)
                continue
            _check_count(len(cells) + 1, len(header), name)
            number = len(cells) + 1
            if len(row) != len(header):
                troubles[number] = (
                    f"line {reader.line_num} of {name} has {len(row)} cells, its first line names {len(header)}: "
                    'give it as many, and put texts that hold commas into "quotes"'
                )
                row = (row + [""] * len(header))[: len(header)]
            elif any(len(cell) > MAX_CELL for cell in row):
                troubles[number] = (
                    f"line {reader.line_num} of {name} has a text longer than {MAX_CELL} characters: shorten it"
                )
                row = [cell[:MAX_CELL] for cell in row]
            cells.append(row)
    except csv.Error as error:
        raise SceneError(f"{name} is no CSV, at line {reader.line_num} ({error}): save it again") from error
    if header is None:
        raise SceneError(f"{name} is empty: its first line names the columns {', '.join((*NEEDED, *OPTIONAL))}")
    columns = [[cell.strip() or None for cell in column] for column in zip(*cells, strict=True)]
    return _Table(dict(zip(header, columns or [[] for _ in header], strict=True)), len(cells), troubles)


def _parquet(content: bytes, name: str) -> _Table:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        names = file.schema_arrow.names
        _check_names(names, name)
        _check_count(file.metadata.num_rows, len(names), name)
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        decoded = sum(group.total_byte_size for group in groups)
        if decoded > 4 * MAX_MANIFEST_BYTES:
            raise SceneError(f"{name} holds {decoded} bytes, more than are read: split the dataset")
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        # A text that all rows share is held once: a small file cannot grow by repeating it.
        table = pq.read_table(pa.BufferReader(content), read_dictionary=texts)
        columns = {column: _cells(table[column], column, name) for column in names}
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(
            f"{name} is no Parquet file that can be read ({printed(str(error))}): save it again"
        ) from error
    return _Table(columns, table.num_rows, {})


def _cells(values: pa.ChunkedArray, column: str, name: str) -> Cells:
    kind = values.type
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        found: list[Attribute] = []
        for chunk in values.chunks:
            texts = chunk.dictionary.to_pylist()
            longest = max((len(text) for text in texts if text is not None), default=0)
            if longest > MAX_CELL:
                raise SceneError(
                    f"{name} has in column {printed(column)} a text of {longest} characters, more than {MAX_CELL}: "
                    "shorten it"
                )
            chosen = (None if at is None else texts[at] for at in chunk.indices.to_pylist())
            found.extend((text or "").strip() or None for text in chosen)
        return found
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return [value if value is not None and math.isfinite(value) else None for value in values.to_pylist()]
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return [None if value is None else _text(value) for value in values.to_pylist()]
    raise SceneError(f"{name} has {kind} in column {printed(column)}: save it as text, number or date")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_names(names: Sequence[str], name: str) -> None:
    if len(names) > MAX_COLUMNS:
        raise SceneError(f"{name} has {len(names)} columns; at most {MAX_COLUMNS} are read: leave some out")
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise SceneError(f"{name} has several columns named {some(repeated)}: give each its own name")
    unfit = [column for column in names if not column or len(column) > 80 or not column.isprintable()]
    if unfit:
        raise SceneError(f"{name} has a column named {printed(unfit[0], limit=80)!r}: 1 to 80 printable characters")


def _check_count(rows: int, columns: int, name: str) -> None:
    if rows > MAX_ROWS or rows * columns > MAX_CELLS:
        raise SceneError(f"{name} has more than {MAX_ROWS} rows or {MAX_CELLS} cells: split the dataset")


def _text(value: Any) -> str:  # noqa: ANN401  (whatever a table holds)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a scene named by its number
    return str(value).lower() if isinstance(value, bool) else str(value)


def _typed(cells: Cells) -> Cells:
    """Returns a column as numbers where all its texts are some, else as it is."""
    try:
        numbers = [None if cell is None else float(cell) for cell in cells]
    except ValueError:
        return [None if cell is None else _text(cell) for cell in cells]
    return numbers if all(number is None or math.isfinite(number) for number in numbers) else cells
