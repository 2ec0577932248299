"""What a job's run found, in words."""

import streamlit as st

from frontend.api_records import JobDetail
from frontend.page import facts
from frontend.score_wording import filtered_words
from frontend.wording import moment, sentence


def facts_of(job: JobDetail) -> dict[str, object]:
    """Returns what a run found, by names and as texts for people."""
    found = dict(job["facts"])
    words: dict[str, object] = {}
    if pool := found.pop("pool", None):
        words["pool"] = ", ".join(f"{count} {name}" for name, count in pool.items())
    if filtered := found.pop("filtered", None):
        words["filter"] = filtered_words(filtered)
    if warnings := found.pop("warnings", None):
        words["remarks"] = " ".join(sentence(warning) for warning in warnings)
    others = {name.replace("_", " "): _words(value) for name, value in found.items() if not isinstance(value, dict)}
    return {**others, **words}


def _words(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else value


def show_about(job: JobDetail) -> None:
    """Shows what the run found at its start, when it ran, and its whole configuration."""
    facts(
        {
            "job": job["id"],
            "queued": moment(job["created_at"]),
            "started": moment(job["started_at"]),
            "finished": moment(job["finished_at"]),
            "worker": job["worker"] or "–",
            **facts_of(job),
        }
    )
    st.json(job["config"], expanded=1)
