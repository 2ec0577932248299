"""The index of a dataset as large as all of xBD, without its images: what drawing and previews work from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.full_xbd import EMPTY_TILES, EVENTS, MEAN_BUILDINGS, SHARES, SIDE, SUBTYPE_SHARES, SUBTYPES, TILES
from pairlab.scenes.index import CELL, COUNTS, DatasetIndex, SceneTable
from pairlab.scenes.scene import Scene, SceneFiles

DATES = ("pre", "post")
SPLITS = {"train": "train", "tier3": "train", "test": "test", "hold": "validation"}
FOOTPRINT = 600
"""Pixels of a building, mean."""
DAMAGED_TILES = 0.5
"""Share of tiles whose buildings may be damaged: damage comes in whole tiles."""


def invented_index(tiles: int = TILES, *, labels: Sequence[str] = (), seed: int = 0) -> DatasetIndex:
    """Returns an index as xBD's would be: as many tiles, events, buildings and damaged ones, all invented.

    Args:
        tiles: how many.
        labels: paths of label files up to their date (`…_pre_disaster.json` follows), taken in turn; the images that
            the scenes name do not exist.
        seed: equal seeds give equal content.
    """
    rng = np.random.default_rng(seed)
    side = SIDE // CELL
    empty = rng.random(tiles) < EMPTY_TILES
    buildings = np.where(empty, 0, 1 + rng.geometric((1 - EMPTY_TILES) / MEAN_BUILDINGS, tiles))
    owner = np.repeat(np.arange(tiles, dtype=np.int32), buildings)
    y, x = rng.integers(0, SIDE, (2, len(owner)), dtype=np.int32)
    drawn = rng.choice(len(SUBTYPES), len(owner), p=SUBTYPE_SHARES).astype(np.int32)
    kind = np.where((rng.random(tiles) < DAMAGED_TILES)[owner], drawn, 0).astype(np.int32)
    area = np.minimum(rng.gamma(2.0, FOOTPRINT / 2, len(owner)), CELL * CELL / 2)
    cell = (owner.astype(np.int64) * side + y // CELL) * side + x // CELL
    chosen = (np.ones(len(owner), dtype=bool), (kind > 0) & (kind < 4), kind == 4)
    cells = np.full((len(COUNTS), tiles * side**2), CELL * CELL, dtype=np.uint16)
    for row, each in enumerate(chosen, start=1):
        cells[row] = np.minimum(np.bincount(cell[each], area[each], minlength=cells.shape[1]), CELL * CELL)
    counts = cells.reshape(len(COUNTS), tiles, -1).sum(axis=2, dtype=np.int64)
    objects = np.zeros((tiles, len(SUBTYPES)), dtype=np.int32)
    np.add.at(objects, (owner, kind), 1)
    table = SceneTable(
        scenes=_scenes(tiles, labels),
        **dict(zip(COUNTS, counts, strict=True)),
        objects=objects,
        object_classes=SUBTYPES,
        offset=np.zeros((tiles, 2)),
        offset_confidence=np.ones(tiles),
        columns={},
    )
    return DatasetIndex(table, cells, np.stack([owner, y, x, kind], axis=1))


def label_stems(folder: Path) -> list[str]:
    """Returns the paths of an xBD tree's labels up to their date, below the tree."""
    ending = "_pre_disaster.json"
    return [str(path.relative_to(folder)).removesuffix(ending) for path in sorted(folder.glob(f"*/labels/*{ending}"))]


def _scenes(tiles: int, labels: Sequence[str]) -> tuple[Scene, ...]:
    splits = [split for folder, split in SPLITS.items() for _ in range(round(tiles * SHARES[folder] / TILES))]
    splits = (splits + ["test"] * tiles)[:tiles]
    scenes = []
    for number, split in enumerate(splits):
        event = EVENTS[number % len(EVENTS)]
        name = f"{event}_{number:08d}"
        stem = labels[number % len(labels)] if labels else None
        files = {
            date: SceneFiles(f"images/{name}_{date}.png", None if stem is None else f"{stem}_{date}_disaster.json")
            for date in DATES
        }
        scenes.append(Scene(name, split, event, DATES, height=SIDE, width=SIDE, files=files))
    return tuple(scenes)
