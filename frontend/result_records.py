"""The shapes of what the API answers about an experiment's results."""

from typing import TypedDict

from frontend.api_records import ExperimentStatus, JobStatus
from frontend.pair_records import MeanFiltered
from frontend.verdict_records import Verdict


class SeedScore(TypedDict):
    """Test score of one arm, protocol and seed; all in [0, 1], null where its job did not measure it."""

    seed: int
    job: str
    miou: float
    iou: dict[str, float | None]
    macro_f1: float | None
    f1: dict[str, float | None]
    accuracy: float | None
    boundary_f1: float | None
    ece: float | None
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
    mean_macro_f1: float | None
    mean_f1: dict[str, float | None]
    mean_accuracy: float | None
    mean_boundary_f1: float | None
    mean_ece: float | None
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
    looks: list[int]
    verdicts: list[Verdict]
    rows: list[ArmResult]
    notes: list[str]
