"""Jobs: what an experiment's jobs are doing, live, and what can be done about them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from frontend.api_records import FINAL_STATUSES, ExperimentDetail, Job, JobKind
from frontend.connection import ApiProblem
from frontend.page import (
    POLL_SECONDS,
    choose,
    client,
    empty,
    header,
    problems_in_sentences,
    remember_in_url,
    screen,
    show_problem,
)
from frontend.palette import STATUS_COLOURS
from frontend.score_wording import figure, score_title
from frontend.screens.job_panel import SPEEDS, TABLE, show_job
from frontend.wording import (
    KIND_WORDS,
    STATUS_WORDS,
    duration,
    experiment_title,
    job_counts,
    plural,
    seed_of,
    state_words,
)

OVER = FINAL_STATUSES
MOST_ROWS = 16
TABLE_PIXELS = 560
TICKED = "jobs-ticked"
DATASET_JOBS: Mapping[str, JobKind] = {"index": "index", "score": "score"}
"""What stands in the URL in place of an experiment: jobs that are done for datasets."""
DATASET_JOB_WORDS = {"index": "Indexing of datasets", "score": "Change scores of datasets"}
MOST_DATASET_JOBS = 100


def show() -> None:
    """Shows the screen."""
    header("Jobs", "Pretraining, segmentation, indexing and change scores as they run: progress, live curves, logs.")
    experiments = {experiment["id"]: experiment for experiment in client().experiments(limit=100)["items"]}
    of_datasets = {name: found for name, kind in DATASET_JOBS.items() if (found := jobs_of(kind))}
    if not experiments and not of_datasets:
        empty(
            "No experiment yet",
            "Design one, or start from a shipped example; its jobs appear here as soon as it is submitted.",
            page="design",
            label="Design an experiment",
        )
        return
    with st.container(width=520, key="jobs-experiment"):
        chosen = choose(
            "Experiment",
            [*experiments, *of_datasets],
            parameter="experiment",
            shown=lambda each: experiment_title(experiments[each]) if each in experiments else DATASET_JOB_WORDS[each],
            drops=("job",),
        )
    if chosen in of_datasets:
        live = any(job["status"] not in OVER for job in of_datasets[chosen])
        st.fragment(show_dataset_jobs, run_every=POLL_SECONDS if live else None)(chosen, live)
    else:
        live = experiments[chosen]["status"] not in OVER
        st.fragment(show_experiment, run_every=POLL_SECONDS if live else None)(chosen, live)
    job = st.query_params.get("job")
    if job is not None:
        show_job(job)


def show_experiment(chosen: str, live: bool) -> None:
    """Shows state, buttons and the table of jobs; runs again every few seconds while anything is left to run."""
    with problems_in_sentences(recover=False):
        experiment = client().experiment(chosen)
        if live and experiment["status"] in OVER:
            st.rerun(scope="app")
        show_state(experiment)
        if live:
            show_missing_worker(experiment)
        show_buttons(experiment)
        show_table(chosen, experiment["job_list"])
        with st.expander("Experiment file", icon=":material/description:"):
            st.code(experiment["yaml"], language="yaml")


def jobs_of(kind: JobKind) -> list[Job]:
    """Returns the newest jobs of a kind."""
    return client().jobs(kind=kind, limit=MOST_DATASET_JOBS)["items"]


def show_dataset_jobs(chosen: str, live: bool) -> None:
    """Shows the table of the jobs of one kind that are done for datasets, newest first."""
    with problems_in_sentences(recover=False):
        jobs = jobs_of(DATASET_JOBS[chosen])
        if live and all(job["status"] in OVER for job in jobs):
            st.rerun(scope="app")
        st.markdown(job_counts(Counter(job["status"] for job in jobs)))
        show_table(chosen, jobs)


def show_state(experiment: ExperimentDetail) -> None:
    """Shows how far the experiment is."""
    status, jobs = experiment["status"], experiment["job_list"]
    done = sum(job["status"] in OVER for job in jobs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(STATUS_WORDS[status], color=STATUS_COLOURS[status])  # type: ignore[arg-type]
        st.markdown(job_counts(experiment["jobs"]), width="content")
    share = sum(1.0 if job["status"] in OVER else progress_of(job) for job in jobs) / max(len(jobs), 1)
    st.progress(min(share, 1.0), text=f"{done} of {plural(len(jobs), 'job')} over")


def show_missing_worker(experiment: ExperimentDetail) -> None:
    """Says so where jobs wait and no worker is there to run them."""
    jobs = experiment["jobs"]
    if jobs.get("queued") and not jobs.get("running") and not client().system()["workers"]:
        st.warning(
            "No worker is connected, so queued jobs wait. `pairlab status` shows what runs, `pairlab up` starts one."
        )


def show_buttons(experiment: ExperimentDetail) -> None:
    """Shows where to go on from here, and the experiment's own buttons."""
    chosen = experiment["id"]
    with st.container(horizontal=True, vertical_alignment="center", key="experiment-buttons"):
        st.page_link(screen("compare"), label="Compare its arms", query_params={"experiment": chosen})
        st.page_link(screen("inspect"), label="Inspect its predictions", query_params={"experiment": chosen})
        st.page_link(screen("design"), label="Design from it", query_params={"from": chosen})
        if experiment["status"] not in OVER and st.button("Cancel all its jobs", key="experiment-cancel"):
            act(lambda: client().cancel_experiment(chosen))
        unfinished = experiment["jobs"].get("failed", 0) + experiment["jobs"].get("cancelled", 0)
        if unfinished and st.button(f"Retry {plural(unfinished, 'job')}", key="experiment-retry"):
            act(lambda: client().retry_experiment(chosen))


def act(request: Any) -> None:  # noqa: ANN401  (any request of the client)
    """Sends a request and shows the page anew, or says why it was refused."""
    try:
        request()
    except ApiProblem as problem:
        show_problem(problem)
    else:
        st.rerun(scope="app")


def show_table(experiment: str, jobs: list[Job]) -> None:
    """Shows the jobs; ticking one puts it into the URL."""
    ids = [job["id"] for job in jobs]
    here = st.query_params.get("job")
    # A table that has been closed a job of is another one, so that no tick of the earlier one comes back.
    key = f"jobs-table-{experiment}-{st.session_state.get(TABLE, 0)}"

    titles = scores_of(jobs)

    def follow() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        remember_in_url({"job": ids[rows[0]] if rows and rows[0] < len(ids) else ""})
        st.session_state[TICKED] = True

    st.dataframe(
        [row_of(job, titles, of_dataset=experiment in DATASET_JOBS) for job in jobs],
        key=key,
        hide_index=True,
        on_select=follow,
        selection_mode="single-row",
        selection_default={"selection": {"rows": [ids.index(here)] if here in ids else []}},
        height="content" if len(jobs) <= MOST_ROWS else TABLE_PIXELS,
        column_config={
            "job": st.column_config.Column("job", width="medium"),
            "progress": st.column_config.ProgressColumn("progress", min_value=0, max_value=100, format="%d %%"),
            "seed": st.column_config.NumberColumn("seed", width="small"),
        },
        alt="Jobs with their state and progress",
    )
    if st.session_state.pop(TICKED, False):
        st.rerun(scope="app")
    if here is None:
        st.caption("Tick a job to see its curves, its log and its configuration.")


def scores_of(jobs: Sequence[Job]) -> dict[str, str]:
    """Returns what each job computes that computes a change score, as far as its dataset still has that."""
    titles: dict[str, str] = {}
    for dataset in {job["dataset"] for job in jobs if job["kind"] == "score"}:
        with suppress(ApiProblem):
            scores = client().scores(dataset)
            titles |= {each["job"]: score_title(each["score"], each["draw"]) for each in scores}
    return titles


def row_of(job: Job, titles: Mapping[str, str], *, of_dataset: bool) -> Mapping[str, object]:
    """Returns a job's row; it names the dataset where all jobs of the table are done for one."""
    wish = f", asked to {job['requested']}" if job["requested"] else ""
    arms = ", ".join(dict.fromkeys(use["arm"] for use in job["uses"]))
    about = {"dataset": job["dataset"]} if of_dataset else {"arm": arms, "seed": seed_of(job)}
    return {
        "job": titles[job["id"]] if of_dataset and job["id"] in titles else KIND_WORDS[job["kind"]],
        **about,
        "state": state_words(job) + wish + (", with a warning" if job["warnings"] else ""),
        "progress": round(100 * progress_of(job)),
        "time left": duration(job["seconds_left"]) if job["status"] == "running" else "",
        "newest": newest(job),
    }


def progress_of(job: Job) -> float:
    """Returns the share of steps done."""
    if job["status"] == "succeeded":
        return 1.0
    return job["step"] / job["total_steps"] if job["total_steps"] else 0.0


def newest(job: Job) -> str:
    """Returns a job's most telling figure."""
    latest = job["latest"]
    if job["kind"] == "pretrain":
        return f"loss {latest['loss']:.3f}" if "loss" in latest else ""
    if job["kind"] in ("index", "score"):
        speed = next((latest[key] for key in reversed(SPEEDS) if key in latest), None)
        return "" if speed is None else f"{figure(speed)} scenes/s"
    scores = [f"{100 * value:.1f}" for key, value in latest.items() if key.endswith("/miou")]
    return f"mIoU {' / '.join(scores)}" if scores else ""


show()
