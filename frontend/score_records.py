"""The shapes of what the API answers about unsupervised change scores."""

from typing import Any, TypedDict

from frontend.api_records import JobStatus


class Score(TypedDict):
    """A change score of a dataset: computed, or on its way; `id` is its content's hash, `job` computes it."""

    id: str
    score: dict[str, Any]
    draw: int
    status: JobStatus
    job: str
    seconds: float | None
    scenes: int | None
    error: str | None


class ScoreQuantile(TypedDict):
    """What a filter at this quantile of the train split's scores would do; counts of chips, unknown ones included."""

    quantile: float
    threshold: float
    thrown_away: int
    noisy_thrown_away: int
    clean_thrown_away: int
    noisy_kept: int


class ScoreCurve(TypedDict):
    """How well a score tells noisy chips of the train split from clean ones; counts are of chips with a score.

    `roc`: false and true positive rate and threshold; `precision_recall`: recall, precision and threshold.
    """

    chip_size: int
    min_changed_pixels: int
    noisy: int
    clean: int
    unknown: int
    without_score: int
    auroc: float | None
    average_precision: float | None
    roc: list[list[float]]
    precision_recall: list[list[float]]
    quantiles: list[ScoreQuantile]
    seconds: float
    seconds_per_1000_chips: float
