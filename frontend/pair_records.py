"""The shapes of what the API answers about the pairs that arms would draw."""

from typing import Literal, TypedDict

from frontend.scene_records import Histogram

Control = Literal["rerender", "masked", "same_acquisition", "replace"]
Matrix = list[list[float]]


class PreviewView(TypedDict):
    """One side of a pair."""

    acquisition: str
    state: str
    image_url: str


class PreviewPoint(TypedDict):
    """A pixel of the anchor's view and the one of the positive's view that it is matched with, x and y in pixels."""

    a: list[float]
    b: list[float]
    excluded: bool


class PreviewViews(TypedDict):
    """The two views that training would cut: 2 × 3 matrices from view to chip, pixels; `size` of a view, pixels.

    An added displacement is in the positive's matrix, and not in the points, which the loss matches. `reach` is how far
    from a point's end in the positive other cells match it too, pixels of the view; None where there are none.
    """

    anchor: Matrix
    positive: Matrix
    size: int
    points: list[PreviewPoint]
    reach: float | None


class PreviewPair(TypedDict):
    """One drawn pair; `scene`, `y` and `x` tell the anchor's place, `shift` is down and right, pixels.

    `position` is its place, from 0, in the list of all pairs before a filter: arms compare at equal positions.
    """

    position: int
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
    control: Control | None
    mismatched: bool
    shift: list[float]
    score: float | None
    change_url: str
    views: PreviewViews


class Filtered(TypedDict):
    """What a filter did to the pairs drawn; `noisy_thrown_away` are known to the labels."""

    drawn: int
    thrown_away: int
    noisy_thrown_away: int
    threshold: float | None


class MeanFiltered(TypedDict):
    """What a filter did to the pairs drawn, means over seeds."""

    drawn: float
    thrown_away: float
    noisy_thrown_away: float
    threshold: float | None


class Balance(TypedDict):
    """What an arm shows, so that arms can be compared: shares are of all images shown.

    `object_share`: mean and quartiles; `shown`: how often a place is shown at least and at most in one pass.
    """

    pairs: int
    places: int
    events: dict[str, float]
    splits: dict[str, float]
    object_share: list[float]
    acquisitions: dict[str, float]
    shown: list[int]


class Preview(TypedDict):
    """The pairs an arm would draw; `drawn` counts those that a filter left."""

    pairs: list[PreviewPair]
    drawn: int
    asked_rate: float | None
    realised_rate: float
    asked_mismatch: float
    realised_mismatch: float
    exposure_matched: bool
    filtered: Filtered | None
    balance: Balance
    unknown_pairs: int
    object_change_histogram: Histogram
    chips: dict[str, int]
    warnings: list[str]


class ArmPreview(TypedDict):
    """The pairs of one arm of an experiment, or why there are none; `factors` in which it differs."""

    arm: str
    pairs: Preview | None
    problem: str | None
    factors: list[str]


class ExperimentPreview(TypedDict):
    """The pairs of all pretrained arms at the same positions of the list of places they share."""

    seed: int
    arms: list[ArmPreview]
