"""Scenes of a dataset: filtered, sorted, page by page, and one with all that is known of it."""

import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from backend.context import Context
from backend.cursor import decode_cursor, encode_cursor
from backend.datasets.distribution import distribution_of
from backend.datasets.images import check_acquisition
from backend.datasets.marks import marks_key, marks_of
from backend.datasets.registry import Browsable
from backend.datasets.scene_lists import Flags
from backend.datasets.scene_order import Rows
from backend.datasets.scene_query import ListQuery, OrderedQuery, SceneQuery
from backend.datasets.scene_reads import SceneTexts, read_scenes
from backend.datasets.schemas import Distribution, SceneDetail
from backend.datasets.service import find_browsable, scene_of
from backend.datasets.sources import OpenDataset
from backend.datasets.tables import DatasetRow
from backend.datasets.thumbnail_urls import ThumbnailUrls
from backend.datasets.thumbnails import version_of
from backend.errors import InvalidError
from backend.signatures import next_expiry
from pairlab.experiment.protocols import LabelScheme
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import IGNORE, Outline, Scene, SceneError

SHOWN_SCHEMES: tuple[LabelScheme, ...] = ("intact_damaged", "classes", "change")
"""The first one that a dataset has is what a scene's pixels are counted by."""


def list_scenes(context: Context, name: str, query: ListQuery) -> bytes:
    """Returns a page of scenes, a `ScenePage` as JSON.

    Raises:
        SceneError, InvalidError: a filter or an order that the dataset cannot have, or a cursor of another list.
        ConflictError: nothing is known of the dataset's scenes yet.
    """
    found = find_browsable(context, name)
    rows = context.lists.in_order(found.known, query, flags_of(context, found.registered.row))
    return _page(context, found, rows, query)


def list_scenes_at_once(context: Context, name: str, query: ListQuery) -> bytes | None:
    """Returns what `list_scenes` does where all of it is known: then no thread is needed, which takes longer."""
    found = context.registry.find(name)
    if found is None:
        return None
    rows = context.lists.in_order_before(found.known, query, flags_of(context, found.registered.row))
    row = found.registered.row
    marks_known = not row.marks_version or context.marks.peek(marks_key(row)) is not None
    return _page(context, found, rows, query) if rows is not None and marks_known else None


def get_scene(context: Context, name: str, scene_name: str, query: OrderedQuery) -> SceneDetail:
    """Returns one scene with its metadata, its class counts, and its place in the filtered, sorted list."""
    found = find_browsable(context, name)
    table = found.known.table
    scene_of(table, name, scene_name)
    row = table.position[scene_name]
    rows = context.lists.in_order(found.known, query, flags_of(context, found.registered.row))
    places = np.flatnonzero(rows == row)
    place = int(places[0]) if len(places) else None
    around = [None if place is None else _name_at(table, rows, place + step) for step in (-1, 1)]
    opened = context.sources.open(found.reference, found.known)
    scene = opened.scene(scene_name)
    (read,) = read_scenes(table, [row], _thumbnail_urls(context, found))
    y, x = table.offset[row].tolist()
    return SceneDetail.model_validate(
        {
            **read,
            "acquisitions": list(scene.acquisitions),
            "mark": marks_of(context, found.registered.row).get(scene_name),
            "metadata": {each: dict(opened.source.metadata(scene, each)) for each in scene.acquisitions},
            "class_pixels": _class_pixels(opened, scene),
            "previous": around[0],
            "next": around[1],
            "place": place,
            "total": len(rows),
            "offset_vector": {"y": y, "x": x} if np.isfinite([y, x]).all() else None,
        }
    )


def list_objects(context: Context, name: str, scene_name: str, acquisition: str) -> bytes:
    """Returns the labelled objects of an acquisition, a `list[SceneObjectRead]` as JSON; there may be thousands."""
    found = find_browsable(context, name)
    opened = context.sources.open(found.reference, found.known)
    scene = opened.scene(scene_name)
    check_acquisition(scene, acquisition)
    return to_json([_object(outline) for outline in opened.source.outlines(scene, acquisition)])


def get_distribution(context: Context, name: str, query: SceneQuery) -> Distribution:
    """Returns how the scenes that pass a filter are spread."""
    found = find_browsable(context, name)
    flags, table = flags_of(context, found.registered.row), found.known.table

    def make() -> Distribution:
        rows = context.lists.passing(found.known, query, flags)
        flagged = [table.position[each] for each in flags.read() if each in table.position]
        return distribution_of(table, rows, flagged=int(np.isin(rows, flagged).sum()))

    return context.distributions.get((found.known.version, query.key(), flags.key), make)


def flags_of(context: Context, dataset: DatasetRow) -> Flags:
    """Returns which scenes of a dataset are flagged, read when needed."""

    def read() -> list[str]:
        return [scene for scene, mark in marks_of(context, dataset).items() if mark.flagged]

    return Flags(marks_key(dataset), read)


def _page(context: Context, found: Browsable, rows: Rows, query: ListQuery) -> bytes:
    start = _place(context, found, rows, query)
    shown = rows[start : start + query.limit].tolist()
    thumbnails = _thumbnail_urls(context, found)
    texts = context.texts.get((found.known.version, thumbnails), lambda: SceneTexts(found.known.table, thumbnails))
    items = texts.array(shown, marks_of(context, found.registered.row))
    more = start + query.limit < len(rows)
    cursor = _cursor(context, found, query, shown[-1]) if more else None
    return b'{"items":%b,"next_cursor":%b,"total":%d,"first":%d}' % (items, to_json(cursor), len(rows), start)


def _thumbnail_urls(context: Context, found: Browsable) -> ThumbnailUrls:
    version = version_of(found.reference.fingerprint, found.known.table.bands)
    return ThumbnailUrls(context.signatures, found.reference.name, version, next_expiry(time.time()))


def _place(context: Context, found: Browsable, rows: Rows, query: ListQuery) -> int:
    """Returns where in the list a page begins."""
    if query.cursor is None:
        return query.place or 0
    if query.place is not None:
        raise InvalidError("place and cursor both say where to begin: leave one of them out")
    value, name = decode_cursor(query.cursor, f"scenes/{query.sort}", object, str)
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise InvalidError("cursor: not a cursor of this list; leave it out to begin at the first page")
    return context.lists.order(found.known, query.sort).place_behind(rows, found.known.table, value, name)


def _cursor(context: Context, found: Browsable, query: ListQuery, row: int) -> str:
    value = context.lists.order(found.known, query.sort).value(row)
    return encode_cursor(f"scenes/{query.sort}", value, found.known.table.scenes[row].name)


def _name_at(table: SceneTable, rows: Rows, place: int) -> str | None:
    return table.scenes[int(rows[place])].name if 0 <= place < len(rows) else None


def _class_pixels(opened: OpenDataset, scene: Scene) -> dict[str, dict[str, int]]:
    """Returns, per acquisition that has a label, the pixels of each class."""
    source = opened.source
    for scheme in SHOWN_SCHEMES:
        try:
            classes = source.classes(scheme)
        except SceneError:  # a scheme of another kind of dataset
            continue
        found = {}
        for acquisition in scene.acquisitions:
            try:
                mask = source.mask(scene, acquisition, scheme)
            except SceneError:  # an image without label may well be pretrained on
                continue
            counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
            found[acquisition] = {label: int(counts[index]) for index, label in enumerate(classes)}
            found[acquisition]["ignore"] = int(counts[IGNORE])
        return found
    return {}


def _object(outline: Outline) -> dict[str, Any]:
    return {
        "name": outline.name,
        "kind": outline.kind,
        "area": area_of(outline.rings),
        "rings": [ring.tolist() for ring in outline.rings],
    }


def area_of(rings: Sequence[NDArray[np.int32]]) -> float:
    """Returns the area that rings enclose, pixels; one that lies in an odd number of others is a hole."""
    area = 0.0
    for place, ring in enumerate(rings):
        x, y = ring.astype(np.float64).T
        own = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2  # the shoelace formula
        corner = (float(x[0]), float(y[0]))
        others = (other for number, other in enumerate(rings) if number != place)
        depth = sum(cv2.pointPolygonTest(other, corner, measureDist=False) > 0 for other in others)
        area += own if depth % 2 == 0 else -own
    return area
