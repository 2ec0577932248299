"""The index of a dataset as one Parquet file: a row per scene; the scene table is read without its squares."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairlab.scenes.index import CELL, COUNTS, DatasetIndex, SceneTable, column_of
from pairlab.scenes.parquet_file import facts_of, read_parquet, write_parquet
from pairlab.scenes.scene import Bands, Quarantined, Scene, SceneFiles

INDEX_VERSION = 2
"""Raised whenever the same dataset would give another index, or another file of it."""


def write_index(index: DatasetIndex, path: Path, *, scratch: Path | None = None) -> None:
    """Writes an index; a reader sees the old file or the whole new one.

    Args:
        index: what to write; equal ones give equal bytes.
        path: the file.
        scratch: folder on the same disk where the file grows before it gets its name; None is the file's own.
    """
    table = index.table
    shapes = np.array([(scene.height, scene.width) for scene in table.scenes], dtype=np.int64).reshape(-1, 2)
    offsets = np.concatenate([[0], np.cumsum((shapes // CELL).prod(axis=1))]).astype(np.int32)
    cells = {
        f"cells/{name}": pa.ListArray.from_arrays(offsets, values)
        for name, values in zip(COUNTS, index.cells, strict=True)
    }
    owners, starts = index.objects[:, 0], np.arange(len(table) + 1)
    ends = np.searchsorted(owners, starts).astype(np.int32)
    objects = {
        f"cells/object_{name}": pa.ListArray.from_arrays(ends, index.objects[:, place])
        for place, name in ((1, "y"), (2, "x"), (3, "kind"))
    }
    content = pa.table(
        {
            "scene": pa.array([scene.name for scene in table.scenes], pa.string()),
            "split": pa.array([scene.split for scene in table.scenes], pa.string()),
            "event": pa.array([scene.event for scene in table.scenes], pa.string()),
            "acquisitions": pa.array([list(scene.acquisitions) for scene in table.scenes], pa.list_(pa.string())),
            "height": shapes[:, 0],
            "width": shapes[:, 1],
            "files": pa.array([_files_text(scene) for scene in table.scenes], pa.string()),
            "location_x": pa.array([scene.location and scene.location[0] for scene in table.scenes], pa.float64()),
            "location_y": pa.array([scene.location and scene.location[1] for scene in table.scenes], pa.float64()),
            **{name: getattr(table, name) for name in COUNTS},
            **{f"objects/{name}": table.objects[:, place] for place, name in enumerate(table.object_classes)},
            "offset_y": table.offset[:, 0],
            "offset_x": table.offset[:, 1],
            "offset_confidence": table.offset_confidence,
            **{f"column/{name}": pa.array(values, from_pandas=True) for name, values in table.columns.items()},
            **cells,
            **objects,
        }
    )
    write_parquet(content, _facts(table), path, scratch=scratch)


def read_table(path: Path) -> SceneTable | None:
    """Returns the scene table of an index file; None where there is no file of this version that is whole."""
    return read_parquet(
        path, lambda file: _table_of(file.read([n for n in file.schema_arrow.names if n[:6] != "cells/"]))
    )


def read_index(path: Path) -> DatasetIndex | None:
    """Returns the index of a file; None where there is no file of this version that is whole."""

    def index(file: pq.ParquetFile) -> DatasetIndex:
        content = file.read()
        cells = [content[f"cells/{name}"].combine_chunks().flatten().to_numpy() for name in COUNTS]
        kinds = content["cells/object_kind"].combine_chunks()
        owners = np.repeat(np.arange(len(content), dtype=np.int32), pc.list_value_length(kinds).to_numpy())
        places = [content[f"cells/object_{name}"].combine_chunks().flatten().to_numpy() for name in ("y", "x")]
        objects = np.stack([owners, *places, kinds.flatten().to_numpy()], axis=1)
        return DatasetIndex(_table_of(content), np.stack(cells).astype(np.uint16, copy=False), objects)

    return read_parquet(path, index)


def _table_of(content: pa.Table) -> SceneTable:
    facts = facts_of(content, version=INDEX_VERSION)
    column = {name: content[name].to_pylist() for name in ("scene", "split", "event", "acquisitions", "files")}
    column |= {name: content[name].to_pylist() for name in ("height", "width", "location_x", "location_y")}
    rows = zip(*column.values(), strict=True)
    scenes = tuple(
        Scene(
            name=name,
            split=split,
            event=event,
            acquisitions=tuple(acquisitions),
            height=height,
            width=width,
            files=_files_of(files, acquisitions),
            location=None if x is None else (x, y),
        )
        for name, split, event, acquisitions, files, height, width, x, y in rows
    )
    classes = tuple(facts["object_classes"])
    names, low, high = (tuple(facts["bands"][name]) for name in ("names", "low", "high"))
    objects = [content[f"objects/{name}"].to_numpy() for name in classes]
    return SceneTable(
        scenes=scenes,
        **{name: content[name].to_numpy() for name in COUNTS},
        objects=np.stack(objects, axis=1) if objects else np.zeros((len(scenes), 0), dtype=np.int32),
        object_classes=classes,
        offset=np.stack([content["offset_y"].to_numpy(), content["offset_x"].to_numpy()], axis=1),
        offset_confidence=content["offset_confidence"].to_numpy(),
        columns={name: _read_column(content[f"column/{name}"]) for name in facts["columns"]},
        quarantined=tuple(Quarantined(**each) for each in facts["quarantined"]),
        bands=Bands(names=names, low=low, high=high, no_data=facts["bands"]["no_data"]),
        pixels_read=facts["pixels_read"],
    )


def _facts(table: SceneTable) -> dict[str, Any]:
    return {
        "version": INDEX_VERSION,
        "object_classes": table.object_classes,
        "columns": list(table.columns),
        "quarantined": [asdict(each) for each in table.quarantined],
        "bands": asdict(table.bands),
        "pixels_read": table.pixels_read,
    }


def _files_text(scene: Scene) -> str:
    each = [scene.files[name] for name in scene.acquisitions if name in scene.files]
    return json.dumps([[files.image, files.label] for files in each])


def _files_of(text: str, acquisitions: Sequence[str]) -> dict[str, SceneFiles]:
    pairs = json.loads(text)
    return {name: SceneFiles(image, label) for name, (image, label) in zip(acquisitions, pairs, strict=False)}


def _read_column(values: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_floating(values.type):
        return np.asarray(values.to_numpy(), dtype=np.float64)
    return column_of(values.to_pylist())
