"""In what the file differs from an example or an earlier experiment, field by field."""

from html import escape

import streamlit as st

from frontend.connection import ApiProblem, find_endpoint
from frontend.page import show_problem
from frontend.screens.design_draft import SOURCE, sources, text_of
from frontend.wording import plural
from pairlab.experiment.differences import Difference, differences
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.yaml_text import write_flow


def show_differences(experiment: Experiment) -> None:
    """Lets the user choose another file, and shows in what this one differs from it."""
    titles = sources()
    started = st.session_state.get(SOURCE)
    if not titles:
        st.info("There is no other experiment file to compare with.")
        return
    picked = st.selectbox(
        "Compared with",
        list(titles),
        index=list(titles).index(started) if started in titles else 0,
        format_func=titles.__getitem__,
        key="differences-with",
        filter_mode="contains",
    )
    try:
        other = load_experiment(_text_of(find_endpoint().url, picked))
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        show_problem(problem)
    except ExperimentError as error:
        show_problem(ApiProblem([f"This version cannot read it: {problem}" for problem in error.problems]))
    else:
        found = differences(other, experiment)
        if found:
            st.caption(f"{plural(len(found), 'field')} differ{'s' * (len(found) == 1)}; defaults count as written out.")
            st.html(difference_table(found))
        else:
            st.success("Every field is the same.")


def difference_table(found: list[Difference]) -> str:
    """Returns a row per field: its path, its value there and its value here."""
    rows = "".join(
        f'<tr><td class="text">{escape(" › ".join(path))}</td><td class="text">{_shown(old)}</td>'
        f'<td class="text">{_shown(new)}</td></tr>'
        for path, old, new in found
    )
    head = '<tr><th class="text">field</th><th class="text">there</th><th class="text">here</th></tr>'
    return (
        '<div class="pl-scroll"><table class="pl-table pl-differences" data-testid="differences">'
        f"{head}{rows}</table></div>"
    )


def _shown(value: object) -> str:
    if value is None or value == "":
        return '<span class="pl-dim">–</span>'
    return escape(value) if isinstance(value, str) else f"<code>{escape(write_flow(value))}</code>"


@st.cache_data(max_entries=32, ttl=300, show_spinner=False)
def _text_of(url: str, source: str) -> str:  # noqa: ARG001  (what is kept is of one API)
    return text_of(source)
