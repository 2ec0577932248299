"""Follows an experiment in the terminal: a live table where there is one, plain lines elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from frontend.api_client import ApiClient
from frontend.api_records import FINAL_STATUSES, ExperimentDetail, Job
from frontend.connection import ApiProblem
from frontend.printed_tables import arm_of, figures_of, progress_of, state_of
from frontend.wording import KIND_WORDS, duration, is_of_dataset, job_counts, plural, points, seed_of

LIVE_SECONDS = 1.0
PLAIN_SECONDS = 2.0
REPORT_SECONDS = 15.0
"""Without a terminal, between two lines about a job that runs."""
SILENT_SECONDS = 120.0
"""So long an API that does not answer (it restarts, perhaps) is asked again."""
BAR_WIDTH = 16
WIDTH_FOR_BARS = 96
HEIGHT_OF_THE_REST = 8
"""Lines of a terminal that headline, heading, sums and prompt need."""
Look = Callable[[], list[Job]]


def watch_experiment(
    client: ApiClient,
    experiment: str,
    *,
    console: Console,
    headline: str,
    api_may_return: Callable[[], bool] = lambda: True,
) -> ExperimentDetail:
    """Returns the experiment once all its jobs have ended, and shows them until then.

    Args:
        client: of the API.
        experiment: its id.
        console: where to show them.
        headline: what stands above them.
        api_may_return: whether an API that does not answer is worth waiting for.
    """
    found: list[ExperimentDetail] = []

    def look() -> list[Job]:
        found[:] = [client.experiment(experiment)]
        return found[0]["job_list"]

    watch(_patient(look, api_may_return), console=console, headline=headline)
    return found[0]


def watch_job(client: ApiClient, job: str, *, console: Console, headline: str) -> Job:
    """Returns the job once it has ended, and shows it until then."""
    look = _patient(lambda: [client.job(job)], lambda: True)
    return watch(look, console=console, headline=headline)[0]


def watch(look: Look, *, console: Console, headline: str) -> list[Job]:
    """Returns the jobs once all have ended."""
    if console.is_terminal and not console.is_dumb_terminal:
        return _watch_live(look, console, headline)
    return _watch_plain(look, console, headline)


def _watch_live(look: Look, console: Console, headline: str) -> list[Job]:
    started = time.monotonic()
    told: set[str] = set()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            jobs = look()
            for line in new_warnings(jobs, told):
                _print(live.console, line)
            live.update(_picture(jobs, headline, time.monotonic() - started, console.size), refresh=True)
            if _ended(jobs):
                break
            time.sleep(LIVE_SECONDS)
    _print(console, _overall(jobs, time.monotonic() - started))
    return jobs


def _watch_plain(look: Look, console: Console, headline: str) -> list[Job]:
    started = time.monotonic()
    known: dict[str, tuple[str, str | None]] = {}
    reported: dict[str, float] = {}
    told: set[str] = set()
    _print(console, headline)
    while True:
        jobs = look()
        now = time.monotonic()
        for job in jobs:
            state = (job["status"], job["requested"])
            first = job["id"] not in known
            changed = known.get(job["id"]) != state and not (first and job["status"] in ("queued", "blocked"))
            due = job["status"] == "running" and now - reported.get(job["id"], now) >= REPORT_SECONDS
            known[job["id"]] = state
            if changed or due:
                _print(console, f"[{now - started:5.0f} s] {plain_line(job)}")
                reported[job["id"]] = now
        for line in new_warnings(jobs, told):
            _print(console, f"[{now - started:5.0f} s] {line}")
        if _ended(jobs):
            _print(console, _overall(jobs, now - started))
            return jobs
        time.sleep(PLAIN_SECONDS)


def new_warnings(jobs: Sequence[Job], told: set[str]) -> list[str]:
    """Returns what jobs warn of, a line each, and notes in `told` that it was told."""
    lines = [
        f"Warning, {about_job(job)}, step {warning['step']:,}: {warning['sentence']}"
        for job in jobs
        for warning in job["warnings"]
    ]
    fresh = [line for line in lines if line not in told]
    told.update(fresh)
    return fresh


def plain_line(job: Job) -> str:
    """Returns a job's state in one line."""
    state = Text.from_markup(state_of(job)).plain
    progress = Text.from_markup(progress_of(job)).plain
    return f"{about_job(job)}: {state}{f' ({progress})' if progress else ''}"


def about_job(job: Job) -> str:
    """Returns whose job it is, and of which kind."""
    arm = Text.from_markup(arm_of(job)).plain
    seed = "" if seed_of(job) is None else f", seed {seed_of(job)}"
    about = f"dataset {job['dataset']}" if is_of_dataset(job) else arm + seed
    return f"{about}, {KIND_WORDS[job['kind']]}"


def _picture(jobs: Sequence[Job], headline: str, seconds: float, size: ConsoleDimensions) -> RenderableType:
    bars = size.width >= WIDTH_FOR_BARS
    table = Table(box=None, padding=(0, 1 + bars, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("arm", no_wrap=True, overflow="ellipsis")
    widths = {
        "seed": 4,
        "job": 12,
        "state": 9,
        **({"": BAR_WIDTH} if bars else {}),
        "loss or mIoU": 16,
        "time left": 11,
    }
    for name, width in widths.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    shown = choose_rows(jobs, max(3, size.height - HEIGHT_OF_THE_REST))
    for job in shown:
        left = job["seconds_left"] if job["status"] == "running" else None
        table.add_row(
            f"dataset {escape(job['dataset'])}" if is_of_dataset(job) else arm_of(job),
            "–" if seed_of(job) is None else str(seed_of(job)),
            KIND_WORDS[job["kind"]],
            state_of(job, short=True),
            *([_bar(job)] if bars else []),
            _figures(job),
            "" if left is None else duration(left),
        )
    hidden = len(jobs) - len(shown)
    more = [Text(f"and {plural(hidden, 'job')} more", style="dim")] if hidden else []
    return Group(Text(headline), table, *more, Text(_overall(jobs, seconds), style="bold"))


def _figures(job: Job) -> str:
    if job["status"] == "failed":
        return escape(job["error"] or "")
    scores = [points(value) for key, value in job["latest"].items() if key.endswith("/miou")]
    return f"mIoU {' / '.join(scores)}" if scores else ", ".join(figures_of(job))


def choose_rows(jobs: Sequence[Job], count: int) -> list[Job]:
    """Returns at most `count` jobs in their order: failed and running ones first, then those to come, then done."""
    order = {"failed": 0, "running": 1, "lost": 1, "paused": 2, "queued": 3, "blocked": 4}
    ranked = sorted(range(len(jobs)), key=lambda at: (order.get(jobs[at]["status"], 5), at))
    return [jobs[at] for at in sorted(ranked[:count])]


def _bar(job: Job) -> RenderableType:
    total = job["total_steps"] or 0
    if job["status"] == "succeeded":
        return ProgressBar(total=1, completed=1, width=BAR_WIDTH)
    return ProgressBar(total=total, completed=job["step"], width=BAR_WIDTH) if total else Text("")


def _overall(jobs: Sequence[Job], seconds: float) -> str:
    counts: Counter[str] = Counter(job["status"] for job in jobs)
    return f"{plural(len(jobs), 'job')}: {job_counts(counts)} · {duration(seconds)}"


def _ended(jobs: Sequence[Job]) -> bool:
    return all(job["status"] in FINAL_STATUSES for job in jobs)


def _patient(look: Look, api_may_return: Callable[[], bool]) -> Look:
    """Returns `look` that repeats the newest answer while the API does not answer: it may be starting again."""
    newest: list[Job] = []
    since: list[float] = []

    def patient() -> list[Job]:
        try:
            newest[:] = look()
            since.clear()
        except ApiProblem as problem:
            since.append(time.monotonic())
            silent = since[-1] - since[0]
            if not (problem.unreachable and newest and api_may_return() and silent < SILENT_SECONDS):
                raise
        return list(newest)

    return patient


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
