"""Follows the index of a dataset in the terminal: a live bar where there is one, plain lines elsewhere."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from frontend.api_client import ApiClient
from frontend.api_records import Job
from frontend.connection import ApiProblem
from frontend.following import Failure, say
from frontend.progress import SILENT_SECONDS
from frontend.scene_records import Dataset, DatasetReport
from frontend.wording import PHASE_WORDS, duration

LOOK_SECONDS = 0.5
REPORT_SECONDS = 15.0
"""Without a terminal, between two lines of one phase."""
Show = Callable[[str, float, str], None]
"""Takes phase in words, share done in [0, 1] and time left in words."""


def follow_index(client: ApiClient, name: str, *, console: Console) -> Dataset:
    """Returns the dataset once it is indexed, and shows how far it is until then.

    Raises:
        Failure: its job failed or was cancelled.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
        with Progress(*columns, TextColumn("{task.fields[left]}"), console=console, transient=True) as progress:
            task = progress.add_task("waiting", total=1.0, left="")

            def show(words: str, share: float, left: str) -> None:
                progress.update(task, description=words, completed=share, left=left)

            found = _await(client, name, show)
    else:
        found = _await(client, name, _plain(console))
    if found["state"] == "failed":
        raise Failure(_reason(client, found))
    return found


def _await(client: ApiClient, name: str, show: Show) -> Dataset:
    silent_since: float | None = None
    while True:
        try:
            found = client.dataset(name)
            if found["state"] != "indexing":
                return found
            report = client.report(name)
            job = None if found["index_job"] is None else client.job(found["index_job"])
            show(phase_words(report), report["progress"] or 0.0, _left(job))
            silent_since = None
        except ApiProblem as problem:
            # It may be starting again.
            silent_since = silent_since or time.monotonic()
            if not problem.unreachable or time.monotonic() - silent_since > SILENT_SECONDS:
                raise
        time.sleep(LOOK_SECONDS)


def phase_words(report: DatasetReport) -> str:
    """Returns what is being done with a dataset."""
    return PHASE_WORDS.get(report["phase"] or "", "waiting for a worker")


def _left(job: Job | None) -> str:
    if job is None or job["status"] != "running" or job["seconds_left"] is None:
        return ""
    return f"{duration(job['seconds_left'])} left"


def _plain(console: Console) -> Show:
    """Returns what prints a line per phase, and one now and then while it lasts."""
    printed: list[tuple[str, float]] = []

    def show(words: str, share: float, left: str) -> None:
        now = time.monotonic()
        if not printed or printed[-1][0] != words or now - printed[-1][1] >= REPORT_SECONDS:
            say(console, f"{words}: {100 * share:.0f} %" + (f", {left}" if left else ""))
            printed[:] = [(words, now)]

    return show


def _reason(client: ApiClient, dataset: Dataset) -> str:
    name, job = dataset["name"], None
    if dataset["index_job"] is not None:
        job = client.job(dataset["index_job"])
    if job is not None and job["status"] == "cancelled":
        return f"Indexing {name} was cancelled; what was read so far is kept."
    reason = job["error"] if job is not None and job["error"] else "its job has ended early."
    return f"{name} could not be indexed: {reason}"
