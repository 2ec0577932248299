"""Tables for the terminal: results, jobs, datasets."""

from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.markup import escape
from rich.table import Table

from frontend.api_records import Job
from frontend.result_records import ArmResult, Results
from frontend.scene_records import Dataset
from frontend.wording import (
    KIND_WORDS,
    duration,
    in_split_order,
    percent,
    plural,
    points,
    protocol_words,
    seed_of,
    signed,
    state_words,
)

STATUS_STYLES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "bold red",
    "cancelled": "yellow",
    "lost": "yellow",
    "paused": "yellow",
}
SHORT_WORDS = {"blocked": "waiting", "succeeded": "done"}
SHORT_WISHES = {"cancel": "stopping", "pause": "pausing"}
SHORT_ID = 8
NAMED_EVENTS = 3


def result_table(results: Results) -> Table:
    """Returns arm × protocol: mIoU and IoU per class as means over seeds, seeds, difference from the reference arm."""
    table = Table(
        title=f"{escape(results['name'])}: IoU on the test scenes, points of 100, mean ± deviation over seeds",
        caption=f"Δ: difference from {escape(results['reference'])}, mIoU points, paired by seed",
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("arm, protocol", overflow="fold")
    table.add_column("mIoU", justify="right", no_wrap=True)
    official = has_xview2(results)
    for label in [*results["classes"], *(["xView2"] if official else []), "seeds", "Δ"]:
        table.add_column(escape(label), justify="right")
    for arm, rows in groupby(results["rows"], key=lambda row: row["arm"]):
        for position, row in enumerate(rows):
            if position == 0:
                table.add_section()
                table.add_row(f"[bold]{escape(arm)}[/]{_remarks(row)}")
            table.add_row(*_result_cells(row, results["classes"], official=official))
    return table


def _remarks(row: ArmResult) -> str:
    remarks = ["reference"] if row["reference"] else []
    if row["realised_noise"] is not None:
        remarks.append(f"{percent(row['realised_noise'], 0)} noisy")
    if row["realised_mismatch"]:
        remarks.append(f"{percent(row['realised_mismatch'], 0)} mismatched")
    if row["filtered"] is not None:
        drawn, thrown = row["filtered"]["drawn"], row["filtered"]["thrown_away"]
        remarks.append(f"{percent(thrown / drawn if drawn else 0.0, 0)} filtered away")
    if row["exposure_matched"] is False:
        remarks.append("not exposure-matched")
    return f" [dim]({', '.join(remarks)})[/]" if remarks else ""


def has_xview2(results: Results) -> bool:
    """Whether the scores are of damage levels, which have the official xView2 score beside mIoU."""
    return any(row["mean_xview2"] is not None for row in results["rows"])


def _result_cells(row: ArmResult, classes: Sequence[str], *, official: bool) -> list[str]:
    spread = "" if row["std_miou"] is None else f" ± {points(row['std_miou'])}"
    seeds = len(row["seeds"])
    return [
        f"  {protocol_words(row['protocol'])}",
        points(row["mean_miou"]) + spread,
        *(points(row["mean_iou"].get(label)) for label in classes),
        *([points(row["mean_xview2"])] if official else []),
        f"{seeds} of {seeds + len(row['missing'])}" if row["missing"] else str(seeds),
        "" if row["reference"] else signed(row["difference"]),
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
            f"dataset {escape(job['dataset'])}" if use is None else escape(use["experiment_name"]),
            arm_of(job),
            "–" if seed_of(job) is None else str(seed_of(job)),
            KIND_WORDS[job["kind"]],
            state_of(job),
            progress_of(job),
        )
    return table


def dataset_table(datasets: Sequence[Dataset]) -> Table:
    """Returns one line per dataset."""
    table = Table(header_style="bold")
    for name in ("name", "kind", "state", "scenes", "splits", "events"):
        table.add_column(name, justify="right" if name == "scenes" else "left")
    for dataset in datasets:
        splits = ", ".join(f"{split} {count}" for split, count in in_split_order(dataset["splits"]).items())
        events = (
            ", ".join(dataset["events"]) if len(dataset["events"]) <= 3 else plural(len(dataset["events"]), "event")
        )
        table.add_row(
            dataset["name"],
            dataset["config"]["kind"],
            dataset_state(dataset),
            str(dataset["scenes"]),
            splits,
            escape(events),
        )
    return table


def dataset_state(dataset: Dataset) -> str:
    """Returns how far a dataset's index is, and how much takes no part."""
    if dataset["state"] == "indexing":
        return f"[cyan]being indexed, {percent(dataset['progress'], 0)}[/]"
    words = "[green]ready[/]" if dataset["state"] == "ready" else "[bold red]not indexed[/]"
    return words + (f", {dataset['quarantined']} quarantined" if dataset["quarantined"] else "")


def arm_of(job: Job) -> str:
    """Returns the arms a job works for, the first by name."""
    arms = list(dict.fromkeys(use["arm"] for use in job["uses"]))
    more = f" and {len(arms) - 1} more" if len(arms) > 1 else ""
    return escape(arms[0]) + more if arms else "–"


def state_of(job: Job, *, short: bool = False) -> str:
    """Returns a job's state in words, with the wish it has not met yet."""
    words = SHORT_WORDS.get(job["status"], job["status"]) if short else state_words(job)
    if job["requested"] is not None and job["status"] == "running":
        words = SHORT_WISHES[job["requested"]] if short else f"{words}, asked to {job['requested']}"
    return f"[{STATUS_STYLES.get(job['status'], 'dim')}]{words}[/]"


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
    if job["kind"] in ("index", "score"):
        return []
    if job["kind"] == "pretrain":
        return [f"loss {latest['loss']:.3f}"] if "loss" in latest else []
    scores = [
        f"{protocol_words(key.removesuffix('/miou'))} mIoU {points(value)}"
        for key, value in latest.items()
        if key.endswith("/miou")
    ]
    losses = [f"loss {value:.3f}" for key, value in latest.items() if key.endswith("/loss")]
    return scores or losses[-1:]
