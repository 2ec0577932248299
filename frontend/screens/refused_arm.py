"""Why an arm draws no pairs, and the way out where its change score is not computed yet."""

from typing import Any

import streamlit as st

from frontend.api_records import FINAL_STATUSES
from frontend.connection import ApiProblem
from frontend.page import POLL_SECONDS, client, plain, problems_in_sentences, screen, show_problem
from frontend.score_records import Score
from frontend.score_wording import score_title
from frontend.screens.arm_previews import forget_previews
from frontend.screens.design_plan import forget_plans
from frontend.wording import STATUS_WORDS, duration, sentence
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.pairing import ChangeScoreFilter


def show_refusal(experiment: Experiment, arm: str, seed: int, problem: str | None) -> bool:
    """Shows what keeps an arm from drawing pairs; returns whether that is a change score that is not computed yet.

    Args:
        experiment: the file.
        arm: name of the arm.
        seed: of the draw.
        problem: what the API says.
    """
    pairing = experiment.arms[arm].pairing
    said = problem or "The arm draws no pairs."
    if pairing is None or not isinstance(pairing.filter, ChangeScoreFilter):
        show_problem(ApiProblem([said]))
        return False
    dataset = client().dataset(experiment.arms[arm].dataset or experiment.dataset)
    draw = seed if dataset["config"]["kind"] == "synthetic" else 0
    content = pairing.filter.score.model_dump(mode="json")
    score = find_score(dataset["name"], content, draw)
    if score is not None and score["status"] == "succeeded":
        show_problem(ApiProblem([said]))
        return False
    st.info(plain(sentence(said)))
    with st.container(horizontal=True, vertical_alignment="center", key="missing-score"):
        if score is None or score["status"] in FINAL_STATUSES:
            if st.button("Compute it now", key="missing-score-queue", icon=":material/calculate:"):
                queue(dataset["name"], content, draw)
        else:
            await_score(dataset["name"], content, draw)
        parameters = {"dataset": dataset["name"], "view": "scores"}
        st.page_link(screen("pairs"), label="Change scores of the dataset", query_params=parameters)
    return True


def find_score(dataset: str, content: dict[str, Any], draw: int) -> Score | None:
    """Returns a change score of a dataset, if it is computed or on its way."""
    return next((each for each in client().scores(dataset) if each["score"] == content and each["draw"] == draw), None)


@st.fragment(run_every=POLL_SECONDS)
def await_score(dataset: str, content: dict[str, Any], draw: int) -> None:
    """Shows how far a score is; the page is shown anew when it has come to its end."""
    with problems_in_sentences(recover=False):
        score = find_score(dataset, content, draw)
        if score is None or score["status"] in FINAL_STATUSES:
            forget_previews()
            forget_plans()
            st.rerun(scope="app")
        left = client().job(score["job"])["seconds_left"]
        words = STATUS_WORDS[score["status"]] + ("" if left is None else f", {duration(left)} left")
        st.markdown(f"**{plain(score_title(content, draw))}**: {words}")


def queue(dataset: str, content: dict[str, Any], draw: int) -> None:
    """Queues the computation of a score, or says why it was refused."""
    try:
        client().queue_score(dataset, content, draw=draw)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        show_problem(problem)
    else:
        st.rerun()
