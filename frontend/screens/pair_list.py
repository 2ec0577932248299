"""The list of the pair browser: filter, order, spread, thumbnails and pages; what is on view stands in the URL."""

from math import ceil

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.api_paths import api_path
from frontend.cached_answers import distribution_of, report_of
from frontend.components.pair_grid.grid import BadgeSpec, PairSpec, pair_grid
from frontend.page import choose_else_default, client, empty, remember_in_url, set_widget
from frontend.scene_query import SceneQuery
from frontend.scene_records import Dataset, Scene, ScenePage
from frontend.screens.distribution_view import show_distribution
from frontend.screens.pair_filters import query_of, rewrite, show_conditions, show_filters, show_order
from frontend.screens.selection_export import show_export
from frontend.wording import grouped, percent, plural

SIZES = ("24", "48", "96", "192")
CLOSED = "closed"
LAST_OPENED = "pairs-last-opened"


def page_size() -> int:
    """Returns how many scenes a page shows, as the URL says."""
    named = st.query_params.get("size")
    return int(named) if named in SIZES else int(SIZES[0])


def show_list(dataset: Dataset, row: DeltaGenerator) -> None:
    """Shows the scenes that the URL asks for, and their order in a row of boxes."""
    query = query_of(dataset)
    with st.sidebar:
        show_filters(dataset, query, report_of(dataset))
    with row:
        show_order(dataset, query)
        with st.container(width=110):
            size = int(choose_else_default("Per page", SIZES, parameter="size", default=SIZES[0], drops=("page",)))
    show_conditions(query)
    page = page_of(dataset, query, size)
    show_head(dataset, query, page)
    if not page["items"]:
        empty("No scene matches", "Nothing passes all conditions. Widen a range, or drop a condition.")
        if query.restricts:
            st.button("Clear the filter", key="filter-clear", on_click=rewrite, args=(SceneQuery(sort=query.sort),))
        return
    show_spread(dataset, query)
    show_grid(dataset, page)
    show_pages(page["total"], size)


def page_of(dataset: Dataset, query: SceneQuery, size: int) -> ScenePage:
    """Returns the page that the URL names, else the last there is."""
    number = page_number()
    found = client().scenes(dataset["name"], query, place=(number - 1) * size, limit=size)
    if found["items"] or not found["total"]:
        return found
    remember_in_url({"page": str(ceil(found["total"] / size))})
    return client().scenes(dataset["name"], query, place=(page_number() - 1) * size, limit=size)


def page_number() -> int:
    """Returns the page that the URL names, from 1."""
    named = st.query_params.get("page", "")
    return max(int(named), 1) if named.isdecimal() and len(named) < 10 else 1


def show_head(dataset: Dataset, query: SceneQuery, page: ScenePage) -> None:
    """Shows how many scenes are chosen and which of them are on the page, and lets the user take them along."""
    of_all = f" of {grouped(dataset['scenes'])}" if query.restricts else ""
    words = f"**{grouped(page['total'])}{of_all}** {'scene' if dataset['scenes'] == 1 else 'scenes'}"
    if page["items"]:
        words += f", showing {grouped(page['first'] + 1)} to {grouped(page['first'] + len(page['items']))}"
    with st.container(horizontal=True, vertical_alignment="center", key="pairs-head"):
        st.markdown(words, width="content")
        if st.button("Export…", key="pairs-export", icon=":material/ios_share:", disabled=not page["total"]):
            show_export(dataset, query)


def show_spread(dataset: Dataset, query: SceneQuery) -> None:
    """Shows how the chosen scenes are spread, which is asked for while it is open."""
    key = "distribution"

    def follow() -> None:
        remember_in_url({key: "" if st.session_state[key] else CLOSED})

    is_open = st.query_params.get(key) != CLOSED
    with st.expander("Distribution", key=set_widget(key, is_open), on_change=follow):
        if is_open:
            show_distribution(distribution_of(dataset, query))


def show_grid(dataset: Dataset, page: ScenePage) -> None:
    """Shows a card per scene; a click opens one."""
    clicked = pair_grid(
        pairs=[card(scene) for scene in page["items"]],
        columns_min_px=220,
        key="pairs-grid",
        description=f"Scenes of {dataset['name']}",
        focus=st.session_state.pop(LAST_OPENED, None),
    )
    if clicked is not None:
        st.query_params["scene"] = clicked
        st.rerun()


def show_pages(total: int, size: int) -> None:
    """Shows the numbers of the pages."""
    pages = ceil(total / size)
    if pages <= 1:
        return
    key = "pairs-page"

    def follow() -> None:
        remember_in_url({"page": "" if st.session_state[key] == 1 else str(st.session_state[key])})

    with st.container(horizontal=True, horizontal_alignment="center", key="pairs-pages"):
        st.pagination(pages, key=set_widget(key, min(page_number(), pages)), on_change=follow)


def card(scene: Scene) -> PairSpec:
    """Returns a scene's card: the first and the last acquisition, and what is worth knowing before opening it."""
    badges: list[BadgeSpec] = []
    if scene["mark"] is not None and scene["mark"]["flagged"]:
        badges.append({"text": "⚑ flagged", "tone": "bad"})
    badges.append(
        {
            "text": f"{percent(scene['change_share'])} changed",
            "tone": "warning" if scene["changed_pixels"] else "neutral",
        }
    )
    if scene["unknown"]:
        badges.append({"text": "change unknown", "tone": "info"})
    if scene["no_data_share"] >= 0.01:
        badges.append({"text": f"{percent(scene['no_data_share'], 0)} no data", "tone": "neutral"})
    if scene["offset"] is not None and scene["offset"] >= 1:
        badges.append({"text": f"{scene['offset']:.0f} px offset", "tone": "neutral"})
    if count := sum(scene["objects"].values()):
        badges.append({"text": plural(count, "object"), "tone": "neutral"})
    if scene["mark"] is not None and scene["mark"]["note"]:
        badges.append({"text": "note", "tone": "info"})
    ends = dict.fromkeys((scene["acquisitions"][0], scene["acquisitions"][-1]))
    return {
        "key": scene["name"],
        "title": scene["name"],
        "subtitle": scene["split"] if scene["event"] == "synthetic" else f"{scene['split']} · {scene['event']}",
        "badges": badges,
        "images": [
            {"url": api_path(scene["thumbnails"][acquisition]), "label": acquisition}
            for acquisition in ends
            if acquisition in scene["thumbnails"]
        ],
    }
