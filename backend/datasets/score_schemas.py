"""What the API says about unsupervised change scores, and about how well they find noisy pairs."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from backend.jobs.schemas import JobStatus
from pairlab.experiment.change_scores import ChangeScore


class ScoreCreate(BaseModel):
    """A change score to be computed for all scenes of a dataset."""

    model_config = ConfigDict(extra="forbid")

    score: ChangeScore
    draw: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Which redraw of synthetic scenes, as an experiment's seed; 0 for files."""


class ScoreRead(BaseModel):
    """A change score of a dataset, computed or on its way."""

    id: str
    """64 hex digits; equal scores of the same dataset have the same."""
    score: ChangeScore
    draw: int
    status: JobStatus
    """Of its job; `failed` as well where what it made is gone."""
    job: str
    seconds: float | None
    """What reading the images and comparing the first with the last took; null until it has succeeded."""
    scenes: int | None
    """Scenes it was computed for; null until it has succeeded."""
    error: str | None


class ScoreQuantile(BaseModel):
    """What a filter would do that throws away the pairs of chips whose score is above a quantile; counts of chips."""

    quantile: float
    threshold: float
    thrown_away: int
    """Noisy, clean and unknown ones."""
    noisy_thrown_away: int
    clean_thrown_away: int
    noisy_kept: int
    """Those without a score are kept."""


class ScoreCurve(BaseModel):
    """How well a score tells noisy chips of the dataset's own train split from clean ones.

    A point belongs to a threshold: what lies above it is called noisy. Only chips with data count.
    """

    chip_size: int
    min_changed_pixels: int
    noisy: int
    """Chips with at least `min_changed_pixels` relevant-change pixels, and a score."""
    clean: int
    """Other chips with a score whose change is known."""
    unknown: int
    """Chips with a score of which is not known whether they changed; they are on no curve."""
    without_score: int
    """Chips that have none: their scene could not be read, or too little of it has data."""
    auroc: float | None
    """Area under `roc`: the probability that a noisy chip scores higher than a clean one; null without both kinds."""
    average_precision: float | None
    """Mean precision over the rises of recall; null without both kinds."""
    roc: list[tuple[float, float, float]]
    """False positive rate, true positive rate, threshold; falling thresholds, at most 200."""
    precision_recall: list[tuple[float, float, float]]
    """Recall, precision, threshold; falling thresholds, at most 200."""
    quantiles: list[ScoreQuantile]
    """0, 0.05, …, 1 of the scores of all chips of the train split."""
    seconds: float
    """As in ScoreRead."""
    seconds_per_1000_chips: float
