"""Scene tables with every kind of column and many missing values, drawn from a seed; nothing of them lies in files."""

import numpy as np

from pairlab.scenes.index import SceneTable, column_of
from pairlab.scenes.scene import Attribute, Scene, SceneFiles

EVENTS = ("Überflutung", "fire-2", "quake")
CLASSES = ("no-damage", "destroyed")
SPLITS = ("train", "validation", "test")
SENSORS = ("A", "B", "=C", "1..2")


def invented_table(scenes: int, *, seed: int = 0) -> SceneTable:
    """Returns a table whose columns are texts (sensor, with missing ones) and numbers (angle, empty, a=b)."""
    rng = np.random.default_rng(seed)
    names = [f"scene-{number:05d}" for number in range(scenes)]
    total = 64 * 64
    valid = rng.integers(0, total + 1, scenes)
    objects = rng.integers(0, valid + 1)
    changed = (objects * rng.choice([0.0, 0.0, 0.25, 1.0], scenes)).astype(np.int64)
    offset = rng.normal(0, 3, (scenes, 2))
    offset[rng.random(scenes) < 0.3] = np.nan
    sensors: list[Attribute] = [None if rng.random() < 0.2 else SENSORS[rng.integers(4)] for _ in names]
    angles: list[Attribute] = [None if rng.random() < 0.2 else float(rng.integers(0, 40)) for _ in names]
    return SceneTable(
        scenes=tuple(
            Scene(
                name,
                SPLITS[rng.integers(3)],
                EVENTS[rng.integers(3)],
                ("pre", "post"),
                height=64,
                width=64,
                files={date: SceneFiles(f"{name}_{date}.png") for date in ("pre", "post")},
            )
            for name in names
        ),
        valid_pixels=valid,
        object_pixels=objects,
        changed_pixels=changed,
        unknown_pixels=rng.integers(0, 3, scenes),
        objects=rng.integers(0, 3, (scenes, 2)).astype(np.int32),
        object_classes=CLASSES,
        offset=offset,
        offset_confidence=np.where(np.isnan(offset[:, 0]), np.nan, rng.random(scenes)),
        columns={
            "sensor": column_of(sensors),
            "angle": column_of(angles),
            "a=b": column_of([float(value) for value in rng.integers(0, 5, scenes)]),
            "empty": np.full(scenes, np.nan),
        },
    )
