"""What the API says about jobs."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel

from pairlab.experiment.jobs import JobConfig

JobKind = Literal["pretrain", "segment", "index", "score"]


class JobStatus(StrEnum):
    """States of a job; each change is one compare-and-set."""

    BLOCKED = "blocked"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    LOST = "lost"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_STATUSES = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


class JobUse(BaseModel):
    """Who needs a job: an arm and seed of an experiment."""

    experiment: str
    experiment_name: str
    arm: str
    seed: int


class JobWarning(BaseModel):
    """What a run told its owner while it went on."""

    step: int
    sentence: str
    """With the numbers, and what to do."""


class JobRead(BaseModel):
    """One job of a list."""

    id: str
    key: str
    kind: JobKind
    status: JobStatus
    requested: Literal["cancel", "pause"] | None
    """A wish of the user that the worker has not met yet."""
    uses: list[JobUse]
    dataset: str
    seed: int | None
    """null for jobs of a dataset: index and score."""
    depends_on: str | None
    """Job it waits for."""
    attempt: int
    step: int
    total_steps: int | None
    seconds_left: float | None
    worker: str | None
    error: str | None
    """A sentence for the user, where the job failed."""
    latest: dict[str, float]
    """Newest value of each metric key."""
    warnings: list[JobWarning]
    """That it collapses, starves, does not learn: of all its attempts, each once, in the order they were told."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobDetail(JobRead):
    """One job with its resolved configuration, facts of the run and results."""

    config: JobConfig
    facts: dict[str, Any]
    """Device, precision, realised noise: what the run found at its start."""
    results: dict[str, Any]
    last_seq: int


class MetricPoint(BaseModel):
    """One metric at one step; `seq` orders all events of a job."""

    seq: int
    step: int
    key: str
    value: float


class LogLine(BaseModel):
    """One line a run printed."""

    seq: int
    time: datetime
    stream: Literal["stdout", "stderr", "pairlab"]
    text: str


class PredictionRead(BaseModel):
    """One predicted mask of a segment job."""

    artifact: str
    scene: str
    split: str
    protocol: str
    acquisition: str
    """The image it was predicted from."""
    step: int
    final: bool
    url: str
    """Class-index PNG, below the API's prefix."""
    image_urls: dict[str, str]
    """Per acquisition, the scene's image."""
    label_url: str
    """The label as class-index PNG in the job's scheme, 255 ignored."""
    classes: list[str]
    iou: dict[str, float | None]
    """IoU of each class on this scene; null where the class is absent."""


class MetricsRead(BaseModel):
    """Metrics of a job behind a sequence number."""

    points: list[MetricPoint]
    last_seq: int
    """Ask with `after` = this to go on."""


class LogRead(BaseModel):
    """Log lines of a job behind a sequence number."""

    lines: list[LogLine]
    last_seq: int
    """Ask with `after` = this to go on."""


class WorkerRead(BaseModel):
    """A connected worker."""

    name: str
    hardware: str
    slots: int
    """Jobs it runs at once."""
    busy: int
    """Jobs it runs now."""
    facts: dict[str, Any]
    """Cores, memory, devices."""
    seen_at: datetime


class DiskRead(BaseModel):
    """Room for artifacts, bytes."""

    free: int
    total: int


class SystemRead(BaseModel):
    """The installation: how busy it is and what it runs on."""

    version: str
    python: str
    cores: int
    workers: list[WorkerRead]
    queue: dict[str, int]
    """Jobs that wait to be claimed, per hardware queue."""
    queue_answers: bool
    """False: jobs wait in the database until the queue server is back."""
    disk: DiskRead
    database: str
    """sqlite or postgresql."""
