"""What one scene contributes to the index: counted from its labels first, then from its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.index import CELL, COUNTS, DatasetIndex, SceneTable, column_of
from pairlab.scenes.offset import estimate_offset
from pairlab.scenes.scene import (
    BoolArray,
    ChangeMaps,
    LabelFacts,
    Pixels,
    Quarantined,
    Scene,
    SceneError,
    SceneSource,
    UInt8Array,
)

NO_OFFSET = (float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Measured:
    """What the labels of one scene say."""

    scene: Scene
    counts: tuple[int, int, int, int]
    """COUNTS of the whole scene."""
    cells: NDArray[np.uint16]
    """COUNTS of each whole square of CELL pixels, shape (4, cells)."""
    facts: LabelFacts


@dataclass(frozen=True)
class PixelFacts:
    """What the pixels of one scene add."""

    scene: str
    offset: tuple[float, float, float]
    """y and x in pixels, and the confidence."""
    recounted: tuple[tuple[int, int, int, int], NDArray[np.uint16]] | None
    """COUNTS of the scene and of its squares without the pixels that have no data; None where all have."""


def measure_labels(source: SceneSource, scene: Scene) -> Measured:
    """Returns what a scene's labels say, no image decoded: all pixels count as valid; raises SceneError."""
    facts = source.label_facts(scene)
    counts, cells = _count(source.change(scene, pixels=False))
    return Measured(replace(scene, location=facts.location or scene.location), counts, cells, facts)


def look_at_pixels(source: SceneSource, scene: Scene, images: Sequence[Pixels]) -> PixelFacts:
    """Returns what a scene's pixels say: those without data do not count, and the offset is estimated.

    Args:
        source: where it comes from.
        scene: one of its scenes.
        images: of its acquisitions, in order.

    Raises:
        SceneError: a label that cannot be used.
    """
    empty = [source.no_data(image) for image in images]
    if not any(each.any() for each in empty):
        return PixelFacts(scene.name, estimate_offset(images[0], images[-1]), None)
    valid = ~np.logical_or.reduce(empty)
    recounted = _count(replace(source.change(scene, pixels=False), valid=valid))
    return PixelFacts(scene.name, estimate_offset(images[0], images[-1], valid=valid), recounted)


def with_pixels(labels: DatasetIndex, found: Sequence[PixelFacts]) -> DatasetIndex:
    """Returns the index of the scenes whose pixels were looked at, in the order of `labels`."""
    by_name = {each.scene: each for each in found}
    rows = np.flatnonzero([scene.name in by_name for scene in labels.table.scenes])
    index = labels.select(rows)
    facts = [by_name[scene.name] for scene in index.table.scenes]
    offsets = np.array([each.offset for each in facts], dtype=np.float64).reshape(-1, 3)
    counts = np.stack([getattr(index.table, name) for name in COUNTS])
    cells, start = index.cells.copy(), 0
    for row, (scene, each) in enumerate(zip(index.table.scenes, facts, strict=True)):
        end = start + (scene.height // CELL) * (scene.width // CELL)
        if each.recounted is not None:
            counts[:, row], cells[:, start:end] = each.recounted
        start = end
    table = replace(
        index.table,
        **dict(zip(COUNTS, counts, strict=True)),
        offset=offsets[:, :2],
        offset_confidence=offsets[:, 2],
        pixels_read=True,
    )
    return replace(index, table=table, cells=cells)


def index_of(source: SceneSource, measured: Sequence[Measured], *, pixels_read: bool) -> DatasetIndex:
    """Returns the index of measured scenes, in the order given.

    Args:
        source: where they come from.
        measured: all of one source.
        pixels_read: whether their pixels were looked at.
    """
    classes = source.object_classes
    names = dict.fromkeys(name for each in measured for name in each.facts.attributes)
    counts = np.array([each.counts for each in measured], dtype=np.int64).reshape(-1, len(COUNTS))
    objects = [np.bincount(each.facts.objects.kind, minlength=len(classes)) for each in measured]
    table = SceneTable(
        scenes=tuple(each.scene for each in measured),
        valid_pixels=counts[:, 0],
        object_pixels=counts[:, 1],
        changed_pixels=counts[:, 2],
        unknown_pixels=counts[:, 3],
        objects=np.array(objects, dtype=np.int32).reshape(len(measured), len(classes)),
        object_classes=classes,
        offset=np.full((len(measured), 2), np.nan),
        offset_confidence=np.full(len(measured), np.nan),
        columns={name: column_of([each.facts.attributes.get(name) for each in measured]) for name in names},
        bands=source.bands,
        pixels_read=pixels_read,
    )
    cells = [each.cells for each in measured] or [np.zeros((len(COUNTS), 0), dtype=np.uint16)]
    places = [
        np.stack([np.full(len(found.kind), row), found.y, found.x, found.kind], axis=1)
        for row, found in enumerate(each.facts.objects for each in measured)
    ]
    return DatasetIndex(
        table,
        cells=np.concatenate(cells, axis=1),
        objects=np.concatenate(places or [np.zeros((0, 4))]).astype(np.int32),
    )


def build_index(source: SceneSource) -> DatasetIndex:
    """Returns the index of rendered scenes, which have data everywhere and an offset known to be what was asked for."""
    return index_of(source, [measure_labels(source, scene) for scene in source.scenes], pixels_read=True)


def quarantined_by(scene: Scene, error: SceneError) -> Quarantined:
    """Returns the record of a scene that cannot be used; the file is the one that the error's sentence names."""
    files = [path for each in scene.files.values() for path in (each.image, each.label) if path is not None]
    named = [path for path in files if path in str(error)]
    return Quarantined(scene.name, named[0] if named else "", str(error))


def _count(maps: ChangeMaps) -> tuple[tuple[int, int, int, int], NDArray[np.uint16]]:
    """Returns COUNTS of the whole scene, and of each whole square, row by row."""
    height, width = maps.valid.shape
    everywhere = bool(maps.valid.all())
    whole: list[int] = []
    cells = np.zeros((len(COUNTS), (height // CELL) * (width // CELL)), dtype=np.uint16)
    for place, where in enumerate((maps.valid, maps.objects, maps.changed, maps.unknown)):
        if everywhere and where is maps.valid:
            cells[place] = CELL * CELL
            whole.append(height * width)
        elif where.any():
            counted = where if everywhere or where is maps.valid else where & maps.valid
            cells[place] = _cell_counts(counted)
            whole.append(int(cv2.countNonZero(counted.view(np.uint8))))
        else:
            whole.append(0)
    valid, objects, changed, unknown = whole
    return (valid, objects, changed, unknown), cells


def _cell_counts(where: BoolArray) -> NDArray[np.uint16]:
    """Returns the true pixels of each whole square, row by row."""
    down, across = where.shape[0] // CELL, where.shape[1] // CELL
    ones: UInt8Array = where[: down * CELL, : across * CELL].view(np.uint8)
    # Columns of CELL ones fit into uint8, which NumPy adds many at a time.
    columns = ones.reshape(down, CELL, across * CELL).sum(axis=1, dtype=np.uint8)
    return np.asarray(columns.reshape(down * across, CELL).sum(axis=1, dtype=np.uint16))
