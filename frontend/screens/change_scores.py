"""Change scores of a dataset: which there are and are on their way, and what they are worth as filters."""

from collections.abc import Mapping
from typing import Literal

import streamlit as st

from frontend.api_records import FINAL_STATUSES
from frontend.connection import ApiProblem
from frontend.page import POLL_SECONDS, client, plain, problems_in_sentences, screen, show_problem, verbatim
from frontend.palette import STATUS_COLOURS
from frontend.scene_records import Dataset
from frontend.score_records import Score
from frontend.score_wording import score_titles
from frontend.screens.score_form import show_form
from frontend.screens.score_judgement import show_judgement
from frontend.wording import STATUS_WORDS, duration, percent, sentence

Action = Literal["retry", "resume", "cancel"]


def show_change_scores(dataset: Dataset) -> None:
    """Shows the change scores of a dataset that is indexed, and lets the user compute and judge them."""
    if dataset["state"] != "ready":
        st.caption("Change scores can be computed as soon as the dataset is indexed.")
        return
    st.markdown(
        "A change score tells without labels how much two images of a place differ. Throwing away the pairs with the "
        "highest scores is a filter that needs no labels; here the labels tell what it is worth."
    )
    scores = client().scores(dataset["name"])
    titles = score_titles(scores)
    show_form(dataset, is_first=not scores)
    unfinished = {each["id"]: each["status"] for each in scores if each["status"] != "succeeded"}
    if unfinished:
        live = any(status not in FINAL_STATUSES for status in unfinished.values())
        st.fragment(show_unfinished, run_every=POLL_SECONDS if live else None)(dataset["name"], unfinished, titles)
    finished = [each for each in reversed(scores) if each["status"] == "succeeded"]
    if finished:
        show_judgement(dataset, finished, titles)
    elif unfinished:
        st.caption("What a score is worth is shown here as soon as one is computed.")


def show_unfinished(name: str, shown: Mapping[str, str], titles: Mapping[str, str]) -> None:
    """Shows how far the scores are that are not computed; the page is shown anew when one has come to its end."""
    with problems_in_sentences(recover=False):
        scores = {each["id"]: each for each in client().scores(name)}
        if any(key not in scores or has_ended(scores[key], status) for key, status in shown.items()):
            st.rerun(scope="app")
        waiting = [each for key, each in scores.items() if key in shown]
        for score in waiting:
            with st.container(border=True, key=f"score-{score['id'][:12]}"):
                show_state(name, score, titles[score["id"]])
        if any(each["status"] == "queued" for each in waiting) and not client().system()["workers"]:
            st.warning("No worker is connected, so queued jobs wait. `pairlab up` starts one.")


def has_ended(score: Score, before: str) -> bool:
    """Whether a score has come to its end since it was shown in another state."""
    return score["status"] != before and score["status"] in FINAL_STATUSES


def show_state(dataset: str, score: Score, title: str) -> None:
    """Shows how far a score is or why it is not there, and what can be done about it."""
    status = score["status"]
    if status in FINAL_STATUSES:
        head = f"**{verbatim(title)}** :{STATUS_COLOURS[status]}-badge[{STATUS_WORDS[status]}]"
        reason = "" if status == "cancelled" else plain(sentence(score["error"] or "its job has ended early"))
        st.markdown(f"{head} {reason}")
    else:
        job = client().job(score["job"])
        share = job["step"] / job["total_steps"] if job["total_steps"] else 0.0
        words = [STATUS_WORDS[status] if status != "queued" else "waiting for a worker", percent(share, 0)]
        if status == "running" and job["seconds_left"] is not None:
            words.append(f"{duration(job['seconds_left'])} left")
        st.progress(min(share, 1.0), text=f"**{verbatim(title)}** · {' · '.join(words)}")
    show_job_buttons(dataset, score)


def show_job_buttons(dataset: str, score: Score) -> None:
    """Shows the button that the job's state allows, and where its log is."""
    action: Action = "cancel"
    if score["status"] in FINAL_STATUSES or score["status"] == "paused":
        action = "resume" if score["status"] == "paused" else "retry"
    words = {"retry": "Try again", "resume": "Resume", "cancel": "Cancel"}[action]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(words, key=f"score-{action}-{score['id'][:12]}"):
            try:
                if action == "retry":  # its job may have ended well, and what it made be gone
                    client().queue_score(dataset, score["score"], draw=score["draw"])
                else:
                    client().act_on_job(score["job"], action)
            except ApiProblem as problem:
                show_problem(problem)
            else:
                st.rerun(scope="app")
        st.page_link(screen("jobs"), label="See the job", query_params={"experiment": "score", "job": score["job"]})
