"""The shapes of what the API answers, as the screens and the command line read them."""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from frontend.pair_records import Balance, Filtered

Item = TypeVar("Item")

JobStatus = Literal["blocked", "queued", "running", "paused", "lost", "succeeded", "failed", "cancelled"]
JobKind = Literal["pretrain", "segment", "index", "score"]
ExperimentStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
FINAL_STATUSES = frozenset({"succeeded", "failed", "cancelled"})


class Page(TypedDict, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None
    total: int


class Example(TypedDict):
    """A shipped experiment file."""

    name: str
    title: str
    dataset: str
    registrations: list[dict[str, Any]]
    """Name and config of the rendered scenes it wants registered."""
    yaml: str


class Plan(TypedDict):
    """What an experiment would run; per arm what it would draw with the first seed, null where that is not known yet.

    `factors` name what an arm differs in from the reference.
    """

    experiment: dict[str, Any]
    yaml: str
    content_hash: str
    jobs: int
    pretrain_jobs: int
    segment_jobs: int
    score_jobs: int
    already_done: int
    shared_pretrainings: int
    estimated_seconds: float | None
    estimate_basis: str
    realised_noise: dict[str, float | None]
    realised_mismatch: dict[str, float | None]
    balance: dict[str, Balance | None]
    exposure_matched: dict[str, bool | None]
    filtered: dict[str, Filtered | None]
    factors: dict[str, list[str]]
    warnings: list[str]


class JobUse(TypedDict):
    """Who needs a job."""

    experiment: str
    experiment_name: str
    arm: str
    seed: int


class JobWarning(TypedDict):
    """What a run told its owner while it went on."""

    step: int
    sentence: str


class Job(TypedDict):
    """One job of a list."""

    id: str
    key: str
    kind: JobKind
    status: JobStatus
    requested: Literal["cancel", "pause"] | None
    uses: list[JobUse]
    dataset: str
    seed: int | None
    depends_on: str | None
    attempt: int
    step: int
    total_steps: int | None
    seconds_left: float | None
    worker: str | None
    error: str | None
    latest: dict[str, float]
    warnings: list[JobWarning]
    created_at: str
    started_at: str | None
    finished_at: str | None


class JobDetail(Job):
    """One job with its resolved configuration, facts of the run and results."""

    config: dict[str, Any]
    facts: dict[str, Any]
    results: dict[str, Any]
    last_seq: int


class Experiment(TypedDict):
    """One experiment of a list."""

    id: str
    name: str
    dataset: str
    status: ExperimentStatus
    content_hash: str
    arms: list[str]
    seeds: list[int]
    jobs: dict[str, int]
    created_at: str
    finished_at: str | None


class ExperimentDetail(Experiment):
    """One experiment with its file and its jobs."""

    experiment: dict[str, Any]
    yaml: str
    job_list: list[Job]


class MetricPoint(TypedDict):
    """One metric at one step."""

    seq: int
    step: int
    key: str
    value: float


class Metrics(TypedDict):
    """Metric points after a sequence number."""

    points: list[MetricPoint]
    last_seq: int


class LogLine(TypedDict):
    """One line a run printed."""

    seq: int
    time: str
    stream: Literal["stdout", "stderr", "pairlab"]
    text: str


class Logs(TypedDict):
    """Log lines after a sequence number."""

    lines: list[LogLine]
    last_seq: int


class Prediction(TypedDict):
    """One predicted mask of a segment job."""

    artifact: str
    scene: str
    split: str
    protocol: str
    acquisition: str
    step: int
    final: bool
    url: str
    image_urls: dict[str, str]
    label_url: str
    classes: list[str]
    iou: dict[str, float | None]


class Artifact(TypedDict):
    """One file a job wrote."""

    id: str
    job: str
    kind: Literal["checkpoint", "weights", "prediction", "results", "embedding_map", "uncertainty"]
    step: int
    name: str
    bytes: int
    sha256: str
    details: dict[str, Any]
    created_at: str
    url: str


class MapTile(TypedDict):
    """One chip of an embedding map, and its place in the picture."""

    scene: str
    acquisition: str
    y: int
    x: int
    size: int
    changed_pixels: int
    row: int
    column: int
    image_url: str


class EmbeddingMap(TypedDict):
    """What a network made of a few chips after some steps; `url` is a picture of all tiles."""

    artifact: str
    step: int
    url: str
    cells: int
    explained: list[float]
    tiles: list[MapTile]


class Worker(TypedDict):
    """One worker that is connected."""

    name: str
    hardware: str
    busy: int | bool


class System(TypedDict):
    """The installation: version, workers and queues."""

    version: str
    workers: list[Worker]
    queue: dict[str, int]
    disk: NotRequired[dict[str, Any]]


class StreamEvent(TypedDict):
    """One event of a job's stream; `event` is metric, log, state or end."""

    seq: int
    event: str
    data: dict[str, Any]
