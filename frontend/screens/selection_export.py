"""Takes a selection of scenes along: as CSV, as the filter of an experiment."""

import streamlit as st

from frontend.api_paths import selection_path
from frontend.connection import ApiProblem
from frontend.page import client, screen, show_problem, verbatim
from frontend.scene_query import SceneQuery
from frontend.scene_records import Dataset
from frontend.wording import plural

MOST_YAML_PIXELS = 320
PENDING_SCENES = "pending-scenes"
"""In the session's state: dataset and filter that the Design screen is to take into its file."""


@st.dialog("Export the selection", width="medium")
def show_export(dataset: Dataset, query: SceneQuery) -> None:
    """Shows what the selection is as a file and as a filter, in a dialog."""
    try:
        exported = client().selection(dataset["name"], query)
    except ApiProblem as problem:
        show_problem(problem)
        return
    pairs = [(name, value) for name, values in query.to_params().items() for value in values]
    st.markdown(f"**{plural(exported['total'], 'scene')}** of {verbatim(dataset['name'])}, as filtered and sorted now.")
    st.link_button(
        "Download as CSV",
        selection_path(dataset["name"], pairs),
        key="export-csv",
        icon=":material/download:",
        help="One line per scene: split, event, change, objects, offset, columns, flag and note.",
    )
    st.markdown("**As a filter of an experiment**")
    tall = exported["yaml"].count("\n") > 14
    st.code(exported["yaml"], language="yaml", height=MOST_YAML_PIXELS if tall else "content")
    st.caption("The other scenes then neither pretrain nor label nor test. Copy it into a file, or use it right away:")
    if st.button("Use in Design", key="export-design", type="primary", icon=":material/tune:"):
        st.session_state[PENDING_SCENES] = {"dataset": dataset["name"], "filter": exported["filter"]}
        st.switch_page(screen("design"))
