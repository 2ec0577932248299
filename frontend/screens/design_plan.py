"""What the whole experiment would run and cost, before anything is queued."""

from collections.abc import Iterator
from uuid import uuid4

import streamlit as st

from frontend.api_records import Plan
from frontend.connection import ApiProblem, find_endpoint
from frontend.page import client, plain, screen, show_problem
from frontend.score_wording import filtered_words
from frontend.wording import duration, plural, sentence

ONCE = "draft-idempotency-key"


def show_submit(text: str, *, pending: bool) -> None:
    """Shows what the experiment would run, and the button that queues it.

    Args:
        text: the file.
        pending: whether the box of the YAML holds a text that is not in the file yet.
    """
    with st.container(border=True, key="design-submit"):
        st.markdown("**What it runs**")
        with st.spinner("Counting jobs…"):
            plan = plan_of(text)
        if isinstance(plan, ApiProblem):
            show_problem(plan)
        else:
            show_plan(plan)
        if st.button(
            "Queue the experiment",
            type="primary",
            key="design-queue",
            icon=":material/play_arrow:",
            disabled=isinstance(plan, ApiProblem) or pending,
        ):
            submit(text)


def submit(text: str) -> None:
    """Queues the experiment once, however often the button is pressed, and goes to its jobs."""
    once, sent = st.session_state.get(ONCE, ("", ""))
    if sent != text:
        once = str(uuid4())
        st.session_state[ONCE] = (once, text)
    try:
        experiment = client().submit(text, idempotency_key=once)
    except ApiProblem as problem:
        show_problem(problem)
        return
    st.session_state.pop(ONCE)
    st.switch_page(screen("jobs"), query_params={"experiment": experiment["id"]})


def show_plan(plan: Plan) -> None:
    """Shows how many jobs an experiment is, how long it takes, and what the API remarks."""
    show_plan_figures(plan, key="plan-figures")
    for arm, filtered in plan["filtered"].items():
        if filtered is not None:
            st.caption(f":material/filter_alt: {plain(sentence(f'the filter of {arm!r} {filtered_words(filtered)}'))}")
    for warning in plan["warnings"]:
        st.caption(f":material/info: {plain(sentence(warning))}")


def show_plan_figures(plan: Plan, *, key: str) -> None:
    """Shows jobs, time, and what the jobs are."""
    with st.container(horizontal=True, key=key):
        st.metric("Jobs", plan["jobs"] - plan["already_done"], width="content")
        seconds = plan["estimated_seconds"]
        st.metric("Time", "unknown" if seconds is None else f"≈ {duration(seconds)}", width="content")
    st.caption(plain("; ".join(plan_parts(plan))) + ".")


def plan_parts(plan: Plan) -> Iterator[str]:
    """Yields what the jobs are, what need not run, and where the time comes from."""
    kinds = [plural(plan["score_jobs"], "change score")] if plan["score_jobs"] else []
    kinds += [plural(plan["pretrain_jobs"], "pretraining"), plural(plan["segment_jobs"], "segmentation")]
    yield f"{', '.join(kinds[:-1])} and {kinds[-1]}"
    if plan["already_done"]:
        yield f"{plan['already_done']} already done and taken over"
    if plan["shared_pretrainings"] and "sharing" not in plan["estimate_basis"]:
        yield f"{plural(plan['shared_pretrainings'], 'pretraining')} saved by sharing"
    yield f"time: {plan['estimate_basis']}"


def plan_of(text: str) -> Plan | ApiProblem:
    """Returns what the API says to the file, asked once per text and half a minute."""
    return _plan_of(find_endpoint().url, text)


def forget_plans() -> None:
    """Forgets all answers: a change score that they lacked may be there now."""
    _plan_of.clear()


@st.cache_data(max_entries=16, ttl=30, show_spinner=False)
def _plan_of(url: str, text: str) -> Plan | ApiProblem:  # noqa: ARG001  (what is kept is of one API)
    try:
        return client().validate(text)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        return problem
