"""Two views of a pair as training cuts them, with the pixels that the loss matches."""

from collections.abc import Sequence
from importlib.resources import files
from math import isfinite
from typing import Any, TypedDict

import streamlit as st

from frontend.components.palette import change_specs
from frontend.components.same_origin import checked_path

MOST_POINTS = 200
"""Drawn at once; more hide the images."""


class ViewSpec(TypedDict):
    """One view. `url` is the chip's path on this server, `change_url` that of its change map."""

    label: str
    url: str
    change_url: str | None
    matrix: Sequence[Sequence[float]]
    """2 × 3: maps (x, y, 1) in the view to (x, y) in the chip, pixels, a pixel's centre at half numbers."""


class PointSpec(TypedDict):
    """Two matched points, (x, y) in the pixels of their views; excluded ones are left out of the loss."""

    a: Sequence[float]
    b: Sequence[float]
    excluded: bool


_SCRIPTS = ("overlay_viewer/pixels.js", "view_pair/sampling.js", "view_pair/points.js", "view_pair/view.js")
"""Joined into the one module that Streamlit takes; the last one exports the component."""

_components = files("frontend.components")
_assets = files("frontend.components.view_pair")
_mount = st.components.v2.component(
    "pairlab.view_pair",
    html=(_assets / "view.html").read_text("utf-8"),
    css=(_assets / "view.css").read_text("utf-8"),
    js="\n".join(_components.joinpath(name).read_text("utf-8") for name in _SCRIPTS),
)


def view_pair(
    *,
    anchor: ViewSpec,
    positive: ViewSpec,
    size: int,
    chip_size: int,
    points: Sequence[PointSpec],
    reach: float | None = None,
    notes: Sequence[str] = (),
    description: str = "Two views of a pair",
    key: str,
) -> None:
    """Shows the two views side by side, or below each other where there is no room, and their matched points.

    Pointing at a point, or the arrow keys, draw the line to its partner and tell where both are. Of more than 200
    points the first 200 are drawn, and a sentence says so.

    Args:
        anchor: the one view.
        positive: the other one.
        size: height and width of both views, pixels.
        chip_size: height and width of the chips they are cut from, pixels.
        points: in the order they are drawn.
        reach: how far from a point's end in the positive other cells match it too, pixels of the view; a chosen point
            shows it as a circle. None where it has one partner.
        notes: sentences below, plain text.
        description: read to people who do not see the pictures.
        key: names the views on their page.

    Raises:
        ValueError: an address that is not on this server, a size below 1, a reach that is not above 0, or a matrix or
            point that is none.
    """
    for name, number in (("size", size), ("chip_size", chip_size)):
        if number < 1:
            raise ValueError(f"{name} is {number}, it must be at least 1 pixel")
    if reach is not None and not (isfinite(reach) and reach > 0):
        raise ValueError(f"reach is {reach}, it must be above 0 pixels, or None")
    for view in (anchor, positive):
        _check(view)
    for point in points:
        if not all(len(end) == 2 and all(map(isfinite, end)) for end in (point["a"], point["b"])):
            raise ValueError(f"a matched point is (x, y) in both views, got {point['a']} and {point['b']}")
    told = list(notes)
    if len(points) > MOST_POINTS:
        told.insert(0, f"{MOST_POINTS} of {len(points)} points are drawn.")
    data: dict[str, Any] = {
        "anchor": dict(anchor),
        "positive": dict(positive),
        "size": size,
        "chip_size": chip_size,
        "points": [dict(point) for point in points[:MOST_POINTS]],
        "reach": reach,
        "changes": change_specs(),
        "notes": told,
        "description": description,
    }
    _mount(key=key, data=data)


def _check(view: ViewSpec) -> None:
    checked_path(view["url"], what=view["label"])
    if view["change_url"] is not None:
        checked_path(view["change_url"], what=f"{view['label']}, change map")
    matrix = view["matrix"]
    if [len(row) for row in matrix] != [3, 3] or not all(isfinite(entry) for row in matrix for entry in row):
        raise ValueError(f"{view['label']}: a view's matrix is 2 × 3 numbers, got {matrix}")
