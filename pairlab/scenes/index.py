"""What is known of every scene and chip of a dataset; built once, read by API and trainer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.scene import RGB, Attribute, Bands, BoolArray, Quarantined, Scene

Int32Array = NDArray[np.int32]
Float64Array = NDArray[np.float64]
CELL = 32
"""Side of the squares that pixels are counted in, pixels: chips of every size are made of whole ones."""
LEAST_CONFIDENCE = 0.1
"""Below it an estimated offset means little: clouds and rebuilt ground correlate with anything."""
COUNTS = ("valid_pixels", "object_pixels", "changed_pixels", "unknown_pixels")
"""Pixels with data in both acquisitions; of these, object pixels in either acquisition, pixels with a relevant change,
and pixels whose change is not known."""


@dataclass(frozen=True)
class ChipIndex:
    """Chips of a dataset in scene order, then row by row; every array has shape (chips,)."""

    chip_size: int
    """Height and width, pixels."""
    scenes: tuple[Scene, ...]
    """The scenes that take part; `scene` points into them."""
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
    objects: Int32Array = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int32))
    """Objects whose centroid lies in the chip, per class, shape (chips, classes)."""

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
        wanted = np.array([scene.name in names for scene in self.scenes], dtype=bool)
        return self.rows(np.flatnonzero(wanted[self.scene]))

    def rows(self, rows: NDArray[np.intp]) -> "ChipIndex":
        """Returns the chips at the given rows."""
        columns = {name: getattr(self, name)[rows] for name in _CHIP_COLUMNS}
        objects = self.objects[rows] if len(self.objects) else self.objects
        return ChipIndex(chip_size=self.chip_size, scenes=self.scenes, objects=objects, **columns)


_CHIP_COLUMNS = ("scene", "y", "x", *COUNTS, "total_pixels")


@dataclass(frozen=True)
class SceneTable:
    """One row per scene, by name; every array has shape (scenes,) unless it says otherwise."""

    scenes: tuple[Scene, ...]
    valid_pixels: NDArray[np.int64]
    object_pixels: NDArray[np.int64]
    changed_pixels: NDArray[np.int64]
    unknown_pixels: NDArray[np.int64]
    objects: Int32Array
    """Labelled objects per class, shape (scenes, classes)."""
    object_classes: tuple[str, ...]
    offset: Float64Array
    """Estimated shift (y, x) of the last acquisition's content against the first's, pixels, shape (scenes, 2); NaN
    where it was not estimated."""
    offset_confidence: Float64Array
    """Share of the correlation's energy in its peak, in [0, 1]; NaN where no offset was estimated."""
    columns: Mapping[str, NDArray[Any]]
    """The dataset's own: float64 with NaN, or objects that are str or None."""
    quarantined: tuple[Quarantined, ...] = ()
    """Scenes that take no part, by name."""
    bands: Bands = RGB
    pixels_read: bool = True
    """False: labels alone were read so far; `valid_pixels` counts all pixels and offsets are NaN."""

    def __len__(self) -> int:
        return len(self.scenes)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Row of each scene's name."""
        return {scene.name: row for row, scene in enumerate(self.scenes)}

    @cached_property
    def total_pixels(self) -> NDArray[np.int64]:
        """Height × width."""
        return np.array([scene.height * scene.width for scene in self.scenes], dtype=np.int64)

    @cached_property
    def change_share(self) -> Float64Array:
        """Relevant-change pixels / valid pixels; 0 without valid pixels."""
        return self.changed_pixels / np.maximum(self.valid_pixels, 1)

    @cached_property
    def object_change_share(self) -> Float64Array:
        """Relevant-change pixels / object pixels in either acquisition; 0 without objects."""
        return self.changed_pixels / np.maximum(self.object_pixels, 1)

    @cached_property
    def no_data_share(self) -> Float64Array:
        """Pixels without data in one acquisition or the other / all pixels."""
        return 1 - self.valid_pixels / np.maximum(self.total_pixels, 1)

    @cached_property
    def offset_length(self) -> Float64Array:
        """Length of the offset, pixels; NaN where it was not estimated, or is not to be believed."""
        length = np.hypot(self.offset[:, 0], self.offset[:, 1])
        return np.where(self.offset_confidence >= LEAST_CONFIDENCE, length, np.nan)

    @cached_property
    def unknown(self) -> BoolArray:
        """Scenes with un-classified pixels and no known change."""
        return np.asarray((self.unknown_pixels > 0) & (self.changed_pixels == 0))

    def rows(self, rows: NDArray[np.intp]) -> "SceneTable":
        """Returns the scenes at the given rows."""
        arrays = {name: getattr(self, name)[rows] for name in _TABLE_ARRAYS}
        columns = {name: values[rows] for name, values in self.columns.items()}
        return replace(self, scenes=tuple(self.scenes[row] for row in rows.tolist()), columns=columns, **arrays)


_TABLE_ARRAYS = (*COUNTS, "objects", "offset", "offset_confidence")


@dataclass(frozen=True)
class DatasetIndex:
    """The scene table, and the same counts per square of CELL pixels, from which chips of any size are counted."""

    table: SceneTable
    cells: NDArray[np.uint16]
    """Shape (4, cells): COUNTS of each whole square, scene after scene, row by row."""
    objects: Int32Array
    """One row per labelled object: row of its scene in the table, y and x of its centroid in pixels, and its class."""

    def chips(self, chip_size: int) -> ChipIndex:
        """Returns all chips that fit whole into their scenes.

        Args:
            chip_size: height and width, pixels; a multiple of CELL.

        Raises:
            ValueError: another size.
        """
        if chip_size < CELL or chip_size % CELL:
            raise ValueError(f"chip_size must be a multiple of {CELL}, found {chip_size}")
        scenes = self.table.scenes
        shapes = np.array([(scene.height, scene.width) for scene in scenes], dtype=np.int64).reshape(-1, 2)
        cell_ends = np.cumsum((shapes // CELL).prod(axis=1))
        chip_ends = np.cumsum((shapes // chip_size).prod(axis=1))
        total = int(chip_ends[-1]) if len(scenes) else 0
        columns = {name: np.zeros(total, dtype=np.int32) for name in _CHIP_COLUMNS}
        columns["total_pixels"][:] = chip_size * chip_size
        for height, width in np.unique(shapes, axis=0).tolist():
            rows, cols, per = height // chip_size, width // chip_size, chip_size // CELL
            if not rows * cols:
                continue
            down, across = height // CELL, width // CELL
            members = np.flatnonzero((shapes == (height, width)).all(axis=1))
            places = (chip_ends[members] - rows * cols)[:, None] + np.arange(rows * cols)
            y, x = np.meshgrid(np.arange(rows) * chip_size, np.arange(cols) * chip_size, indexing="ij")
            columns["scene"][places] = members[:, None]
            columns["y"][places], columns["x"][places] = y.ravel(), x.ravel()
            source = (cell_ends[members] - down * across)[:, None] + np.arange(down * across)
            for name, cells in zip(COUNTS, self.cells, strict=True):
                grid = cells[source].reshape(len(members), down, across)[:, : rows * per, : cols * per]
                sums = grid.reshape(len(members), rows, per, cols, per).sum(axis=(2, 4), dtype=np.int32)
                columns[name][places] = sums.reshape(len(members), -1)
        objects = self._objects_per_chip(chip_size, shapes, chip_ends)
        return ChipIndex(chip_size=chip_size, scenes=scenes, objects=objects, **columns)

    def select(self, rows: NDArray[np.intp]) -> "DatasetIndex":
        """Returns the index of the scenes at the given rows, in that order."""
        if len(rows) == len(self.table) and (rows == np.arange(len(rows))).all():
            return self
        per_scene = np.array([(scene.height // CELL) * (scene.width // CELL) for scene in self.table.scenes], np.int64)
        ends = np.cumsum(per_scene)
        cells = [np.arange(end - count, end) for end, count in zip(ends[rows], per_scene[rows], strict=True)]
        place = np.full(len(self.table), -1, dtype=np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        kept = self.objects[place[self.objects[:, 0]] >= 0].copy()
        kept[:, 0] = place[kept[:, 0]]
        return DatasetIndex(
            self.table.rows(rows),
            cells=self.cells[:, np.concatenate(cells or [np.zeros(0, dtype=np.int64)])],
            objects=kept[np.argsort(kept[:, 0], kind="stable")],
        )

    def _objects_per_chip(self, chip_size: int, shapes: NDArray[np.int64], chip_ends: NDArray[np.int64]) -> Int32Array:
        """Returns objects per chip and class; an object past the scene's edge counts where it enters."""
        scene, y, x, kind = self.objects.T
        grids = shapes // chip_size
        row, col = (np.clip(at, 0, shapes[scene, axis] - 1) // chip_size for axis, at in enumerate((y, x)))
        inside = (row < grids[scene, 0]) & (col < grids[scene, 1])
        starts = chip_ends - grids.prod(axis=1)
        chips = starts[scene] + row * grids[scene, 1] + col
        counts = np.zeros((int(chip_ends[-1]) if len(chip_ends) else 0, len(self.table.object_classes)), np.int32)
        np.add.at(counts, (chips[inside], kind[inside]), 1)
        return counts


def merge(parts: Sequence[DatasetIndex]) -> DatasetIndex:
    """Returns the index of several, at least one, that hold different scenes of one dataset, in the order given."""
    tables = [part.table for part in parts]
    quarantined = sorted({each for table in tables for each in table.quarantined}, key=lambda each: each.scene)
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in _TABLE_ARRAYS
    }
    names = dict.fromkeys(name for table in tables for name in table.columns)
    return DatasetIndex(
        table=replace(
            tables[0],
            scenes=tuple(scene for table in tables for scene in table.scenes),
            columns={name: _joined([_column(table, name) for table in tables]) for name in names},
            quarantined=tuple(quarantined),
            pixels_read=all(table.pixels_read for table in tables),
            **arrays,
        ),
        cells=np.concatenate([part.cells for part in parts], axis=1),
        objects=np.concatenate(
            [
                part.objects + np.array([start, 0, 0, 0], dtype=np.int32)
                for part, start in zip(parts, np.cumsum([0, *map(len, tables)])[:-1].tolist(), strict=True)
            ]
        ),
    )


def with_quarantine(index: DatasetIndex, quarantined: Sequence[Quarantined]) -> DatasetIndex:
    """Returns the index that also knows of these scenes, which take no part."""
    known = sorted({*index.table.quarantined, *quarantined}, key=lambda each: each.scene)
    return replace(index, table=replace(index.table, quarantined=tuple(known)))


def column_of(values: Sequence[Attribute]) -> NDArray[Any]:
    """Returns values as a column: float64 with NaN where all are numbers or None, else objects that are str or None."""
    known = [None if value is None or value != value else value for value in values]
    if all(value is None or isinstance(value, int | float) for value in known) and any(v is not None for v in known):
        return np.array([np.nan if value is None else float(value) for value in known], dtype=np.float64)
    column = np.empty(len(known), dtype=object)
    column[:] = [value if value is None or isinstance(value, str) else str(float(value)) for value in known]
    return column


def _column(table: SceneTable, name: str) -> NDArray[Any]:
    if name in table.columns:
        return table.columns[name]
    return column_of([None] * len(table))


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if all(part.dtype == np.float64 for part in parts):
        return np.concatenate(parts)
    return column_of([value for part in parts for value in part.tolist()])
