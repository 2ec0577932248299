"""The pairs that arms of the file would draw, asked for once per file, and the boxes that choose what is seen."""

from collections.abc import Sequence

import streamlit as st

from frontend.connection import ApiProblem, find_endpoint
from frontend.page import choose, choose_else_default, client
from frontend.pair_records import ArmPreview, ExperimentPreview, PreviewPair
from pairlab.experiment.experiment import Experiment

SECONDS = 15.0
BASELINE = "This arm is a baseline: its segmentation starts without a pretraining, so it draws no pairs."


def choose_arm(experiment: Experiment) -> str:
    """Returns the arm whose pairs are shown."""
    return choose("Arm", list(experiment.arms), parameter="arm", default=most_noisy(experiment))


def choose_seed(experiment: Experiment) -> int:
    """Returns the seed whose draw is shown; without a choice there is no box."""
    seeds = [str(seed) for seed in experiment.seeds]
    if len(seeds) == 1:
        return int(seeds[0])
    with st.container(width=120):
        return int(choose_else_default("Seed", seeds, parameter="seed", default=seeds[0]))


def most_noisy(experiment: Experiment) -> str:
    """Returns the arm whose pairs are worth seeing first."""
    rates = {name: arm.pairing.noise.rate or 0.0 for name, arm in experiment.arms.items() if arm.pairing is not None}
    return max(rates, key=lambda name: rates[name]) if rates else next(iter(experiment.arms))


def with_reference(experiment: Experiment, arm: str) -> list[str]:
    """Returns the arm, and the reference where that is another one with pairs."""
    reference = experiment.arms[experiment.reference]
    return list(dict.fromkeys([arm, *([experiment.reference] if reference.pairing is not None else [])]))


def previews_of(
    text: str, *, arms: Sequence[str] | None, seed: int, first: int, count: int
) -> dict[str, ArmPreview] | ApiProblem:
    """Returns the pairs of arms by name, or why the file as a whole has none; the same answer for a few seconds.

    Args:
        text: the file.
        arms: their names; None is all that are pretrained.
        seed: of the draw.
        first: place of the first pair in the list that the arms share, from 0.
        count: so many places are shown.
    """
    answer = _preview(find_endpoint().url, text, None if arms is None else tuple(arms), seed, first, count)
    return answer if isinstance(answer, ApiProblem) else {each["arm"]: each for each in answer["arms"]}


def forget_previews() -> None:
    """Forgets all answers: a change score that they lacked may be there now."""
    _preview.clear()


@st.cache_data(max_entries=64, ttl=SECONDS, show_spinner=False)
def _preview(
    url: str,  # noqa: ARG001  (what is kept is of one API)
    text: str,
    arms: tuple[str, ...] | None,
    seed: int,
    first: int,
    count: int,
) -> ExperimentPreview | ApiProblem:
    try:
        return client().experiment_preview(text, arms=arms, seed=seed, first=first, count=count)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        return problem


def choose_page(pairs: int, count: int, *, key: str) -> int:
    """Returns the place of the first pair on the page that the user turned to."""
    pages = -(-pairs // count)
    if pages <= 1:
        return 0
    st.session_state[key] = min(int(st.session_state.get(key, 1)), pages)
    return (int(st.session_state[key]) - 1) * count


def show_pages(pairs: int, count: int, *, key: str) -> None:
    """Shows the numbers of the pages."""
    pages = -(-pairs // count)
    if pages > 1:
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.pagination(pages, key=key)


def is_one_place(pair: PreviewPair) -> bool:
    """Whether both images of a pair show the same place."""
    anchor = (pair["scene"], pair["y"], pair["x"])
    return anchor == (pair["positive_scene"], pair["positive_y"], pair["positive_x"])
