"""One row per chip: what lies in it and what changed; built once, kept as Parquet, read by API and trainer."""

import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pairlab.scenes.scene import BoolArray, SceneSource

Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]
INDEX_VERSION = 1
WHOLE_SCENES = 0
"""As `chip_size`: one row per scene."""


@dataclass(frozen=True)
class ChipIndex:
    """Chips of a dataset in scene order, then row by row; every array has shape (chips,)."""

    chip_size: int
    """Height and width, pixels; WHOLE_SCENES where a row is a scene."""
    scenes: tuple[str, ...]
    """Names `scene` points into."""
    scene: Int32Array
    y: Int32Array
    x: Int32Array
    valid_pixels: Int32Array
    """Pixels with data in both acquisitions."""
    object_pixels: Int32Array
    """Object pixels in either acquisition."""
    changed_pixels: Int32Array
    """Relevant-change pixels."""
    unknown_pixels: Int32Array
    """Pixels whose change is not known."""
    total_pixels: Int32Array

    def __len__(self) -> int:
        return len(self.scene)

    @property
    def change_share(self) -> Float64Array:
        """Relevant-change pixels / valid pixels; 0 without valid pixels."""
        return self.changed_pixels / np.maximum(self.valid_pixels, 1)

    @property
    def object_change_share(self) -> Float64Array:
        """Relevant-change pixels / object pixels in either acquisition; 0 without objects."""
        return self.changed_pixels / np.maximum(self.object_pixels, 1)

    @property
    def unknown(self) -> BoolArray:
        """Chips with un-classified pixels and no known change: never clean, never noisy."""
        return np.asarray((self.unknown_pixels > 0) & (self.changed_pixels == 0))

    def of_scenes(self, names: Collection[str]) -> "ChipIndex":
        """Returns the chips of the named scenes alone."""
        wanted = np.array([name in names for name in self.scenes], dtype=bool)
        return self.rows(np.flatnonzero(wanted[self.scene]))

    def rows(self, rows: NDArray[np.intp]) -> "ChipIndex":
        """Returns the chips at the given rows."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return ChipIndex(chip_size=self.chip_size, scenes=self.scenes, **columns)


_COLUMNS = tuple(field.name for field in fields(ChipIndex) if field.name not in ("chip_size", "scenes"))


def build_index(source: SceneSource, chip_size: int) -> ChipIndex:
    """Returns the index of all chips that fit whole into their scenes.

    Args:
        source: the dataset.
        chip_size: height and width of a chip, pixels; WHOLE_SCENES gives one row per scene.
    """
    columns: dict[str, list[NDArray[np.int64]]] = {name: [] for name in _COLUMNS}
    for position, scene in enumerate(source.scenes):
        height = chip_size or scene.height
        width = chip_size or scene.width
        rows, cols = scene.height // height, scene.width // width
        if rows == 0 or cols == 0:
            continue
        maps = source.change(scene)
        y, x = np.meshgrid(np.arange(rows) * height, np.arange(cols) * width, indexing="ij")
        counts = {
            "valid_pixels": maps.valid,
            "object_pixels": maps.objects & maps.valid,
            "changed_pixels": maps.changed & maps.valid,
            "unknown_pixels": maps.unknown & maps.valid,
        }
        columns["scene"].append(np.full(rows * cols, position))
        columns["y"].append(y.ravel())
        columns["x"].append(x.ravel())
        columns["total_pixels"].append(np.full(rows * cols, height * width))
        for name, where in counts.items():
            columns[name].append(_block_sums(where, height, width))
    arrays = {
        name: np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, np.int32)
        for name, parts in columns.items()
    }
    return ChipIndex(chip_size=chip_size, scenes=tuple(scene.name for scene in source.scenes), **arrays)


def load_or_build_index(source: SceneSource, *, chip_size: int, key: str, folder: Path) -> ChipIndex:
    """Returns the index from `folder`, or builds it and keeps it there; a half-written file is never seen.

    Args:
        source: the dataset.
        chip_size: as in `build_index`.
        key: names the dataset's content (fingerprint and draw).
        folder: where indices are kept; made if missing.
    """
    path = folder / f"{key}-{chip_size}-v{INDEX_VERSION}.parquet"
    try:
        return _read(path, chip_size)
    except (OSError, KeyError, pa.ArrowException):
        index = build_index(source, chip_size)
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: getattr(index, name) for name in _COLUMNS})
    table = table.replace_schema_metadata({"scenes": "\n".join(index.scenes)})
    descriptor, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            pq.write_table(table, file)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return index


def _read(path: Path, chip_size: int) -> ChipIndex:
    table = pq.read_table(path)
    names = tuple(table.schema.metadata[b"scenes"].decode().split("\n"))
    return ChipIndex(chip_size=chip_size, scenes=names, **{name: table[name].to_numpy() for name in _COLUMNS})


def _block_sums(where: BoolArray, height: int, width: int) -> NDArray[np.int64]:
    """Returns the number of true pixels in each block, row by row."""
    rows, cols = where.shape[0] // height, where.shape[1] // width
    blocks = where[: rows * height, : cols * width].reshape(rows, height, cols, width)
    return np.asarray(blocks.sum(axis=(1, 3)).ravel())
