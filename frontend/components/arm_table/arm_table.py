"""A table of pairs: arms side by side, and in each row the pair that every arm draws at the same place."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TypedDict

import streamlit as st

from frontend.components.pair_grid.grid import BadgeSpec, ThumbnailSpec, check_badges, check_thumbnail
from frontend.components.palette import change_specs

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class ColumnSpec(TypedDict):
    """One arm: its name, its colour (`#rrggbb`) and what is worth saying about it."""

    title: str
    color: str
    badges: Sequence[BadgeSpec]


class CellSpec(TypedDict):
    """The pair that an arm draws at a place; without images, `note` says why there is none."""

    images: Sequence[ThumbnailSpec]
    badges: Sequence[BadgeSpec]
    note: str


class RowSpec(TypedDict):
    """One place, with a cell for every arm."""

    title: str
    cells: Sequence[CellSpec]


_SCRIPTS = ("overlay_viewer/pixels.js", "pair_grid/picture.js", "arm_table/table.js")
_STYLES = ("pair_grid/picture.css", "arm_table/table.css")
"""Joined into the one module and the one sheet that Streamlit takes; the last script exports the component."""

_components = files("frontend.components")
_mount = st.components.v2.component(
    "pairlab.arm_table",
    html=_components.joinpath("arm_table/table.html").read_text("utf-8"),
    css="\n".join(_components.joinpath(name).read_text("utf-8") for name in _STYLES),
    js="\n".join(_components.joinpath(name).read_text("utf-8") for name in _SCRIPTS),
)


def arm_table(*, columns: Sequence[ColumnSpec], rows: Sequence[RowSpec], description: str, key: str) -> None:
    """Shows the table; it scrolls sideways where the arms do not fit.

    Args:
        columns: the arms, at least one.
        rows: the places.
        description: what the table shows, read to people who do not see it.
        key: names the table on its page.

    Raises:
        ValueError: no arm, a row of another length, a colour or tone that is none, or an address that is not on this
            server.
    """
    if not columns:
        raise ValueError("the table needs at least one arm")
    for column in columns:
        if not _COLOR.fullmatch(column["color"]):
            raise ValueError(f"arm {column['title']!r} has colour {column['color']!r}, it must look like #33bbee")
        check_badges(column["badges"])
    for row in rows:
        if len(row["cells"]) != len(columns):
            raise ValueError(f"row {row['title']!r} has {len(row['cells'])} cells for {len(columns)} arms")
        for cell in row["cells"]:
            check_badges(cell["badges"])
            for image in cell["images"]:
                check_thumbnail(image, title=row["title"])
    data = {
        "columns": [dict(column) for column in columns],
        "rows": [dict(row) for row in rows],
        "changes": change_specs(),
        "description": description,
    }
    _mount(key=key, data=data)
