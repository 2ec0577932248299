"""Parquet files that are whole or not there: written at once, checked page by page, with facts about all their rows."""

import json
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

_FACTS = b"pairlab"
"""Key of the facts among the file's metadata; behind their checksum."""
Known = TypeVar("Known")


def write_parquet(content: pa.Table, facts: Mapping[str, Any], path: Path, *, scratch: Path | None = None) -> None:
    """Writes a table with its facts; a reader sees the old file or the whole new one.

    Args:
        content: the rows; equal ones give equal bytes.
        facts: what is known of all of them, as JSON has it; `version` tells what may be read.
        path: the file.
        scratch: folder on the same disk where the file grows before it gets its name; None is the file's own.
    """
    text = json.dumps(facts).encode()
    content = content.replace_schema_metadata({_FACTS: b"%d %b" % (zlib.crc32(text), text)})
    for folder in (path.parent, scratch or path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=scratch or path.parent, prefix=f"{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            pq.write_table(content, file, compression="zstd", row_group_size=512, write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_parquet(path: Path, make: Callable[[pq.ParquetFile], Known]) -> Known | None:
    """Returns what `make` makes of a file; None where there is none that is whole, and of the version it reads."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return make(file)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException):
        return None


def facts_of(content: pa.Table, *, version: int) -> dict[str, Any]:
    """Returns the facts of a file's table; raises ValueError where they are damaged or of another version."""
    checksum, _, text = content.schema.metadata[_FACTS].partition(b" ")
    if int(checksum) != zlib.crc32(text):
        raise ValueError("the facts do not match their checksum")
    facts: dict[str, Any] = json.loads(text)
    if facts["version"] != version:
        raise ValueError(f"version {facts['version']}, not {version}")
    return facts
