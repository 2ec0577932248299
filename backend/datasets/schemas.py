"""What the API says about datasets, scenes and pairs."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pairlab.experiment.datasets import DatasetConfig, DatasetName
from pairlab.experiment.pairing import Pairing, Places
from pairlab.experiment.protocols import Splits

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


class DatasetRead(BaseModel):
    """A registered dataset and what was found in it."""

    name: str
    config: DatasetConfig
    fingerprint: str
    scenes: int
    splits: dict[str, int]
    """Scenes per split."""
    events: dict[str, int]
    """Scenes per event."""
    acquisitions: list[str]
    label_schemes: dict[str, list[str]]
    """Class names of each label scheme the dataset offers; index 0 is the background."""
    warnings: list[str]
    """What was noticed and left out, one sentence each (a folder without targets, say)."""
    created_at: datetime


class DataRootRead(BaseModel):
    """A folder given at start under a name; its path stays on the server."""

    name: str
    folders: list[str]
    """Folders directly below it, and "" for itself, that look like an xBD tree."""


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


class SceneDetail(SceneRead):
    """One scene with all that is known of it."""

    metadata: dict[str, dict[str, Any]]
    """Per acquisition."""
    class_pixels: dict[str, dict[str, int]]
    """Per acquisition, pixels of each class (scheme intact_damaged; `ignore` for the rest)."""
    previous: str | None
    next: str | None
    """Neighbours in the default order, for browsing."""


class PreviewRequest(BaseModel):
    """Which pairs would be drawn?"""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "dataset": "quickstart",
                    "pairing": {"policy": "temporal", "pairs": 1000, "noise": {"rate": 0.5}},
                    "seed": 0,
                    "count": 12,
                }
            ]
        },
    )

    dataset: DatasetName
    pairing: Pairing
    places: Places = Places()
    splits: Splits = Splits()
    """Which scenes count as train; without `test_events` the dataset's own train split."""
    chip_size: int = Field(default=64, ge=32, le=1024, multiple_of=32)
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    count: Annotated[int, Field(ge=1, le=64)] = 12


class PreviewView(BaseModel):
    """One side of a pair."""

    acquisition: str
    state: str
    """Whose object states are shown; differs from the acquisition only under control rerender."""
    image_url: str
    """PNG of the chip, below the API's prefix."""


class PreviewPair(BaseModel):
    """One drawn pair."""

    scene: str
    event: str
    y: int
    x: int
    size: int
    anchor: PreviewView
    positive: PreviewView
    changed_pixels: int
    change_share: float
    object_change_share: float
    noisy: bool
    unknown: bool
    control: Literal["rerender", "masked"] | None
    """What stands in for a noisy pair here."""
    change_url: str
    """Class-index PNG of the chip: 0 unchanged, 1 relevant change, 255 unknown."""


class Histogram(BaseModel):
    """Counts between edges: len(edges) = len(counts) + 1."""

    edges: list[float]
    counts: list[int]


class PreviewResponse(BaseModel):
    """The pairs an arm would draw: the first `count`, and figures over all of them."""

    pairs: list[PreviewPair]
    drawn: int
    asked_rate: float | None
    realised_rate: float
    """Share of noisy pairs among all pairs drawn."""
    unknown_pairs: int
    object_change_histogram: Histogram
    """Realised noise: object change share over all pairs drawn (what the loss sees: 0 where a control stands in)."""
    chips: dict[str, int]
    """The pool: chips, noisy, clean, unknown."""
    warnings: list[str]
