"""What the API says about datasets, scenes and pairs."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pairlab.experiment.datasets import DatasetConfig, DatasetName

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None = None
    total: int


class DatasetCreate(BaseModel):
    """A dataset to register. Nothing is copied; files are named by data root and folder, never by a path."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "quickstart", "config": {"kind": "synthetic", "preset": "quickstart"}}]
        },
    )

    name: DatasetName
    config: DatasetConfig


DatasetState = Literal["indexing", "ready", "failed"]
ColumnKind = Literal["text", "number"]


class DatasetRead(BaseModel):
    """A registered dataset and what was found in it."""

    name: str
    config: DatasetConfig
    fingerprint: str
    state: DatasetState
    """indexing: its scenes can be looked at as soon as the labels are read, and experiments have to wait."""
    index_job: str | None
    """Job that looks through its files; null where scenes are rendered."""
    progress: float | None
    """Of that job while it is under way, in [0, 1]."""
    scenes: int
    quarantined: int
    """Scenes that take no part in anything; the report says why."""
    splits: dict[str, int]
    """Scenes per split."""
    events: dict[str, int]
    """Scenes per event."""
    acquisitions: list[str]
    label_schemes: dict[str, list[str]]
    """Class names of each label scheme the dataset offers; index 0 is the background."""
    object_classes: list[str]
    """What `object` filters by."""
    columns: dict[str, ColumnKind]
    """The dataset's own columns, which `where` and `sort` take; complete once the labels are read."""
    bands: list[str]
    warnings: list[str]
    """What was noticed and left out, one sentence each (stray files, say)."""
    created_at: datetime


class DataRootRead(BaseModel):
    """A folder given at start under a name; its path stays on the server."""

    name: str
    folders: list[str]
    """Folders directly below it, and "" for itself, that look like a dataset."""
    kinds: dict[str, Literal["xbd", "bitemporal"]]
    """Per folder, the kind of dataset it looks like."""
    manifests: dict[str, list[str]]
    """Per folder that has any, its files that can be a manifest (CSV or Parquet)."""


class MarkWrite(BaseModel):
    """What to note on a scene."""

    model_config = ConfigDict(extra="forbid")

    flagged: bool = Field(strict=True)
    note: str = Field(default="", max_length=2000, pattern=r"^[^\x00]*$")


class MarkRead(BaseModel):
    """What the user noted on a scene."""

    flagged: bool
    note: str
    updated_at: datetime


class SceneRead(BaseModel):
    """One scene of a list."""

    name: str
    split: str
    event: str
    acquisitions: list[str]
    height: int
    width: int
    change_share: float
    """Relevant-change pixels / valid pixels."""
    object_change_share: float
    """Relevant-change pixels / object pixels in either acquisition; 0 without objects."""
    changed_pixels: int
    unknown: bool
    """Un-classified objects hide whether there is a change."""
    no_data_share: float
    """Pixels without data in one acquisition or the other / all pixels; 0 until the pixels are read."""
    objects: dict[str, int]
    """Labelled objects per class."""
    offset: float | None
    """Estimated shift of the last acquisition against the first, pixels; null where it is not known."""
    offset_confidence: float | None
    """In [0, 1]."""
    attributes: dict[str, str | float | None]
    """The dataset's own columns."""
    mark: MarkRead | None
    thumbnails: dict[str, str]
    """Per acquisition, a signed address that needs no token until it expires."""


class ScenePage(Page[SceneRead]):
    """One page of scenes."""

    first: int
    """Place of the first item in the filtered, sorted list, counted from 0."""


class Vector(BaseModel):
    """A shift in pixels."""

    y: float
    x: float


class SceneDetail(SceneRead):
    """One scene with all that is known of it, and its place in the filtered, sorted list."""

    metadata: dict[str, dict[str, Any]]
    """Per acquisition."""
    class_pixels: dict[str, dict[str, int]]
    """Per acquisition with a label, pixels of each class of the dataset's first scheme of: intact_damaged, classes,
    change; `ignore` for the rest."""
    previous: str | None
    next: str | None
    """Neighbours in the list."""
    place: int | None
    """Counted from 0; null where the scene does not pass the filter."""
    total: int
    """Scenes that pass the filter."""
    offset_vector: Vector | None


class SceneObjectRead(BaseModel):
    """One labelled object of one acquisition."""

    name: str
    kind: str
    area: float
    """Pixels."""
    rings: list[list[list[int]]]
    """Outline and holes, vertices as x and y in pixels."""


class Histogram(BaseModel):
    """Counts between edges: len(edges) = len(counts) + 1."""

    edges: list[float]
    counts: list[int]


class TextColumn(BaseModel):
    """A column of texts: scenes per most frequent value, and scenes with any other value."""

    kind: Literal["text"] = "text"
    values: dict[str, int]
    others: int


class NumberColumn(BaseModel):
    """A column of numbers."""

    kind: Literal["number"] = "number"
    histogram: Histogram


Column = Annotated[TextColumn | NumberColumn, Field(discriminator="kind")]


class Distribution(BaseModel):
    """How the scenes of a selection are spread. Edges are those of the whole dataset, so that selections compare."""

    total: int
    events: dict[str, int]
    splits: dict[str, int]
    objects: dict[str, int]
    """Labelled objects per class, in all scenes of the selection together."""
    histograms: dict[str, Histogram]
    """change_share, object_change_share, no_data_share and offset; scenes without a value are in none."""
    columns: dict[str, Column]
    flagged: int


class ExportedFilter(BaseModel):
    """A selection as an experiment takes it."""

    filter: dict[str, Any]
    """A `SceneFilter`, what lets all scenes pass left out."""
    yaml: str
    """The same as the field `scenes` of an experiment file."""
    total: int


class QuarantinedFile(BaseModel):
    """A scene that takes no part in anything."""

    scene: str
    file: str
    reason: str


class BandStatistics(BaseModel):
    """The bands of a dataset, and the values that become 0 and 1."""

    names: list[str]
    low: list[float]
    high: list[float]


class StoreUsage(BaseModel):
    """How much of a dataset is decoded in the chip store."""

    images: int
    of: int
    bytes: int


class DatasetReport(BaseModel):
    """What the index found in a dataset."""

    state: DatasetState
    phase: Literal["waiting", "labels", "pixels", "paused"] | None
    """While it is indexed: what is being read."""
    progress: float | None
    scenes: int
    quarantined_total: int
    quarantined: list[QuarantinedFile]
    """The first thousand."""
    warnings: list[str]
    events: dict[str, int]
    splits: dict[str, int]
    event_splits: dict[str, dict[str, int]]
    """Scenes per event and split; empty until the labels are read."""
    objects: dict[str, int]
    """Labelled objects per class."""
    columns: dict[str, Column]
    histograms: dict[str, Histogram]
    bands: BandStatistics
    store: StoreUsage | None
    """null where scenes are rendered."""
