"""Tables for the terminal: results, jobs, datasets."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from frontend.api_records import ArmResult, Dataset, Job, Results
from frontend.wording import KIND_WORDS, STATUS_WORDS, duration, percent, plural, points, protocol_words, signed

STATUS_STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "lost": "yellow",
    "paused": "yellow",
}
SHORT_ID = 8
NAMED_EVENTS = 3


def result_table(results: Results) -> Table:
    """Returns arm × protocol: mean mIoU and IoU per class in points of 100, seeds, difference from the reference."""
    title = f"{results['name']}: IoU on the test scenes, points of 100, mean over seeds"
    table = Table(title=escape(title), title_justify="left", title_style="bold", header_style="bold")
    table.add_column("arm")
    table.add_column("protocol", no_wrap=True)
    table.add_column("mIoU", justify="right", no_wrap=True)
    for label in results["classes"]:
        table.add_column(escape(label), justify="right")
    table.add_column("seeds", justify="right")
    table.add_column(f"difference from {escape(results['reference'])}", justify="right")
    table.add_column("noisy pairs", justify="right")
    arm = None
    for row in results["rows"]:
        if arm is not None and row["arm"] != arm:
            table.add_section()
        table.add_row(*_result_cells(row, results["classes"], first=row["arm"] != arm))
        arm = row["arm"]
    return table


def _result_cells(row: ArmResult, classes: Sequence[str], *, first: bool) -> list[str]:
    spread = "" if row["std_miou"] is None else f" ± {points(row['std_miou'])}"
    seeds = len(row["seeds"])
    return [
        escape(row["arm"]) if first else "",
        protocol_words(row["protocol"]),
        points(row["mean_miou"]) + spread,
        *(points(row["mean_iou"].get(label)) for label in classes),
        f"{seeds} of {seeds + len(row['missing'])}" if row["missing"] else str(seeds),
        "reference" if row["reference"] else signed(row["difference"]),
        percent(row["realised_noise"], 0) if first else "",
    ]


def job_table(jobs: Sequence[Job]) -> Table:
    """Returns one line per job."""
    table = Table(header_style="bold")
    for name in ("id", "experiment", "arm", "seed", "kind", "state", "progress"):
        table.add_column(name, no_wrap=name in ("id", "state"))
    for job in jobs:
        use = job["uses"][0] if job["uses"] else None
        table.add_row(
            job["id"][:SHORT_ID],
            "–" if use is None else escape(use["experiment_name"]),
            arm_of(job),
            str(job["seed"]),
            KIND_WORDS[job["kind"]],
            state_of(job),
            progress_of(job),
        )
    return table


def dataset_table(datasets: Sequence[Dataset]) -> Table:
    """Returns one line per dataset."""
    table = Table(header_style="bold")
    for name in ("name", "kind", "scenes", "splits", "events"):
        table.add_column(name, justify="right" if name == "scenes" else "left")
    for dataset in datasets:
        splits = ", ".join(f"{split} {count}" for split, count in dataset["splits"].items())
        events = (
            ", ".join(dataset["events"]) if len(dataset["events"]) <= 3 else plural(len(dataset["events"]), "event")
        )
        table.add_row(dataset["name"], dataset["config"]["kind"], str(dataset["scenes"]), splits, escape(events))
    return table


def arm_of(job: Job) -> str:
    """Returns the arms a job works for, the first by name."""
    arms = list(dict.fromkeys(use["arm"] for use in job["uses"]))
    more = f" and {len(arms) - 1} more" if len(arms) > 1 else ""
    return escape(arms[0]) + more if arms else "–"


def state_of(job: Job) -> str:
    """Returns a job's state in words, with the wish it has not met yet."""
    words = STATUS_WORDS[job["status"]]
    if job["requested"] is not None and job["status"] == "running":
        words = f"{words}, {job['requested']} asked"
    style = STATUS_STYLES.get(job["status"], "dim")
    return f"[{style}]{words}[/]"


def progress_of(job: Job) -> str:
    """Returns steps, newest figures and time left, as far as they are known."""
    if job["status"] == "failed":
        return escape(job["error"] or "no reason was given")
    parts = []
    if job["total_steps"] and job["status"] in ("running", "paused", "lost", "queued") and job["step"]:
        parts.append(f"step {job['step']} of {job['total_steps']}")
    parts.extend(figures_of(job))
    if job["status"] == "running" and job["seconds_left"] is not None:
        parts.append(f"{duration(job['seconds_left'])} left")
    return ", ".join(parts)


def figures_of(job: Job) -> list[str]:
    """Returns the newest loss of a pretraining, the newest validation mIoU of each protocol of a segmentation."""
    latest = job["latest"]
    if job["kind"] == "pretrain":
        return [f"loss {latest['loss']:.3f}"] if "loss" in latest else []
    scores = [
        f"{protocol_words(key.removesuffix('/miou'))} mIoU {points(value)}"
        for key, value in latest.items()
        if key.endswith("/miou")
    ]
    losses = [f"loss {value:.3f}" for key, value in latest.items() if key.endswith("/loss")]
    return scores or losses[-1:]
