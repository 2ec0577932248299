"""The experiment file on the Design screen: where it comes from, and what takes its place."""

from typing import Any

import streamlit as st

from frontend.connection import ApiProblem
from frontend.draft import Path, with_edits
from frontend.page import client, drop_parameters, show_problem
from frontend.screens.arm_exceptions import LAST_SELECTION
from frontend.screens.selection_export import PENDING_SCENES
from frontend.wording import experiment_title
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.problems import ExperimentError

TEXT, REVISION, SOURCE, PROBLEMS = "draft-text", "draft-revision", "draft-source", "draft-problems"


def take(text: str) -> None:
    """Makes a text the file, and has all fields of the form show its values."""
    st.session_state[TEXT] = text
    st.session_state[REVISION] = st.session_state.get(REVISION, 0) + 1
    st.session_state[PROBLEMS] = []


def sources() -> dict[str, str]:
    """Returns the titles of all files to start from, by `example:NAME` and `from:ID`, examples first."""
    titles = {
        f"example:{example['name']}": f"{example['name']} · {example['title']}" for example in client().examples()
    }
    earlier = client().experiments(limit=30)["items"]
    return titles | {f"from:{experiment['id']}": experiment_title(experiment) for experiment in earlier}


def text_of(source: str) -> str:
    """Returns the file behind a source; raises ApiProblem where there is none."""
    kind, _, value = source.partition(":")
    if kind == "from":
        return client().experiment(value)["yaml"]
    text = next((each["yaml"] for each in client().examples() if each["name"] == value), None)
    if text is None:
        raise ApiProblem([f"There is no example {value!r}."], status=404)
    return text


def show_sources() -> None:
    """Lets the user start from an example or an earlier experiment; the URL's `from` and `example` do the same."""
    titles = sources()
    wanted = next((f"{name}:{st.query_params[name]}" for name in ("from", "example") if name in st.query_params), None)
    if wanted is None and TEXT not in st.session_state:
        examples = [key for key in titles if key.startswith("example:")]
        wanted = next((key for key in examples if key.endswith(":quickstart")), next(iter(examples), None))
    if wanted is not None and wanted != st.session_state.get(SOURCE):
        load_source(wanted)
    with st.popover("Start from…", icon=":material/file_open:", key="design-start", width="content"):
        st.caption("Loading one replaces what is in the form.")
        picked = st.selectbox("File", list(titles), format_func=titles.__getitem__, key="design-source")
        if st.button("Load", key="design-load", type="primary", disabled=picked is None) and picked:
            name, _, value = picked.partition(":")
            drop_parameters("from", "example")
            st.query_params[name] = value
            st.session_state.pop(SOURCE, None)
            st.rerun()


def load_source(source: str) -> None:
    """Takes an example or an earlier experiment as the file."""
    try:
        text = text_of(source)
        load_experiment(text)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        show_problem(problem)
    except ExperimentError as error:
        name = source.partition(":")[2]
        show_problem(ApiProblem([f"{name} cannot be read by this version: {error}"]))
    else:
        take(text)
    st.session_state[SOURCE] = source


def take_scenes() -> None:
    """Takes the selection that the pair browser handed over into the file."""
    selection = st.session_state.pop(PENDING_SCENES, None)
    if selection is None:
        return
    st.session_state[LAST_SELECTION] = selection
    edits: dict[Path, Any] = {("dataset",): selection["dataset"], ("scenes",): selection["filter"] or None}
    try:
        take(with_edits(st.session_state[TEXT], edits))
    except ExperimentError as error:
        show_problem(
            ApiProblem([f"The selection does not fit into this file: {problem}" for problem in error.problems])
        )
    else:
        st.toast("The file takes the scenes of your selection now.", icon=":material/filter_alt:")
