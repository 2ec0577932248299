"""Pairs: every scene before and after, found by what is known of it; a click opens one."""

from collections.abc import Callable

import streamlit as st

from frontend.connection import ApiProblem
from frontend.page import choose, client, empty, header, remember_in_url, set_widget
from frontend.scene_query import FILTER_PARAMETERS
from frontend.scene_records import Dataset
from frontend.screens.change_scores import show_change_scores
from frontend.screens.indexing_state import show_indexing
from frontend.screens.pair_list import show_list
from frontend.screens.scene_view import VIEWER_PARAMETERS, show_scene
from frontend.screens.score_judgement import SCORE_PARAMETERS

OF_A_DATASET = (
    *("scene", "page", *FILTER_PARAMETERS, "sort", "spread", "counts"),
    *VIEWER_PARAMETERS,
    *SCORE_PARAMETERS,
)
VIEWS = {"scenes": "Scenes", "scores": "Change scores"}
NOT_YET = 409


def show() -> None:
    """Shows the screen: a list, or the one scene that the URL names."""
    scene = st.query_params.get("scene")
    lead = "Each place before and after. What a positive pair would pull together, and what changed in between."
    if scene is None:
        header("Pairs", lead)
    datasets = {dataset["name"]: dataset for dataset in client().datasets(limit=200)["items"]}
    if not datasets:
        empty(
            "No pairs to look at yet",
            "Pairs come from a dataset. Register the synthetic scenes, or images of your own.",
            page="datasets",
            label="Register a dataset",
        )
        return
    if scene is not None and st.query_params.get("dataset") in datasets:
        show_found(datasets[st.query_params["dataset"]], lambda dataset: show_scene(dataset, scene))
        return
    row = st.container(horizontal=True, vertical_alignment="bottom", key="pairs-order")
    with row, st.container(width=260):
        name = choose("Dataset", list(datasets), parameter="dataset", drops=OF_A_DATASET)
    with row:
        view = choose_view()
    if view == "scores":
        show_found(datasets[name], show_change_scores)
    else:
        show_found(datasets[name], lambda dataset: show_list(dataset, row))


def choose_view() -> str:
    """Returns what is shown of the dataset, as the URL names it."""
    named = st.query_params.get("view")

    def follow() -> None:
        remember_in_url({"view": "" if st.session_state["pairs-view"] == "scenes" else st.session_state["pairs-view"]})

    chosen = st.segmented_control(
        "Show",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        key=set_widget("pairs-view", named if named in VIEWS else "scenes"),
        required=True,
        on_change=follow,
        label_visibility="collapsed",
    )
    return chosen or "scenes"


def show_found(dataset: Dataset, content: Callable[[Dataset], None]) -> None:
    """Shows what there is of a dataset; how far it is, where it is being indexed."""
    if dataset["state"] != "ready":
        show_indexing(dataset)
    try:
        content(dataset)
    except ApiProblem as problem:
        # Labels are read first; until then there is nothing to list, and the state above says so.
        if problem.status != NOT_YET or dataset["state"] == "ready":
            raise


show()
