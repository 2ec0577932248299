"""The shapes of what the API answers about an experiment's results."""

from typing import TypedDict

from frontend.api_records import ExperimentStatus, JobStatus
from frontend.pair_records import MeanFiltered


class SeedScore(TypedDict):
    """Test score of one arm, protocol and seed; `miou` and `xview2` in [0, 1]."""

    seed: int
    job: str
    miou: float
    iou: dict[str, float | None]
    xview2: float | None


class ArmResult(TypedDict):
    """One row of the table: arm × protocol; what is told of its pairs are means over seeds, null of baselines."""

    arm: str
    protocol: str
    baseline: bool
    reference: bool
    seeds: list[SeedScore]
    missing: dict[str, JobStatus]
    mean_miou: float | None
    std_miou: float | None
    mean_iou: dict[str, float | None]
    mean_xview2: float | None
    difference: float | None
    difference_seeds: int
    realised_noise: float | None
    realised_mismatch: float | None
    distinct_pairs: float | None
    exposure_matched: bool | None
    filtered: MeanFiltered | None
    score_seconds: float | None
    factors: list[str]


class Results(TypedDict):
    """All an experiment has found so far."""

    id: str
    name: str
    status: ExperimentStatus
    classes: list[str]
    primary_protocol: str
    reference: str
    margin: float
    rows: list[ArmResult]
    notes: list[str]
