"""Design: an experiment as form and as YAML, the pairs it would draw, what it costs, and its start."""

from collections.abc import Mapping

import streamlit as st

from frontend.draft import with_edits
from frontend.page import client, empty, header, plain, remember_in_url, set_widget
from frontend.scene_records import Dataset
from frontend.screens.arm_cards import show_arms
from frontend.screens.design_differences import show_differences
from frontend.screens.design_draft import PROBLEMS, REVISION, TEXT, show_sources, take, take_scenes
from frontend.screens.design_form import show_downstream, show_pretraining, show_question
from frontend.screens.design_plan import show_submit
from frontend.screens.design_preview import show_preview
from frontend.screens.design_views import show_views
from frontend.screens.filter_handover import take_filter
from frontend.screens.form import Form
from frontend.screens.missing_datasets import missing_datasets, show_missing_datasets
from frontend.screens.side_by_side import show_side_by_side
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.problems import ExperimentError

BOX = "yaml-box"
SIDES = ("Pairs", "Views", "Arms", "Differences", "YAML")
PREVIEWS = {"Pairs": show_preview, "Views": show_views, "Arms": show_side_by_side}


def show() -> None:
    """Shows the screen."""
    header("Design", "One question, asked by arms that differ in one thing. Form and YAML are the same file.")
    datasets = {dataset["name"]: dataset for dataset in client().datasets(limit=200)["items"]}
    show_sources()
    if TEXT not in st.session_state:
        empty(
            "No experiment file",
            "Nothing to start from was found: PairLab's examples are missing in this installation.",
        )
        return
    take_scenes()
    take_filter()
    experiment = load_experiment(st.session_state[TEXT])
    left, right = st.columns([6, 5], gap="large")
    with left:
        experiment = show_form(experiment, datasets)
    with right, st.container(key="design-side"):
        show_side(choose_side(), experiment, datasets)
    with left:
        show_submit(st.session_state[TEXT], pending=bool(st.session_state.get(PROBLEMS)))


def choose_side() -> str | None:
    """Returns what is shown beside the form, as the URL names it."""
    named = st.query_params.get("side")

    def follow() -> None:
        remember_in_url({"side": "" if st.session_state["side"] == SIDES[0] else st.session_state["side"]})

    return st.segmented_control(
        "Beside the form",
        SIDES,
        key=set_widget("side", named if named in SIDES else SIDES[0]),
        required=True,
        on_change=follow,
        label_visibility="collapsed",
    )


def show_side(side: str | None, experiment: Experiment, datasets: Mapping[str, Dataset]) -> None:
    """Shows the pairs, the views, the arms, the differences or the file."""
    if side == "YAML":
        show_yaml()
    elif side == "Differences":
        show_differences(experiment)
    elif missing := missing_datasets(experiment, datasets):
        show_missing_datasets(missing, st.session_state[TEXT])
    else:
        PREVIEWS[side or SIDES[0]](experiment, st.session_state[TEXT])


def show_form(experiment: Experiment, datasets: Mapping[str, Dataset]) -> Experiment:
    """Shows the form and returns the experiment with its edits; one that is not valid leaves the file as it is."""
    form = Form(st.session_state[REVISION])
    show_question(form, experiment, datasets)
    st.subheader("Arms", anchor=False)
    restructure = show_arms(form, experiment, datasets)
    with st.expander("Pretraining", icon=":material/model_training:"):
        show_pretraining(form, experiment)
    with st.expander("Segmentation", icon=":material/grid_on:"):
        show_downstream(form, experiment, datasets.get(experiment.dataset))
    st.caption("Knobs that have no field here (looks, heads, …) are set in the YAML, and the form leaves them.")
    problems = list(form.problems)
    try:
        if form.edits:
            st.session_state[TEXT] = with_edits(st.session_state[TEXT], form.edits)
        if restructure is not None:
            take(restructure(st.session_state[TEXT]))
            st.rerun()
    except ExperimentError as error:
        problems += error.problems
    if problems:
        st.error(
            "The form's last change is not in the file yet:\n" + "\n".join(f"- {plain(each)}" for each in problems)
        )
    elif form.restructures:
        st.rerun()  # there are other fields now
    return load_experiment(st.session_state[TEXT])


def show_yaml() -> None:
    """Shows the file for editing; a text that is not valid is kept in the box with its problems below."""
    if not st.session_state.get(PROBLEMS):
        st.session_state[BOX] = st.session_state[TEXT]

    def read() -> None:
        text = st.session_state[BOX]
        try:
            load_experiment(text)
        except ExperimentError as error:
            st.session_state[PROBLEMS] = error.problems
        else:
            take(text)

    st.text_area(
        "Experiment file", key=BOX, height=620, on_change=read, help="Ctrl+Enter or a click outside applies it."
    )
    if st.session_state.get(PROBLEMS):
        st.error("Not applied yet:\n" + "\n".join(f"- {plain(each)}" for each in st.session_state[PROBLEMS]))
        if st.button("Back to the last valid file", key="yaml-back"):
            take(st.session_state[TEXT])
            st.rerun()
    st.download_button(
        "Download",
        st.session_state[TEXT],
        "experiment.yaml",
        "application/yaml",
        key="yaml-download",
        on_click="ignore",
    )


show()
