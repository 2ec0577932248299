"""How figures, times and states read on a screen and in a terminal."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from frontend.api_records import Experiment, Job

STATUS_WORDS = {
    "blocked": "waiting for another job",
    "queued": "queued",
    "running": "running",
    "paused": "paused",
    "lost": "worker lost, queued again",
    "succeeded": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
PROTOCOL_WORDS = {"linear_probe": "linear probe", "fine_tuning": "fine-tuning"}
KIND_WORDS = {"pretrain": "pretraining", "segment": "segmentation", "index": "indexing", "score": "change score"}
WAITS_FOR = {"pretrain": "waiting for its change score", "segment": "waiting for pretraining"}
SPLITS = ("train", "validation", "test")
PHASE_WORDS = {
    "waiting": "waiting for a worker",
    "labels": "reading labels",
    "pixels": "reading pixels",
    "paused": "paused",
}


def state_words(job: Job) -> str:
    """Returns a job's state, and of one that waits for another what that does."""
    if job["status"] == "blocked":
        return WAITS_FOR.get(job["kind"], STATUS_WORDS["blocked"])
    return STATUS_WORDS[job["status"]]


def is_of_dataset(job: Job) -> bool:
    """Whether a job is done for a dataset as a whole, and no arm or seed tells it from others."""
    return job["kind"] == "index" or (job["kind"] == "score" and not job["uses"])


def seed_of(job: Job) -> int | None:
    """Returns a job's seed; of a change score that of the arms that need it, where they need it for one."""
    seeds = {use["seed"] for use in job["uses"]}
    return job["seed"] if job["seed"] is not None or len(seeds) != 1 else seeds.pop()


def protocol_words(protocol: str) -> str:
    """Returns a protocol's name as text; of one that is tried at a learning rate, `name@rate`, with the rate."""
    name, _, rate = protocol.partition("@")
    words = PROTOCOL_WORDS.get(name, name.replace("_", " "))
    return f"{words} at {rate}" if rate else words


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in [0, 1] as a percentage, or a dash."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def points(share: float | None) -> str:
    """Returns an IoU in [0, 1] in points of 100, or a dash."""
    return "–" if share is None else f"{100 * share:.1f}"


def signed(value: float | None) -> str:
    """Returns a difference with its sign, or a dash."""
    return "–" if value is None else f"{value:+.1f}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """Returns a length of time in its two largest units."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def parse_time(text: str) -> datetime:
    """Returns the moment of an ISO 8601 text; without a zone it is UTC, as the API writes it."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def moment(text: str | None) -> str:
    """Returns a moment as date and minute in UTC, or a dash."""
    return "–" if text is None else parse_time(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def experiment_title(experiment: Experiment) -> str:
    """Returns an experiment in one line for a box of options, where no two may read the same or change their text."""
    return f"{experiment['name']} · {moment(experiment['created_at'])} · {experiment['id'][:6]}"


def job_counts(jobs: Mapping[str, int]) -> str:
    """Returns the jobs per state in words, final states first."""
    order = ("succeeded", "running", "queued", "blocked", "paused", "lost", "failed", "cancelled")
    words = {**STATUS_WORDS, "blocked": "waiting"}
    parts = [f"{jobs[state]} {words[state]}" for state in order if jobs.get(state)]
    return " · ".join(parts) or "no jobs"


def dataset_place(config: Mapping[str, Any]) -> str:
    """Returns in a sentence where a dataset's scenes come from."""
    if config["kind"] == "synthetic":
        turned = ", ".join(f"{knob} {value}" for knob, value in config.get("knobs", {}).items())
        knobs = f" with {turned}" if turned else ""
        return f"Synthetic scenes, preset {config.get('preset', 'quickstart')}{knobs}; every seed redraws them."
    place = f"{config['root']}/{config.get('folder', '')}".rstrip("/")
    if config["kind"] == "xbd":
        return f"xBD tiles in data root {place}; buildings count as damaged from {config['damage_from']}."
    layout = f"listed by {config['manifest']}" if config.get("manifest") else "in folders A and B"
    return f"Images before and after in data root {place}, {layout}."


def in_split_order(splits: Mapping[str, int]) -> dict[str, int]:
    """Returns scenes per split: train, validation, test."""
    return {split: splits[split] for split in sorted(splits, key=lambda each: (*SPLITS, each).index(each))}


def grouped(count: int) -> str:
    """Returns a count in groups of three digits."""
    return f"{count:,}".replace(",", " ")


def plural(count: int, noun: str) -> str:
    """Returns a count with its noun, in the plural where it needs one."""
    return f"{grouped(count)} {noun}" + ("" if count == 1 else "s")


def file_size(size: int) -> str:
    """Returns a number of bytes in its largest unit."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def sentence(text: str) -> str:
    """Returns a remark with a capital at its start, unless that is the name of a field, and a full stop at its end."""
    ended = text if text.endswith((".", "!", "?", ":", "…")) else f"{text}."
    begins_with_word = ended.partition(" ")[0].replace(",", "").isalpha()
    return ended[:1].upper() + ended[1:] if begins_with_word else ended
