"""Datasets: what is registered, how far its index is and what it found, and how to register more."""

import streamlit as st

from frontend.connection import ApiProblem
from frontend.page import client, drop_parameters, empty, header, screen, set_widget, show_problem, verbatim
from frontend.scene_records import Dataset
from frontend.screens.dataset_forms import KINDS, register_bitemporal, register_synthetic, register_xbd
from frontend.screens.dataset_report import show_report
from frontend.screens.indexing_state import show_indexing
from frontend.wording import dataset_place, grouped, in_split_order, moment, plural

STATE_BADGES = {"indexing": ("being indexed", "blue"), "ready": ("ready", "green"), "failed": ("not indexed", "red")}
NAMED_EVENTS = 6


def show() -> None:
    """Shows the screen."""
    header("Datasets", "Places with two or more acquisitions. Nothing is copied: imagery is read where it lies.")
    datasets = client().datasets(limit=200)["items"]
    if not datasets:
        empty(
            "No dataset yet",
            "Register the synthetic scenes below to try PairLab without any files, or images of your own from a data "
            "root: an xBD tree, folders A and B, or a table that lists them.",
        )
    for dataset in sorted(datasets, key=lambda each: (each["state"] == "ready", each["name"])):
        show_dataset(dataset)
    st.subheader("Register a dataset", anchor=False)
    kind = choose_kind()
    taken = [dataset["name"] for dataset in datasets]
    if kind == "xbd":
        register_xbd(taken)
    elif kind == "bitemporal":
        register_bitemporal(taken)
    else:
        register_synthetic(taken)


def choose_kind() -> str:
    """Returns the kind of dataset that the URL names, after the user's choice."""
    named = st.query_params.get("kind", "")

    def follow() -> None:
        st.query_params["kind"] = st.session_state["kind"]

    kind: str | None = st.segmented_control(
        "Kind",
        list(KINDS),
        format_func=KINDS.__getitem__,
        key=set_widget("kind", named if named in KINDS else "synthetic"),
        required=True,
        on_change=follow,
    )
    return kind or "synthetic"


def show_dataset(dataset: Dataset) -> None:
    """Shows one dataset: its state and counts, what can be done with it, and its report if the URL asks for it."""
    name = dataset["name"]
    words, colour = STATE_BADGES[dataset["state"]]
    with st.container(border=True, key=f"dataset-{name}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{verbatim(name)}**", width="content")
            st.badge(words, color=colour)  # type: ignore[arg-type]
            if dataset["quarantined"]:
                st.badge(f"{grouped(dataset['quarantined'])} quarantined", color="orange")
        st.caption("  \n".join(verbatim(line) for line in counts_of(dataset)))
        if dataset["state"] != "ready":
            show_indexing(dataset)
        show_ways(dataset)
        if st.query_params.get("report") == name:
            show_report(dataset)


def counts_of(dataset: Dataset) -> list[str]:
    """Returns place, scenes, events, acquisitions and label schemes, a line each."""
    splits = " · ".join(f"{grouped(count)} {split}" for split, count in in_split_order(dataset["splits"]).items())
    lines = [dataset_place(dataset["config"]), f"{plural(dataset['scenes'], 'scene')}: {splits}"]
    events = sorted(dataset["events"].items(), key=lambda each: -each[1])
    if len(events) > 1:
        named = ", ".join(f"{event} ({grouped(count)})" for event, count in events[:NAMED_EVENTS])
        more = f" and {len(events) - NAMED_EVENTS} more" if len(events) > NAMED_EVENTS else ""
        lines.append(f"{len(events)} events: {named}{more}")
    schemes = ", ".join(
        f"{scheme.replace('_', ' ')} ({len(classes)} classes)" for scheme, classes in dataset["label_schemes"].items()
    )
    lines.append(f"Labels: {schemes or 'none'}. Acquisitions: {', '.join(dataset['acquisitions'])}")
    lines.append(f"Registered {moment(dataset['created_at'])}")
    return lines


def show_ways(dataset: Dataset) -> None:
    """Shows where to go on from here, and the buttons of the report and of the removal."""
    name = dataset["name"]
    with st.container(horizontal=True, vertical_alignment="center", key=f"ways-{name}"):
        st.page_link(screen("pairs"), label="Look at its pairs", query_params={"dataset": name})
        st.page_link(screen("design"), label="Design an experiment")
        is_open = st.query_params.get("report") == name
        st.button(
            "Close the report" if is_open else "Report",
            key=f"report-{name}",
            icon=":material/fact_check:",
            on_click=toggle_report,
            args=(name, is_open),
        )
        with st.popover("Remove", type="tertiary"):
            is_rendered = dataset["config"]["kind"] == "synthetic"
            kept = "It can be registered again." if is_rendered else "Its files stay where they are."
            st.markdown(f"Take **{verbatim(name)}** off this list, with the flags and notes on its scenes? {kept}")
            if st.button("Remove it", key=f"remove-{name}", type="primary"):
                remove(name)


def toggle_report(name: str, is_open: bool) -> None:
    """Has the URL ask for a dataset's report, or for none."""
    drop_parameters("report", "column", "files")
    if not is_open:
        st.query_params["report"] = name


def remove(name: str) -> None:
    """Removes a dataset, or says why it has to stay."""
    try:
        client().delete_dataset(name)
    except ApiProblem as problem:
        show_problem(problem)
    else:
        st.rerun()


show()
