"""Takes a filter of the Pairs screen into the experiment file: as one more arm, beside the one that does not filter."""

from typing import Any

import streamlit as st

from frontend.connection import ApiProblem
from frontend.draft import free_name, with_arm, with_edits
from frontend.page import show_problem
from frontend.screens.design_draft import TEXT, take
from frontend.screens.score_judgement import PENDING_FILTER
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.yaml_text import parse_yaml


def take_filter() -> None:
    """Takes the filter that the Pairs screen handed over into the file, and says so."""
    given = st.session_state.pop(PENDING_FILTER, None)
    if given is None:
        return
    text: str = st.session_state[TEXT]
    unfiltered = most_noisy_unfiltered(load_experiment(text))
    if unfiltered is None:
        sentence = "No arm of this file pairs two images of a place without a filter, so there is nothing to filter."
        show_problem(ApiProblem([f"{sentence} Add an arm with policy temporal, and take the filter along again."]))
        return
    name = free_name(f"{unfiltered}, filtered", parse_yaml(text)["arms"])
    try:
        take(with_filter(text, unfiltered, name, given))
    except ExperimentError as error:
        show_problem(ApiProblem([f"The filter does not fit into this file: {problem}" for problem in error.problems]))
    else:
        st.toast(f"Arm “{name}” is “{unfiltered}” with this filter.", icon=":material/filter_alt:")


def most_noisy_unfiltered(experiment: Experiment) -> str | None:
    """Returns the arm a filter has the most to do for: pairs as the data has them, or of the highest noise rate."""
    rates = {}
    for name, arm in experiment.arms.items():
        pairing = arm.pairing
        if pairing is None or pairing.policy != "temporal" or pairing.filter.by != "none":
            continue
        if pairing.noise.mismatch_rate == 0 and pairing.time_gap is None:  # no change score is defined for the others
            rates[name] = 1.0 if pairing.noise.rate is None else pairing.noise.rate
    return max(rates, key=rates.__getitem__) if rates else None


def with_filter(text: str, unfiltered: str, name: str, given: dict[str, Any]) -> str:
    """Returns the file with a copy of an arm that filters; raises ExperimentError where that is not valid.

    Args:
        text: the file.
        unfiltered: the arm that is copied.
        name: of the copy.
        given: `dataset` and `filter`; another dataset than the file's takes its place, and its scenes go.
    """
    content = parse_yaml(text)
    if content["dataset"] != given["dataset"]:
        text = with_edits(text, {("dataset",): given["dataset"], ("scenes",): None})
    arm = content["arms"][unfiltered]
    return with_arm(text, name, {**arm, "pairing": {**arm["pairing"], "filter": given["filter"]}})
