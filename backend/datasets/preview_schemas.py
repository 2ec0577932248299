"""What the API says about the pairs that arms would draw."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.datasets.schemas import Histogram
from pairlab.experiment.datasets import DatasetName
from pairlab.experiment.experiment import Seed
from pairlab.experiment.methods import Method, PixelInfoNCE
from pairlab.experiment.pairing import ControlName, Pairing, Places
from pairlab.experiment.protocols import Splits
from pairlab.experiment.scene_filter import SceneFilter
from pairlab.experiment.training import Augmentation, Pretraining

Count = Annotated[int, Field(ge=1, le=64)]
First = Annotated[int, Field(ge=0, le=10_000_000)]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Maps (x, y, 1) in a view to (x, y) in its chip, pixels."""


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
    """What is pretrained on."""
    pairing: Pairing
    places: Places = Places()
    """The pool that the arms of an experiment share; without it, what an experiment of this arm alone would take."""
    scenes: SceneFilter = SceneFilter()
    """Which scenes of the dataset take part at all."""
    splits: Splits = Splits()
    """Which scenes count as train; without `test_events` the dataset's own train split."""
    transductive: bool = False
    """Also draws from the validation and test splits, of which nothing is known but the images."""
    chip_size: int = Field(default=64, ge=32, le=1024, multiple_of=32)
    method: Method = PixelInfoNCE()
    augmentation: Augmentation = Augmentation()
    """How the views are cut."""
    batch_size: int = Field(default=Pretraining().batch_size, ge=2, le=65_536)
    """Pairs in a step of the pretraining: the views follow from it."""
    seed: Seed = 0
    first: First = 0
    """Place of the first pair shown in the list of all pairs, from 0."""
    count: Count = 12


class PreviewView(BaseModel):
    """One side of a pair."""

    acquisition: str
    state: str
    """Whose object states are shown; differs from the acquisition only under control rerender."""
    image_url: str
    """PNG of the chip, below the API's prefix."""


class PreviewPoint(BaseModel):
    """A point of the anchor's view and the one of the positive's view that the loss takes for the same ground."""

    a: tuple[float, float]
    """(x, y) in the view, pixels."""
    b: tuple[float, float]
    excluded: bool
    """Passed over for a relevant change (control masked)."""


class PreviewViews(BaseModel):
    """The two views in the step of the pretraining that shows the pair first."""

    anchor: Matrix
    positive: Matrix
    """As it is cropped: an added displacement is in it, and not in the points."""
    size: int
    """Height and width of a view, pixels."""
    points: list[PreviewPoint]
    """The first 256 that are drawn; none where the method matches nothing by geometry."""
    reach: float | None
    """How far from a point's end in the positive the centres of cells may lie that match it too, pixels of the view;
    null where a point has one partner."""


class PreviewPair(BaseModel):
    """One drawn pair. Counts and shares are those of the anchor's place."""

    position: int
    """Place in the list of all pairs before a filter, from 0: arms of an experiment compare at equal places."""
    scene: str
    event: str
    y: int
    x: int
    positive_scene: str
    positive_event: str
    positive_y: int
    positive_x: int
    size: int
    anchor: PreviewView
    positive: PreviewView
    changed_pixels: int
    change_share: float
    object_change_share: float
    noisy: bool
    unknown: bool
    control: ControlName | None
    """What stands in for a noisy pair here."""
    mismatched: bool
    """The positive shows another place."""
    shift: tuple[float, float]
    """Added displacement of the positive's content, down and right, pixels of the chip."""
    score: float | None
    """Change score of what the pair shows, where a filter asks for it."""
    change_url: str
    """Class-index PNG of the anchor's place: 0 unchanged, 1 relevant change, 255 unknown."""
    views: PreviewViews


class Filtered(BaseModel):
    """What a filter did to the pairs drawn."""

    model_config = ConfigDict(from_attributes=True)

    drawn: int
    """Pairs before it."""
    thrown_away: int
    noisy_thrown_away: int
    """Of these, pairs that the labels know to be noisy."""
    threshold: float | None
    """Of the change score; null of an oracle."""


class Balance(BaseModel):
    """What the pairs of an arm show, to be held against the other arms'. Shares are of all images shown."""

    model_config = ConfigDict(from_attributes=True)

    pairs: int
    places: int
    """Distinct ones."""
    events: dict[str, float]
    splits: dict[str, float]
    object_share: tuple[float, float, float, float]
    """Object pixels / valid pixels of the places: mean, and quartiles 25, 50 and 75."""
    acquisitions: dict[str, float]
    shown: tuple[int, int]
    """How often a place is shown at least and at most in one pass over the pairs."""


class PreviewResponse(BaseModel):
    """The pairs an arm would draw: some of them, and figures over all."""

    pairs: list[PreviewPair]
    """Those of the asked places that a filter left."""
    drawn: int
    """Pairs in all, after a filter."""
    asked_rate: float | None
    realised_rate: float
    """Share of noisy pairs among all pairs drawn."""
    asked_mismatch: float
    realised_mismatch: float
    """Share of pairs whose positive shows another place."""
    exposure_matched: bool
    """Whether the shared places are all shown, and nothing else."""
    filtered: Filtered | None
    """null without a filter."""
    balance: Balance
    unknown_pairs: int
    object_change_histogram: Histogram
    """Realised noise: object change share over all pairs drawn (what the loss sees: 0 where a control stands in)."""
    chips: dict[str, int]
    """The pool: chips, noisy, clean, unknown."""
    warnings: list[str]


class ArmPreview(BaseModel):
    """The pairs of one arm of an experiment, or why there are none."""

    arm: str
    pairs: PreviewResponse | None
    problem: str | None
    factors: list[Literal["dataset", "scenes", "method", "pairing"]]
    """In what the arm differs from the reference."""


class ExperimentPreview(BaseModel):
    """The pairs of all pretrained arms at the same places of the list they share."""

    seed: int
    arms: list[ArmPreview]
