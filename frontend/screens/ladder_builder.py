"""The builder of ladders: values of knobs become arms, and what they would cost is seen before they are taken."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from pydantic import TypeAdapter, ValidationError

from frontend.connection import ApiProblem
from frontend.draft import parse_seeds, shown_seeds, with_edits
from frontend.page import plain, show_problem, verbatim
from frontend.score_wording import SCORE_WORDS
from frontend.screens.design_draft import TEXT, take
from frontend.screens.design_plan import plan_of, show_plan_figures
from frontend.wording import plural, sentence
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.ladder import Rungs, build_ladder
from pairlab.experiment.pairing import PairFilter
from pairlab.experiment.problems import ExperimentError, problems_of

POLICIES = {"temporal": "two acquisitions", "same_image": "the same image twice"}
RATES = ("0", "10", "25", "50", "75", "100")
FIRST_RATES = ("0", "25", "50", "75", "100")
EXTENTS = ("0-25", "25-50", "50-75", "75-100", "0-50", "50-100")
MISMATCHES = ("0", "5", "10", "25", "50")
SHIFTS = ("0", "1", "2", "4", "8", "16")
FILTERS: dict[str, object] = {
    "none": "none",
    "oracle": "oracle",
    **{
        f"{score} {quantile}": {"by": "change_score", "score": {"name": score}, "quantile": quantile}
        for score in ("cva", "irmad")
        for quantile in (0.5, 0.75, 0.9)
    },
}
AS_ARM = "as arm "
PairFilters: TypeAdapter[PairFilter] = TypeAdapter(PairFilter)
FILTER_WORDS = {"none": "no filter", "oracle": "by the labels"}


def show_ladder_button(experiment: Experiment) -> None:
    """Shows the button that opens the builder, where there is an arm to build from."""
    pretrained = [name for name, arm in experiment.arms.items() if arm.pairing is not None]
    if st.button("Build a ladder…", icon=":material/stairs:", key="ladder-open", disabled=not pretrained):
        show_ladder()


@st.dialog("Build a ladder", width="large")
def show_ladder() -> None:
    """Shows the builder in a dialog."""
    show_builder()


def show_builder() -> None:
    """Shows the values of the knobs, the arms they make, and what those would cost."""
    text = st.session_state[TEXT]
    experiment = load_experiment(text)
    st.caption("Every combination of the values is an arm; a knob without values stays as the arm has it.")
    try:
        of, keep = choose_arms(experiment)
        rungs = choose_rungs(experiment)
        edit = build_ladder(experiment, rungs, of=of, keep=keep)
        built = with_edits(text, {(field,): value for field, value in edit.items()})
    except ExperimentError as error:
        show_problem(ApiProblem(error.problems))
        return
    show_rungs(load_experiment(built))
    plan = plan_of(built)
    if isinstance(plan, ApiProblem):
        show_problem(plan)
    else:
        show_plan_figures(plan, key="ladder-figures")
        for warning in plan["warnings"]:
            st.caption(f":material/info: {plain(sentence(warning))}")
    if st.button("Put it into the file", type="primary", key="ladder-take"):
        take(built)
        st.rerun()


def choose_arms(experiment: Experiment) -> tuple[str, list[str]]:
    """Returns the arm that the ladder is built from, and the arms that stay."""
    pretrained = [name for name, arm in experiment.arms.items() if arm.pairing is not None]
    temporal = [name for name in pretrained if is_temporal(experiment, name)]
    left, right = st.columns(2)
    of = left.selectbox(
        "Like the arm",
        pretrained,
        index=pretrained.index(temporal[0]) if temporal else 0,
        key="ladder-of",
        help="All rungs have its other knobs, its method, dataset and scenes.",
    )
    keep = right.multiselect(
        "Arms that stay",
        list(experiment.arms),
        [name for name in experiment.arms if not is_temporal(experiment, name)],
        key="ladder-keep",
        placeholder="none",
    )
    return of, keep


def is_temporal(experiment: Experiment, name: str) -> bool:
    """Whether an arm pairs two acquisitions."""
    pairing = experiment.arms[name].pairing
    return pairing is not None and pairing.policy == "temporal"


def choose_rungs(experiment: Experiment) -> Rungs:
    """Returns the values of the knobs; raises ExperimentError where one is none."""
    left, right = st.columns(2)
    with left:
        rates = values("Noise rates, %", RATES, FIRST_RATES, key="ladder-rates", read=share)
        mismatches = values("Positives of another place, %", MISMATCHES, key="ladder-mismatches", read=share)
        policies = st.multiselect(
            "Policies",
            list(POLICIES),
            format_func=POLICIES.__getitem__,
            key="ladder-policies",
            placeholder="as the arm",
        )
    with right:
        extents = values("Extents of the change, %", EXTENTS, key="ladder-extents", read=extent)
        shifts = values("Misregistration, pixels", SHIFTS, key="ladder-shifts", read=number)
        known = filters_of(experiment)
        filters = st.multiselect(
            "Filters", list(known), format_func=filter_words, key="ladder-filters", placeholder="as the arm"
        )
    seeds = st.text_input(
        "Seeds", shown_seeds(experiment.seeds), key="ladder-seeds", help="Of all arms. For example 0, 1 or 0-4."
    )
    content = {
        "policies": policies,
        "rates": rates,
        "extents": extents,
        "mismatch_rates": mismatches,
        "shifts_px": shifts,
        "filters": [known[name] for name in filters],
        "seeds": parse_seeds(seeds),
    }
    try:
        return Rungs.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(problems_of(error, model=Rungs)) from error


def filters_of(experiment: Experiment) -> dict[str, object]:
    """Returns the filters on offer by name: the usual ones, and those that arms have already."""
    usual = {PairFilters.validate_python(content) for content in FILTERS.values()}
    own = {
        f"{AS_ARM}{name}": arm.pairing.filter
        for name, arm in experiment.arms.items()
        if arm.pairing is not None and arm.pairing.filter not in usual
    }
    return {**FILTERS, **own}


def values(
    label: str, offered: Sequence[str], first: Sequence[str] = (), *, key: str, read: Callable[[str], Any]
) -> list[Any]:
    """Returns the chosen values of a knob; others than those on offer may be typed."""
    chosen = st.multiselect(
        label, offered, first, key=key, accept_new_options=True, placeholder="as the arm; choose or type"
    )
    return [read(each) for each in chosen]


def number(text: str) -> float:
    """Returns the number that a text holds; raises ExperimentError where it is none."""
    try:
        return float(text.replace("%", "").replace("px", "").replace(",", ".").strip())
    except ValueError as error:
        raise ExperimentError([f"{text!r} is no number"]) from error


def share(text: str) -> float:
    """Returns a percentage as a share."""
    return number(text) / 100


def extent(text: str) -> tuple[float, float]:
    """Returns the bounds that a text such as `25-50` names, as shares."""
    match = re.fullmatch(r"\s*([\d.,]+)\s*%?\s*[-–]\s*([\d.,]+)\s*%?\s*", text)
    if match is None:
        raise ExperimentError([f"{text!r} is no extent: write its bounds in percent, like 25-50"])
    return share(match[1]), share(match[2])


def filter_words(name: str) -> str:
    """Returns a filter in words."""
    if name in FILTER_WORDS or name.startswith(AS_ARM):
        return FILTER_WORDS.get(name, name)
    score, quantile = name.split()
    return f"{SCORE_WORDS[score]}, highest {100 * (1 - float(quantile)):.0f} % away"


def show_rungs(experiment: Experiment) -> None:
    """Shows the arms that the experiment would have."""
    arms = " · ".join(
        f"**{verbatim(name)}** (reference)" if name == experiment.reference else verbatim(name)
        for name in experiment.arms
    )
    st.markdown(f"**{plural(len(experiment.arms), 'arm')} × {plural(len(experiment.seeds), 'seed')}:** {arms}")
