"""One job: live curves, log, configuration, and the buttons that its state allows."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Literal

import streamlit as st

from frontend.api_records import FINAL_STATUSES, JobDetail, LogLine, MetricPoint
from frontend.charts import lines
from frontend.connection import ApiProblem
from frontend.page import (
    POLL_SECONDS,
    client,
    drop_parameters,
    plain,
    problems_in_sentences,
    show_problem,
    verbatim,
)
from frontend.palette import STATUS_COLOURS, curve_colours
from frontend.score_wording import score_title
from frontend.screens.job_choices import show_choices
from frontend.screens.job_facts import show_about
from frontend.screens.job_learning import show_chart, show_learning, show_warnings
from frontend.screens.job_maps import show_maps
from frontend.wording import (
    KIND_WORDS,
    duration,
    grouped,
    parse_time,
    protocol_words,
    sentence,
    state_words,
)

Action = Literal["pause", "resume", "cancel", "retry"]
ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "running": ("pause", "cancel"),
    "queued": ("pause", "cancel"),
    "blocked": ("cancel",),
    "lost": ("cancel",),
    "paused": ("resume", "cancel"),
    "failed": ("retry",),
    "cancelled": ("retry",),
}
MAX_POINTS = 200
MAX_LOG_LINES = 500
IN_A_ROW = 3
"""Charts of IoU per class."""
SPEEDS = {"labels_per_s": "labels", "pixels_per_s": "pixels", "scenes_per_s": "scenes"}
"""Metrics of index and score jobs, in the order of their passes: scenes per second."""
KEPT = "job-panel"
TABLE = "jobs-table"
"""Counts the tables that a job was closed of."""


def show_job(job: str) -> None:
    """Shows the job, again and again while it is not over."""
    try:
        live = client().job(job)["status"] not in FINAL_STATUSES
    except ApiProblem as problem:
        show_problem(problem)
        return
    with st.container(border=True, key="job-panel"):
        st.fragment(show_panel, run_every=POLL_SECONDS if live else None)(job, live)


def show_panel(job_id: str, live: bool) -> None:
    """Shows state, buttons, curves and log as they are now."""
    with problems_in_sentences(recover=False):
        job = client().job(job_id)
        if live and job["status"] in FINAL_STATUSES:
            st.rerun(scope="app")
        show_head(job)
        kept = refreshed(job)
        drawn = ["Maps"] if job["kind"] == "pretrain" else []
        curves, *maps, log, about = st.tabs(
            ["Curves", *drawn, "Log", "Configuration"], key=f"job-tab-{job['kind']}", on_change="ignore"
        )
        with curves:
            show_curves(job, kept["points"])
        for tab in maps:
            with tab:
                show_maps(job)
        with log:
            show_log(kept["lines"])
        with about:
            show_about(job)


def show_head(job: JobDetail) -> None:
    """Shows whose job it is, its state, and its buttons."""
    uses = ", ".join(dict.fromkeys(use["arm"] for use in job["uses"]))
    about = f"{plain(uses)} · seed {job['seed']}"
    if job["kind"] in ("index", "score"):
        about = f"dataset {verbatim(job['dataset'])}"
    if job["kind"] == "score":
        about = f"{plain(score_title(job['config']['score'], job['config']['draw']))} · {about}"
    st.subheader(f"{KIND_WORDS[job['kind']].capitalize()} · {about}", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="job-buttons"):
        st.badge(state_words(job), color=STATUS_COLOURS[job["status"]])  # type: ignore[arg-type]
        st.markdown(plain(progress_words(job)), width="content")
        for action in ACTIONS.get(job["status"], ()):
            if st.button(action.capitalize(), key=f"job-{action}", disabled=job["requested"] is not None):
                request(job["id"], action)
        if job["kind"] == "pretrain" and job["status"] == "succeeded":
            show_export(job["id"])
        if st.button("Close", key="job-close", type="tertiary"):
            drop_parameters("job")
            st.session_state[TABLE] = st.session_state.get(TABLE, 0) + 1
            st.rerun(scope="app")
    if job["error"]:
        st.error(plain(sentence(job["error"])))
    show_warnings(job["warnings"])


def show_export(job: str) -> None:
    """Shows the button that makes and downloads the archive of a finished pretraining."""
    st.download_button(
        "Export",
        data=lambda: b"".join(client().export(job)),
        file_name=f"pairlab-{job[:8]}.zip",
        mime="application/zip",
        on_click="ignore",
        icon=":material/download:",
        help="Encoder for timm and segmentation-models-pytorch (safetensors), configuration, model card and a snippet "
        "that loads it; as `pairlab export` writes them.",
        key="job-export",
    )


def progress_words(job: JobDetail) -> str:
    """Returns how far a job is and how long it takes, in words."""
    parts = []
    if job["requested"]:
        parts.append(f"asked to {job['requested']}, waits for the next step")
    if job["total_steps"]:
        parts.append(f"step {grouped(job['step'])} of {grouped(job['total_steps'])}")
    if job["status"] == "running" and job["seconds_left"] is not None:
        parts.append(f"{duration(job['seconds_left'])} left")
    if job["started_at"] and job["finished_at"]:
        spent = parse_time(job["finished_at"]) - parse_time(job["started_at"])
        parts.append(f"took {duration(spent.total_seconds())}")
    if job["attempt"] > 1:
        parts.append(f"attempt {job['attempt']}")
    return " · ".join(parts)


def request(job: str, action: Action) -> None:
    """Asks for a change of state, or says why it was refused."""
    try:
        client().act_on_job(job, action)
    except ApiProblem as problem:
        show_problem(problem)
    else:
        st.rerun(scope="app")


def refreshed(job: JobDetail) -> dict[str, Any]:
    """Returns points and log lines as they are now; asks the API for them only where something is new."""
    kept: dict[str, Any] = st.session_state.get(KEPT, {})
    if kept.get("job") != job["id"]:
        kept = {"job": job["id"], "seq": -1, "points": [], "lines": [], "log_seq": 0}
    if kept["seq"] != job["last_seq"]:
        kept["points"] = client().metrics(job["id"], max_points=MAX_POINTS)["points"]
        while True:
            news = client().logs(job["id"], after=kept["log_seq"], limit=MAX_LOG_LINES)
            kept["lines"] = [*kept["lines"], *news["lines"]][-MAX_LOG_LINES:]
            if not news["lines"]:
                break
            kept["log_seq"] = news["lines"][-1]["seq"]
            if len(news["lines"]) < MAX_LOG_LINES:
                break
        kept["seq"] = job["last_seq"]
    st.session_state[KEPT] = kept
    return kept


def show_curves(job: JobDetail, points: list[MetricPoint]) -> None:
    """Shows loss, or mIoU per protocol and class, over the steps."""
    if not points:
        waiting = job["status"] in {"blocked", "queued", "running", "lost"}
        st.caption(
            "No figures yet; curves appear here with the first step." if waiting else "This job wrote no figures."
        )
        return
    if job["kind"] == "pretrain":
        show_learning(job, points)
        return
    if job["kind"] in ("index", "score"):
        speeds = [(SPEEDS[each["key"]], each) for each in points if each["key"] in SPEEDS]
        words = "Scenes read per second" if job["kind"] == "index" else "Scenes scored per second"
        show_series(words, speeds, scale=1, key=f"curve-{job['kind']}-speed")
        return
    protocols = list(dict.fromkeys(point["key"].partition("/")[0] for point in points))
    wide, narrow = st.columns(2)
    with wide:
        show_series("Validation mIoU, points", of_key(points, protocols, "miou"), scale=100, key="curve-miou")
    with narrow:
        show_series("Segmentation loss", of_key(points, protocols, "loss"), scale=1, key="curve-segment-loss")
    for first in range(0, len(protocols), IN_A_ROW):
        row = protocols[first : first + IN_A_ROW]
        for column, protocol in zip(st.columns(min(len(protocols), IN_A_ROW)), row, strict=False):
            start = f"{protocol}/iou/"
            of_class = [(point["key"].removeprefix(start), point) for point in points if point["key"].startswith(start)]
            if of_class:
                words = f"{protocol_words(protocol).capitalize()}: validation IoU per class, points"
                with column:
                    show_series(words, of_class, scale=100, key=f"curve-iou-{protocol}")
    show_choices(job)


def of_key(points: list[MetricPoint], protocols: list[str], key: str) -> list[tuple[str, MetricPoint]]:
    """Returns the points of one key with the name of their protocol."""
    names = {f"{protocol}/{key}": protocol_words(protocol) for protocol in protocols}
    return [(names[point["key"]], point) for point in points if point["key"] in names]


def show_series(title: str, points: Iterable[tuple[str, MetricPoint]], *, scale: float, key: str) -> None:
    """Shows several curves in one chart."""
    rows = [{"series": name, "step": point["step"], "value": scale * point["value"]} for name, point in points]
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    show_chart(rows, lines(title=title, colours=curve_colours(names), height=290), key)


def show_log(log: list[LogLine]) -> None:
    """Shows the newest lines, markup in them as text."""
    if not log:
        st.caption("Nothing was logged yet.")
        return
    text = "\n".join(
        f'<span class="{"err" if line["stream"] == "stderr" else "out"}">{escape(line["text"])}</span>' for line in log
    )
    st.html(f'<div class="pl-log" tabindex="0" role="log">{text}</div>')
