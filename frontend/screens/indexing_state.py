"""How far the index of a dataset is, live, and what can be done about it."""

import streamlit as st

from frontend.cached_answers import report_of
from frontend.connection import ApiProblem
from frontend.page import POLL_SECONDS, client, plain, problems_in_sentences, screen, show_problem, verbatim
from frontend.scene_records import Dataset
from frontend.wording import PHASE_WORDS, duration, percent, sentence


def show_indexing(dataset: Dataset) -> None:
    """Shows progress while a dataset is being indexed, why it failed where it did; nothing where it is ready."""
    name, job = dataset["name"], dataset["index_job"]
    if dataset["state"] == "failed":
        show_failure(name, job)
    elif dataset["state"] == "indexing":
        phase = report_of(dataset)["phase"]
        st.fragment(show_progress, run_every=POLL_SECONDS)(name, job, phase)


def show_progress(name: str, job_id: str | None, phase: str | None) -> None:
    """Shows how far the job is; the page is shown anew when it has come to another phase, or to its end."""
    with problems_in_sentences(recover=False):
        report = client().report(name)
        if report["state"] != "indexing" or report["phase"] != phase:
            st.rerun(scope="app")
        share = report["progress"] or 0.0
        words = [PHASE_WORDS.get(phase or "", "waiting for a worker").capitalize(), percent(share, 0)]
        job = None if job_id is None else client().job(job_id)
        if job is not None and job["status"] == "running" and job["seconds_left"] is not None:
            words.append(f"{duration(job['seconds_left'])} left")
        with st.container(border=True, key=f"indexing-{name}"):
            st.progress(min(share, 1.0), text=f"**{verbatim(name)} is being indexed.** {' · '.join(words)}")
            st.caption(
                "Everything that labels say can be browsed as soon as they are read; offsets and areas without data "
                "follow with the pixels. Experiments can use the dataset when both are done."
            )
            if job is not None:
                show_job_buttons(name, job["id"], "cancel", is_asked=job["requested"] is not None)


def show_failure(name: str, job_id: str | None) -> None:
    """Shows why a dataset has no index, and lets the user try again."""
    job = None if job_id is None else client().job(job_id)
    with st.container(border=True, key=f"indexing-{name}"):
        if job is not None and job["status"] == "cancelled":
            st.warning(f"Indexing {verbatim(name)} was cancelled. What was read so far is kept.")
        else:
            reason = plain(sentence(job["error"])) if job is not None and job["error"] else "Its job has ended early."
            st.error(f"{verbatim(name)} could not be indexed. {reason}")
        if job is not None:
            show_job_buttons(name, job["id"], "retry", is_asked=False)


def show_job_buttons(name: str, job: str, action: str, *, is_asked: bool) -> None:
    """Shows the button that the job's state allows, and where its log is."""
    words = {"cancel": "Cancel", "retry": "Try again"}[action]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Asked to stop" if is_asked else words, key=f"index-{action}-{name}", disabled=is_asked):
            try:
                client().act_on_job(job, "cancel" if action == "cancel" else "retry")
            except ApiProblem as problem:
                show_problem(problem)
            else:
                st.rerun(scope="app")
        st.page_link(screen("jobs"), label="See the job", query_params={"experiment": "index", "job": job})
