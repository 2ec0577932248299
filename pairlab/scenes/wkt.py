"""Polygons as well-known text, all of a file at once: the plain form fast, every other form by shapely."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

IntpArray = NDArray[np.intp]
Float64Array = NDArray[np.float64]

FEW_NUMBERS = 200
"""Fewer are read one by one; of more, Arrow reads twice as many in a second."""

_OPENING, _CLOSING = "POLYGON ((", "))"
_DIGITS = b"0123456789.-e"
_POLYGON, _MULTIPOLYGON = 3, 6
"""Geometry types as shapely numbers them."""


class PolygonError(ValueError):
    """A text that is no polygon; `position` tells which."""

    def __init__(self, position: int) -> None:
        super().__init__(f"text {position} is no polygon")
        self.position = position


@dataclass(frozen=True, slots=True)
class Polygons:
    """The rings of many polygons; each ring ends with its first point."""

    points: Float64Array
    """Shape (points, 2): x and y, ring after ring."""
    starts: IntpArray
    """First point of each ring."""
    ends: IntpArray
    """Behind the last point of each ring."""
    owner: IntpArray
    """The text that each ring belongs to, rising; of each polygon the outline comes first, then its holes."""

    @property
    def first_outline(self) -> Float64Array:
        """The points of the first text's first ring, none where it is empty."""
        return self.points[: self.ends[0]] if len(self.owner) and self.owner[0] == 0 else self.points[:0]

    def centroids(self, count: int) -> Float64Array:
        """Returns the centroid (x, y) of each text's first outline, shape (count, 2); (0, 0) where it has none."""
        centres = np.zeros((count, 2))
        if not len(self.owner):
            return centres
        first = np.append(True, np.diff(self.owner) > 0)
        lengths = self.ends - self.starts
        # From each ring's own corner: products of small numbers lose nothing.
        corner = self.points[self.starts]
        x, y = (self.points - np.repeat(corner, lengths, axis=0)).T
        cross = x[:-1] * y[1:] - x[1:] * y[:-1]
        cross[self.ends[:-1] - 1] = 0.0  # from a ring to the next
        area = np.add.reduceat(cross, self.starts)
        flat = np.abs(area) < 1e-9
        for axis, along in ((0, x), (1, y)):
            moment = np.add.reduceat((along[:-1] + along[1:]) * cross, self.starts)
            mean = np.add.reduceat(along, self.starts) / lengths
            centre = corner[:, axis] + np.where(flat, mean, moment / np.where(flat, 1.0, 3 * area))
            centres[self.owner[first], axis] = centre[first]
        return centres


_NONE = Polygons(np.zeros((0, 2)), *np.zeros((3, 0), dtype=np.intp))


def read_polygons(texts: Sequence[object]) -> Polygons:
    """Returns the rings of POLYGON and MULTIPOLYGON texts; NaN and infinity are passed on.

    Raises:
        PolygonError: an entry that is no text, or no closed polygon.
    """
    plain = _plain_polygons(texts) if texts else _NONE
    return _any_polygons(texts) if plain is None else plain


def _plain_polygons(texts: Sequence[object]) -> Polygons | None:
    """Returns polygons that are all written `POLYGON ((x y, x y, …))`; None where one is not, or is not closed."""
    if not all(isinstance(text, str) for text in texts):
        return None
    lines = "\n".join(texts)  # type: ignore[arg-type]
    if not (lines.startswith(_OPENING) and lines.endswith(_CLOSING) and lines.isascii()):
        return None
    bodies = lines[len(_OPENING) : -len(_CLOSING)].split(f"{_CLOSING}\n{_OPENING}")
    if len(bodies) != len(texts):
        return None
    lengths = np.array([body.count(",") + 1 for body in bodies], dtype=np.intp)
    ends = np.cumsum(lengths)
    count = int(ends[-1])
    if (lengths < 4).any():
        return None
    joined = ", ".join(bodies)
    data = joined.encode()
    # What is left without digits tells whether every point has two numbers, every comma stands behind one, and no line
    # ends within a text.
    if joined.count(", ") != count - 1 or data.translate(None, _DIGITS) != b" , " * (count - 1) + b" ":
        return None
    try:
        points = _numbers(data.translate(None, b",").decode(), count=2 * count).reshape(-1, 2)
    except ValueError:
        return None
    starts = ends - lengths
    if (points[starts] != points[ends - 1]).any():
        return None
    return Polygons(points, starts, ends, owner=np.arange(len(lengths)))


def _numbers(text: str, *, count: int) -> Float64Array:
    """Returns so many numbers, one blank between two; raises ValueError where one is none."""
    if count < FEW_NUMBERS:
        return np.array([float(number) for number in text.split(" ")])
    return np.asarray(pc.split_pattern(pa.scalar(text), " ").values.cast(pa.float64()).to_numpy())


def _any_polygons(texts: Sequence[object]) -> Polygons:
    # The parser raises on half a surrogate pair, which JSON can hold, and on curves.
    strings = np.array([text if _may_be_polygon(text) else "" for text in texts], dtype=object)
    with np.errstate(all="ignore"):  # NaN and numbers past float64 are the caller's to refuse
        geometries = shapely.from_wkt(strings, on_invalid="ignore")
    bad = np.flatnonzero(~np.isin(shapely.get_type_id(geometries), (_POLYGON, _MULTIPOLYGON)))
    if len(bad):
        raise PolygonError(int(bad[0]))
    parts, owner_of_part = shapely.get_parts(geometries, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    ends = np.searchsorted(ring_of_point, np.arange(len(rings)), side="right")
    starts = np.append(0, ends[:-1])[: len(ends)]
    return Polygons(points, starts.astype(np.intp), ends.astype(np.intp), owner=owner_of_part[part_of_ring])


def _may_be_polygon(text: object) -> bool:
    return (
        isinstance(text, str) and text.isascii() and text[:100].strip().upper().startswith(("POLYGON", "MULTIPOLYGON"))
    )
