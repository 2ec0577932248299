"""What the API says about experiments and their results."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.datasets.preview_schemas import Balance, Count, Filtered, First
from backend.experiments.verdict_schemas import VerdictRead
from backend.jobs.schemas import JobRead, JobStatus
from pairlab.experiment.experiment import MAX_YAML_CHARACTERS, ArmName, Experiment, Seed
from pairlab.experiment.registrations import Registration

ExperimentStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class ExperimentSubmit(BaseModel):
    """An experiment as YAML text (comments are kept) or as the model itself: exactly one of both."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "experiment": {
                        "name": "Temporal pairs against same image",
                        "dataset": "quickstart",
                        "arms": {
                            "same image": {"pairing": {"policy": "same_image"}},
                            "temporal": {"pairing": {"policy": "temporal"}},
                        },
                        "reference": "same image",
                        "seeds": [0, 1],
                    }
                }
            ]
        },
    )

    yaml: str | None = Field(default=None, max_length=MAX_YAML_CHARACTERS)
    experiment: Experiment | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.yaml is None) == (self.experiment is None):
            raise ValueError("give the experiment either as `yaml` text or as `experiment`, and not as both")
        return self


class ExperimentPreviewRequest(ExperimentSubmit):
    """Which pairs would the arms of an experiment draw?"""

    seed: Seed | None = None
    """null: the experiment's first."""
    arms: list[ArmName] | None = Field(default=None, min_length=1, max_length=100)
    """null: all that are pretrained."""
    first: First = 0
    """Place of the first pair shown in the list that the arms share, from 0."""
    count: Count = 12


class ExampleRead(BaseModel):
    """An experiment file that comes with PairLab."""

    name: str
    title: str
    """Its question: the first line of its comments."""
    dataset: str
    registrations: list[Registration]
    """The rendered scenes it wants registered, as its comments say; those of files are not known here."""
    yaml: str


class PlanRead(BaseModel):
    """What an experiment would run."""

    experiment: Experiment
    yaml: str
    content_hash: str
    jobs: int
    pretrain_jobs: int
    segment_jobs: int
    score_jobs: int
    """Change scores that filters go by, computed before the pretrainings that need them."""
    already_done: int
    """Jobs whose result exists and is taken over."""
    shared_pretrainings: int
    """Pretrainings saved because arms or earlier experiments share them."""
    estimated_seconds: float | None
    """From speeds measured on this installation; null before the first job of its kind has run."""
    estimate_basis: str
    """In words, where the estimate comes from or why there is none."""
    realised_noise: dict[str, float | None]
    """Per arm, the share of noisy pairs it would draw (first seed). Here and below, null of baselines and of arms that
    filter by a change score that is not computed yet."""
    realised_mismatch: dict[str, float | None]
    """Per arm, the share of pairs whose positive shows another place."""
    exposure_matched: dict[str, bool | None]
    """Per arm, whether its pairing shows the images that the reference's shows, as often; another dataset and other
    scenes are factors of their own."""
    filtered: dict[str, Filtered | None]
    """Per arm, what its filter does; null without one."""
    balance: dict[str, Balance | None]
    """Per arm, what its pairs show."""
    factors: dict[str, list[str]]
    """Per arm, in what it differs from the reference: dataset, scenes, method, pairing; empty for baselines."""
    warnings: list[str]


class ExperimentRead(BaseModel):
    """One experiment of a list."""

    id: str
    name: str
    dataset: str
    status: ExperimentStatus
    """failed: at least one job failed and none is left to run."""
    content_hash: str
    arms: list[str]
    seeds: list[int]
    jobs: dict[JobStatus, int]
    """Jobs per state."""
    created_at: datetime
    finished_at: datetime | None


class ExperimentDetail(ExperimentRead):
    """One experiment with its file and its jobs."""

    experiment: Experiment
    yaml: str
    job_list: list[JobRead]


class SeedScore(BaseModel):
    """Test score of one arm, protocol and seed."""

    seed: int
    job: str
    miou: float
    """In [0, 1]."""
    iou: dict[str, float | None]
    """Per class; null where the class is absent from the test labels, and so from the mean."""
    macro_f1: float | None
    """Mean of `f1`, in [0, 1]."""
    f1: dict[str, float | None]
    """Per class; null as `iou`."""
    accuracy: float | None
    """Share of labelled pixels that are right."""
    boundary_f1: float | None
    """Mean over classes of the F1 of contours; here and below null of jobs that older versions ran."""
    ece: float | None
    """Expected calibration error, in [0, 1]: the less the better."""
    xview2: float | None = None
    """The official xView2 score, in [0, 1]; of damage levels alone."""


class FilteredMean(BaseModel):
    """What a filter did to the pairs drawn, mean over seeds."""

    drawn: float
    thrown_away: float
    noisy_thrown_away: float
    """Of these, pairs that the labels know to be noisy."""
    threshold: float | None
    """Of the change score; null of an oracle."""


class ArmResult(BaseModel):
    """One row of the table: arm × protocol."""

    arm: str
    protocol: str
    baseline: bool
    reference: bool
    seeds: list[SeedScore]
    missing: dict[int, JobStatus]
    """Seeds without a score yet, with the state of their segment job."""
    mean_miou: float | None
    std_miou: float | None
    """Sample standard deviation over seeds; null below two."""
    mean_iou: dict[str, float | None]
    mean_macro_f1: float | None
    """Mean over seeds, as the others here; each null where no seed has it."""
    mean_f1: dict[str, float | None]
    mean_accuracy: float | None
    mean_boundary_f1: float | None
    mean_ece: float | None
    mean_xview2: float | None
    """Mean of the official xView2 score over seeds, in [0, 1]; of damage levels alone."""
    difference: float | None
    """Mean paired difference to the reference arm over the seeds both have, mIoU points (−100 to 100)."""
    difference_seeds: int
    realised_noise: float | None
    """Share of noisy pairs, mean over seeds; here and below null before a pretraining has begun, and of baselines."""
    realised_mismatch: float | None
    """Share of pairs whose positive shows another place, mean over seeds."""
    distinct_pairs: float | None
    """Pairs that a filter left, mean over seeds."""
    exposure_matched: bool | None
    """Whether its pairing shows the images that the reference's shows, as often; otherwise its difference is not one
    of pairing alone. Another dataset and other scenes are factors of their own."""
    filtered: FilteredMean | None
    """null without a filter."""
    score_seconds: float | None
    """What computing the change score of its filter took, mean over the draws of the dataset."""
    factors: list[str]
    """In what it differs from the reference: dataset, scenes, method, pairing."""


class ResultsRead(BaseModel):
    """All an experiment has found so far."""

    id: str
    name: str
    status: ExperimentStatus
    classes: list[str]
    primary_protocol: str
    reference: str
    margin: float
    looks: list[int]
    """Numbers of seeds at which a verdict is read, planned before the run."""
    verdicts: list[VerdictRead]
    """Of every arm that is neither a baseline nor the reference, under the primary protocol."""
    rows: list[ArmResult]
    """In the order of the arms, then of the protocols."""
    notes: list[str]
    """What may be concluded and what not, one sentence each (too few seeds, transductive, …)."""
