"""Scenes as lists show them: each is put into words once, and pages are put together from them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from backend.datasets.schemas import MarkRead
from backend.datasets.thumbnail_urls import ThumbnailUrls
from pairlab.scenes.filtering import is_number
from pairlab.scenes.index import SceneTable

NULL = b"null"


class SceneTexts:
    """The scenes of a table as JSON, made when they are first asked for; threads may share it."""

    def __init__(self, table: SceneTable, thumbnails: ThumbnailUrls) -> None:
        self._table, self._thumbnails = table, thumbnails
        self._texts = [b""] * len(table)
        """Without the mark and the closing brace; empty until asked for."""

    @property
    def nbytes(self) -> int:
        """Memory that all scenes will take, about."""
        table = self._table
        acquisitions = len(table.scenes[0].acquisitions) if len(table) else 0
        return len(table) * (500 + 40 * (len(table.columns) + len(table.object_classes)) + 270 * acquisitions)

    def array(self, rows: Sequence[int], marks: Mapping[str, MarkRead]) -> bytes:
        """Returns a JSON array of `SceneRead`.

        Args:
            rows: of the table.
            marks: of these scenes at least, by name.
        """
        if missing := [row for row in rows if not self._texts[row]]:
            for row, read in zip(missing, read_scenes(self._table, missing, self._thumbnails), strict=True):
                self._texts[row] = to_json(read)[:-1] + b',"mark":'
        scenes = self._table.scenes
        parts = []
        for row in rows:
            mark = marks.get(scenes[row].name)
            parts.append(b"%b%b}" % (self._texts[row], NULL if mark is None else to_json(mark)))
        return b"[%b]" % b",".join(parts)


def read_scenes(table: SceneTable, rows: Sequence[int], thumbnails: ThumbnailUrls) -> list[dict[str, Any]]:
    """Returns the fields of `SceneRead` but the mark for some scenes, plain values.

    Args:
        table: the dataset's scenes.
        rows: which of them.
        thumbnails: returns a scene's addresses by acquisition.
    """
    at = list(rows)
    fixed = {
        "change_share": table.change_share[at].tolist(),
        "object_change_share": table.object_change_share[at].tolist(),
        "changed_pixels": table.changed_pixels[at].tolist(),
        "unknown": table.unknown[at].tolist(),
        "no_data_share": table.no_data_share[at].tolist(),
        "offset": _finite(table.offset_length[at].tolist()),
        "offset_confidence": _finite(table.offset_confidence[at].tolist()),
    }
    objects = table.objects[at].tolist()
    columns = {
        name: _finite(values[at].tolist()) if is_number(values) else values[at].tolist()
        for name, values in table.columns.items()
    }
    found = []
    for place, row in enumerate(at):
        scene = table.scenes[row]
        found.append(
            {
                "name": scene.name,
                "split": scene.split,
                "event": scene.event,
                "acquisitions": scene.acquisitions,
                "height": scene.height,
                "width": scene.width,
                **{name: values[place] for name, values in fixed.items()},
                "objects": dict(zip(table.object_classes, objects[place], strict=True)),
                "attributes": {name: column[place] for name, column in columns.items()},
                "thumbnails": thumbnails(scene),
            }
        )
    return found


def _finite(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
