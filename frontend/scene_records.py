"""The shapes of what the API answers about datasets, scenes and pairs."""

from typing import Any, Literal, TypedDict


class DataRoot(TypedDict):
    """A folder given at start under a name, and the folders below it that look like a dataset."""

    name: str
    folders: list[str]
    kinds: dict[str, Literal["xbd", "bitemporal"]]
    """Per folder, the kind of dataset it looks like."""
    manifests: dict[str, list[str]]
    """Per folder that has any, its files that can be a manifest (CSV or Parquet)."""


DatasetState = Literal["indexing", "ready", "failed"]


class Dataset(TypedDict):
    """A registered dataset; `progress` in [0, 1] while it is indexed by `index_job`."""

    name: str
    config: dict[str, Any]
    fingerprint: str
    state: DatasetState
    index_job: str | None
    progress: float | None
    scenes: int
    quarantined: int
    splits: dict[str, int]
    events: dict[str, int]
    acquisitions: list[str]
    label_schemes: dict[str, list[str]]
    object_classes: list[str]
    columns: dict[str, Literal["text", "number"]]
    bands: list[str]
    warnings: list[str]
    created_at: str


class Mark(TypedDict):
    """What the user noted on a scene."""

    flagged: bool
    note: str
    updated_at: str


class Scene(TypedDict):
    """One scene of a list; `offset` in pixels, null where it is not known."""

    name: str
    split: str
    event: str
    acquisitions: list[str]
    height: int
    width: int
    change_share: float
    object_change_share: float
    changed_pixels: int
    unknown: bool
    no_data_share: float
    objects: dict[str, int]
    offset: float | None
    offset_confidence: float | None
    attributes: dict[str, str | float | None]
    mark: Mark | None
    thumbnails: dict[str, str]


class ScenePage(TypedDict):
    """A page of scenes. GET …/scenes takes the place it begins at as `place`, instead of a cursor."""

    items: list[Scene]
    next_cursor: str | None
    total: int
    first: int
    """Place of the page's first scene in the filtered, sorted list, counted from 0."""


class Vector(TypedDict):
    """A shift in pixels."""

    y: float
    x: float


class SceneDetail(Scene):
    """One scene with all that is known of it, and its place, from 0, in the filtered, sorted list (null: not in it)."""

    metadata: dict[str, dict[str, Any]]
    class_pixels: dict[str, dict[str, int]]
    previous: str | None
    next: str | None
    place: int | None
    total: int
    offset_vector: Vector | None


class SceneObject(TypedDict):
    """One labelled object of one acquisition; `rings` in pixels (x, y), `area` in pixels."""

    name: str
    kind: str
    area: float
    rings: list[list[list[int]]]


class Histogram(TypedDict):
    """Counts between edges."""

    edges: list[float]
    counts: list[int]


class TextColumn(TypedDict):
    """A column of texts: scenes of its most frequent values, and of all others together."""

    kind: Literal["text"]
    values: dict[str, int]
    others: int


class NumberColumn(TypedDict):
    """A column of numbers."""

    kind: Literal["number"]
    histogram: Histogram


Column = TextColumn | NumberColumn


class Distribution(TypedDict):
    """How the scenes of a selection are spread; edges are those of the whole dataset.

    `objects`: labelled objects per class, in all scenes of the selection together.
    """

    total: int
    events: dict[str, int]
    splits: dict[str, int]
    objects: dict[str, int]
    histograms: dict[str, Histogram]
    columns: dict[str, Column]
    flagged: int


class ExportedFilter(TypedDict):
    """A selection as an experiment takes it."""

    filter: dict[str, Any]
    yaml: str
    total: int


class QuarantinedFile(TypedDict):
    """A scene that takes no part in anything, the file at fault, and why."""

    scene: str
    file: str
    reason: str


class BandStatistics(TypedDict):
    """The bands of a dataset, and the values that become 0 and 1."""

    names: list[str]
    low: list[float]
    high: list[float]


class Store(TypedDict):
    """How much of a dataset is decoded in the chip store."""

    images: int
    of: int
    bytes: int


class DatasetReport(TypedDict):
    """What the index found in a dataset; `phase` while it is indexed: waiting, labels, pixels or paused."""

    state: DatasetState
    phase: Literal["waiting", "labels", "pixels", "paused"] | None
    progress: float | None
    scenes: int
    quarantined_total: int
    quarantined: list[QuarantinedFile]
    warnings: list[str]
    events: dict[str, int]
    splits: dict[str, int]
    event_splits: dict[str, dict[str, int]]
    """Scenes per event and split; empty until the labels are read."""
    objects: dict[str, int]
    columns: dict[str, Column]
    histograms: dict[str, Histogram]
    bands: BandStatistics
    store: Store | None
