"""How a pretraining sees a few places, from its first step to its last."""

from collections.abc import Sequence
from html import escape
from itertools import groupby

import streamlit as st

from frontend.api_records import EmbeddingMap, JobDetail, MapTile
from frontend.components.same_origin import checked_path
from frontend.page import client
from frontend.wording import grouped, percent

KEPT = "job-maps"
CHOSEN = "job-map-step"
SLIDER_PIXELS = 520


def show_maps(job: JobDetail) -> None:
    """Shows the map of a step that people choose, beside the chips; the newest until they choose another."""
    maps = maps_of(job)
    if not maps:
        over = job["status"] in {"succeeded", "failed", "cancelled"}
        st.caption("This run drew no maps." if over else "The first map is drawn before the first step.")
        return
    chosen = choose_map(job["id"], maps)
    explained = sum(chosen["explained"])
    st.html(picture_of(chosen, maps))
    st.caption(
        "Like colours are like features: the three main directions of the decoder's features, of all these chips "
        f"together, as red, green and blue; they hold {percent(explained, 0)} of the variance. Each map is turned to "
        "the colours of the one before."
    )


def maps_of(job: JobDetail) -> list[EmbeddingMap]:
    """Returns the job's maps; asks the API only where the job told something since."""
    kept = st.session_state.get(KEPT, {})
    if (kept.get("job"), kept.get("seq")) != (job["id"], job["last_seq"]):
        kept = {"job": job["id"], "seq": job["last_seq"], "maps": client().embedding_maps(job["id"])}
        st.session_state[KEPT] = kept
    maps: list[EmbeddingMap] = kept["maps"]
    return maps


def choose_map(job: str, maps: Sequence[EmbeddingMap]) -> EmbeddingMap:
    """Returns the map that the slider stands at, which moves on with the newest while it stands there."""
    by_step = {each["step"]: each for each in maps}
    newest = maps[-1]["step"]
    if len(maps) == 1:
        return maps[0]
    known = st.session_state.get(f"{CHOSEN}-newest")
    if st.session_state.get(CHOSEN) not in by_step or (known != (job, newest) and _stood_at_end(job, known)):
        st.session_state[CHOSEN] = newest
    st.session_state[f"{CHOSEN}-newest"] = (job, newest)
    with st.container(width=SLIDER_PIXELS, key="job-map-slider"):
        step: int = st.select_slider("After step", list(by_step), key=CHOSEN, format_func=grouped)
    return by_step[step]


def _stood_at_end(job: str, known: tuple[str, int] | None) -> bool:
    return known is None or known[0] != job or st.session_state.get(CHOSEN) == known[1]


def picture_of(chosen: EmbeddingMap, maps: Sequence[EmbeddingMap]) -> str:
    """Returns HTML: per place, each chip beside its map; the other maps are loaded too, so that none is waited for."""
    tiles = sorted(chosen["tiles"], key=lambda tile: (tile["row"], tile["column"]))
    rows = [list(group) for _, group in groupby(tiles, key=lambda tile: tile["row"])]
    places = "".join(_place(chosen, row, rows=len(rows)) for row in rows)
    others = "".join(f'<img src="{_path(each["url"])}" alt="" hidden>' for each in maps)
    return f'<div class="pl-maps">{places}{others}</div>'


def _place(shown: EmbeddingMap, row: Sequence[MapTile], *, rows: int) -> str:
    first = row[0]
    changed = f"{grouped(first['changed_pixels'])} changed pixels" if first["changed_pixels"] else "no known change"
    tiles = "".join(_tile(shown, tile, rows=rows, columns=len(row)) for tile in row)
    return f"<figure><figcaption>{escape(first['scene'])} · {changed}</figcaption><div>{tiles}</div></figure>"


def _tile(shown: EmbeddingMap, tile: MapTile, *, rows: int, columns: int) -> str:
    """Returns a chip and its map, cut out of the picture of all."""
    about = escape(f"{tile['scene']}, {tile['acquisition']}")
    place = f"width:{columns}00%;height:{rows}00%;left:-{tile['column']}00%;top:-{tile['row']}00%"
    features = f"{about}, features after step {shown['step']}"
    return (
        f'<div><div class="of"><img src="{_path(tile["image_url"])}" alt="{about}">'
        f'<span><img src="{_path(shown["url"])}" alt="{features}" style="{place}"></span>'
        f"</div><small>{escape(tile['acquisition'])}</small></div>"
    )


def _path(url: str) -> str:
    return escape(checked_path(url, what="an embedding map"), quote=True)
