"""Pairs: every scene before and after, with its relevant change; a click opens one."""

import streamlit as st

from frontend.api_client import image_path
from frontend.api_records import Dataset, Scene
from frontend.components.pair_grid.grid import BadgeSpec, PairSpec, pair_grid
from frontend.page import choose, client, drop_parameters, empty, header
from frontend.screens.scene_view import show_scene
from frontend.wording import percent, plural

SORTS = {"name": "name", "-change_share": "most change first", "change_share": "least change first"}
PAGE_SIZE = 24
THUMBNAIL = 256
ALL = "all"
TRAIL = "pairs-trail"


def show() -> None:
    """Shows the screen."""
    header(
        "Pairs", "Each place before and after. What a positive pair would pull together, and what changed in between."
    )
    datasets = {dataset["name"]: dataset for dataset in client().datasets(limit=200)["items"]}
    if not datasets:
        empty(
            "No pairs to look at yet",
            "Pairs come from a dataset. Register the synthetic scenes, or xBD tiles of your own.",
            page="datasets",
            label="Register a dataset",
        )
        return
    scene = st.query_params.get("scene")
    with st.container(horizontal=True, vertical_alignment="bottom", key="pairs-filters"):
        with st.container(width=260):
            name = choose("Dataset", list(datasets), parameter="dataset", drops=("scene", "cursor"))
        chosen = filters(datasets[name]) if scene is None else None
    if chosen is not None:
        show_list(datasets[name], *chosen)
    elif scene is not None:
        show_scene(datasets[name], scene)


def show_list(dataset: Dataset, split: str, event: str, change: tuple[float, float], sort: str) -> None:
    """Shows the grid and its pages."""
    page = client().scenes(
        dataset["name"],
        cursor=st.query_params.get("cursor"),
        limit=PAGE_SIZE,
        split=None if split == ALL else split,
        event=None if event == ALL else event,
        min_change=change[0] / 100,
        max_change=change[1] / 100,
        sort=sort,
    )
    if not page["items"]:
        empty("No scene matches", "Widen the change share, or take all splits and events.")
        return
    trail = st.session_state.setdefault(TRAIL, [])
    first = len(trail) * PAGE_SIZE + 1 if "cursor" in st.query_params else 1
    last = first + len(page["items"]) - 1
    known = "cursor" not in st.query_params or trail
    st.caption(f"{plural(page['total'], 'scene')}" + (f", showing {first} to {last}" if known else ""))
    clicked = pair_grid(
        pairs=[card(dataset["name"], scene) for scene in page["items"]], key="pairs-grid", description="Scenes"
    )
    if clicked is not None:
        st.query_params["scene"] = clicked
        st.rerun()
    page_buttons(page["next_cursor"])


def filters(dataset: Dataset) -> tuple[str, str, tuple[float, float], str]:
    """Returns split, event, bounds of the change share in percent, and sort key, as the user set them."""
    splits, events = [ALL, *dataset["splits"]], [ALL, *dataset["events"]]
    split = st.selectbox("Split", splits, key="split", bind="query-params", on_change=first_page, width=150)
    event = ALL
    if len(events) > 2:
        event = st.selectbox("Event", events, key="event", bind="query-params", on_change=first_page, width=220)
    change = st.slider(
        "Change share, %",
        0.0,
        100.0,
        (0.0, 100.0),
        step=1.0,
        format="%d",
        key="change",
        bind="query-params",
        on_change=first_page,
        width=230,
        help="Pixels with a relevant change, of all valid pixels.",
    )
    orders = list(SORTS.values())
    shown = st.selectbox("Order", orders, key="order", bind="query-params", on_change=first_page, width=200)
    sort = next(key for key, words in SORTS.items() if words == shown)
    return split or ALL, event or ALL, change, sort


def first_page() -> None:
    """Goes back to the first page, for another filter begins another list."""
    drop_parameters("cursor")
    st.session_state[TRAIL] = []


def page_buttons(next_cursor: str | None) -> None:
    """Shows the buttons between pages; the page's cursor stands in the URL."""
    here = st.query_params.get("cursor")
    trail: list[str | None] = st.session_state[TRAIL]
    with st.container(horizontal=True, horizontal_alignment="center", key="pairs-pages"):
        if here is not None and st.button("Back" if trail else "First page", key="pairs-back"):
            earlier = trail.pop() if trail else None
            if earlier is None:
                drop_parameters("cursor")
            else:
                st.query_params["cursor"] = earlier
            st.rerun()
        if next_cursor is not None and st.button("More", key="pairs-more"):
            trail.append(here)
            st.query_params["cursor"] = next_cursor
            st.rerun()


def card(dataset: str, scene: Scene) -> PairSpec:
    """Returns a scene's card: the first and the last acquisition, and how much changed."""
    badges: list[BadgeSpec] = [
        {
            "text": f"{percent(scene['change_share'])} changed",
            "tone": "warning" if scene["changed_pixels"] else "neutral",
        }
    ]
    if scene["unknown"]:
        badges.append({"text": "change unknown", "tone": "info"})
    if scene["no_data_share"] >= 0.01:
        badges.append({"text": f"{percent(scene['no_data_share'], 0)} no data", "tone": "neutral"})
    ends = (scene["acquisitions"][0], scene["acquisitions"][-1])
    return {
        "key": scene["name"],
        "title": scene["name"],
        "subtitle": scene["split"] if scene["event"] == "synthetic" else f"{scene['split']} · {scene['event']}",
        "badges": badges,
        "images": [
            {"url": image_path(dataset, scene["name"], acquisition, size=THUMBNAIL), "label": acquisition}
            for acquisition in ends
        ],
    }


show()
