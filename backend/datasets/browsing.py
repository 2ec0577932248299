"""Scenes of a dataset: filtered, sorted, page by page, and one with all that is known of it."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Literal

import numpy as np

from backend.context import Context
from backend.cursor import decode_cursor, encode_cursor
from backend.datasets.schemas import Page, SceneDetail, SceneRead
from backend.datasets.service import get, reference_of
from pairlab.experiment.expansion import DatasetReference
from pairlab.experiment.model import content_hash
from pairlab.scenes.index import WHOLE_SCENES
from pairlab.scenes.scene import IGNORE

SceneSort = Literal["name", "change_share", "-change_share"]

_SORT_KEYS: dict[SceneSort, Callable[[SceneRead], tuple[float, str]]] = {
    "name": lambda scene: (0.0, scene.name),
    "change_share": lambda scene: (scene.change_share, scene.name),
    "-change_share": lambda scene: (-scene.change_share, scene.name),
}


def list_scenes(
    context: Context,
    name: str,
    *,
    cursor: str | None,
    limit: int,
    event: str | None,
    split: str | None,
    min_change: float,
    max_change: float,
    sort: SceneSort,
) -> Page[SceneRead]:
    """Returns a page of scenes whose change share lies within the bounds."""
    scenes = _scenes(context, reference_of(get(context, name)))
    key = _SORT_KEYS[sort]
    chosen = sorted(
        (
            scene
            for scene in scenes
            if (event is None or scene.event == event)
            and (split is None or scene.split == split)
            and min_change <= scene.change_share <= max_change
        ),
        key=key,
    )
    list_name = f"scenes/{sort}"
    start = 0
    if cursor is not None:
        share, last = decode_cursor(cursor, list_name, float, str)
        start = bisect_right(chosen, (share, last), key=key)
    items = chosen[start : start + limit]
    more = start + limit < len(chosen)
    return Page(items=items, next_cursor=encode_cursor(list_name, *key(items[-1])) if more else None, total=len(chosen))


def get_scene(context: Context, name: str, scene_name: str) -> SceneDetail:
    """Returns one scene with its metadata, its class counts and its neighbours."""
    dataset = reference_of(get(context, name))
    opened = context.sources.open(dataset)
    scene = opened.scene(scene_name)
    scenes = _scenes(context, dataset)
    place = bisect_left(scenes, scene.name, key=lambda each: each.name)
    classes = opened.source.classes("intact_damaged")
    class_pixels = {}
    for acquisition in scene.acquisitions:
        counts = np.bincount(opened.source.mask(scene, acquisition, "intact_damaged").ravel(), minlength=IGNORE + 1)
        class_pixels[acquisition] = {label: int(counts[index]) for index, label in enumerate(classes)}
        class_pixels[acquisition]["ignore"] = int(counts[IGNORE])
    return SceneDetail(
        **scenes[place].model_dump(),
        metadata={acquisition: dict(values) for acquisition, values in scene.metadata.items()},
        class_pixels=class_pixels,
        previous=scenes[place - 1].name if place else None,
        next=scenes[place + 1].name if place + 1 < len(scenes) else None,
    )


def _scenes(context: Context, dataset: DatasetReference) -> list[SceneRead]:
    """Returns all scenes in the order of their names."""
    return context.scene_lists.get(content_hash(dataset), lambda: _read_scenes(context, dataset))


def _read_scenes(context: Context, dataset: DatasetReference) -> list[SceneRead]:
    opened = context.sources.open(dataset)
    index = context.sources.index(dataset, chip_size=WHOLE_SCENES)
    no_data = 1 - index.valid_pixels / np.maximum(index.total_pixels, 1)
    columns = zip(
        index.scene.tolist(),
        index.change_share.tolist(),
        index.object_change_share.tolist(),
        index.changed_pixels.tolist(),
        index.unknown.tolist(),
        no_data.tolist(),
        strict=True,
    )
    scenes = []
    for position, change_share, object_change_share, changed_pixels, unknown, no_data_share in columns:
        scene = opened.by_name[index.scenes[position]]
        scenes.append(
            SceneRead(
                name=scene.name,
                split=scene.split,
                event=scene.event,
                acquisitions=list(scene.acquisitions),
                height=scene.height,
                width=scene.width,
                change_share=change_share,
                object_change_share=object_change_share,
                changed_pixels=changed_pixels,
                unknown=unknown,
                no_data_share=no_data_share,
            )
        )
    return sorted(scenes, key=lambda scene: scene.name)
