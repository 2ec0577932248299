"""A grid of pairs: thumbnails side by side with their badges; a click tells the page which one."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Literal, NotRequired, TypedDict, get_args

import streamlit as st

from frontend.components.palette import change_specs
from frontend.components.same_origin import checked_path

Tone = Literal["neutral", "good", "warning", "bad", "info"]


class BadgeSpec(TypedDict):
    """A few words about a pair, such as its change share."""

    text: str
    tone: Tone


class ThumbnailSpec(TypedDict):
    """One image of a pair. `url` and `overlay`, a change map to lay over it, are paths on this server."""

    url: str
    label: str
    overlay: NotRequired[str]


class PairSpec(TypedDict):
    """One card of the grid."""

    key: str
    title: str
    subtitle: str
    badges: Sequence[BadgeSpec]
    images: Sequence[ThumbnailSpec]


_SCRIPTS = ("overlay_viewer/pixels.js", "pair_grid/picture.js", "pair_grid/grid.js")
"""Joined into the one module that Streamlit takes; the last one exports the component."""

_components = files("frontend.components")
_assets = files("frontend.components.pair_grid")
_mount = st.components.v2.component(
    "pairlab.pair_grid",
    html=(_assets / "grid.html").read_text("utf-8"),
    css="\n".join((_assets / name).read_text("utf-8") for name in ("picture.css", "grid.css")),
    js="\n".join(_components.joinpath(name).read_text("utf-8") for name in _SCRIPTS),
)


def pair_grid(
    *,
    pairs: Sequence[PairSpec],
    columns_min_px: int = 260,
    clickable: bool = True,
    description: str = "Pairs",
    focus: str | None = None,
    key: str,
) -> str | None:
    """Returns the key of the pair that was just clicked, for one run of the page, else None.

    Args:
        pairs: one card each, with 1 to 4 images; keys must differ.
        columns_min_px: a card is at least this wide, 120 to 800; as many columns as fit.
        clickable: False shows cards that cannot be opened.
        description: read to people who do not see the pictures.
        focus: key of the pair that takes the focus and comes into view where it is not, once per pair and grid.
        key: names the grid on its page.

    Raises:
        ValueError: keys that repeat, a card without images, an unknown tone or an address that is not on this server.
    """
    if not 120 <= columns_min_px <= 800:
        raise ValueError(f"columns_min_px is {columns_min_px}, it must be between 120 and 800")
    _check(pairs)
    data = {
        "pairs": [dict(pair) for pair in pairs],
        "columns_min_px": columns_min_px,
        "clickable": clickable,
        "description": description,
        "focus": focus,
        "changes": change_specs(),
    }
    result = _mount(key=key, data=data, on_clicked_change=_rerun)
    clicked = result.get("clicked")
    return clicked if any(pair["key"] == clicked for pair in pairs) else None


def check_thumbnail(image: ThumbnailSpec, *, title: str) -> None:
    """Raises ValueError where an address of an image is not on this server."""
    checked_path(image["url"], what=f"{title}, {image['label']}")
    if "overlay" in image:
        checked_path(image["overlay"], what=f"{title}, change map of {image['label']}")


def check_badges(badges: Sequence[BadgeSpec]) -> None:
    """Raises ValueError where a badge has no known tone."""
    for badge in badges:
        if badge["tone"] not in get_args(Tone):
            raise ValueError(f"badge {badge['text']!r} has the tone {badge['tone']!r}, not {', '.join(get_args(Tone))}")


def _rerun() -> None:
    """Named so that Streamlit knows the trigger; the run that follows reads it."""


def _check(pairs: Sequence[PairSpec]) -> None:
    seen: set[str] = set()
    for pair in pairs:
        if pair["key"] in seen:
            raise ValueError(f"two pairs have the key {pair['key']!r}")
        seen.add(pair["key"])
        if not 1 <= len(pair["images"]) <= 4:
            raise ValueError(f"pair {pair['key']!r} has {len(pair['images'])} images, a card takes 1 to 4")
        for image in pair["images"]:
            check_thumbnail(image, title=pair["title"])
        check_badges(pair["badges"])
