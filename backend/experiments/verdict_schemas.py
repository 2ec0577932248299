"""What the API says about verdicts, and about the seeds that another look would take."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pairlab.experiment.experiment import Seed
from pairlab.verdict.endpoints import Endpoint
from pairlab.verdict.outcomes import Outcome, Word


class SignTestRead(BaseModel):
    """How many seeds went which way. It stands beside the verdict, and never makes it."""

    below: int
    above: int
    equal: int
    p_value: float
    """Two-sided; it knows no margin."""


class EndpointRead(BaseModel):
    """One co-primary endpoint of an arm: differences to the reference, mIoU points."""

    name: Endpoint
    title: str
    """In words: mIoU, or the classes that tell a state."""
    mean: float
    deviation: float | None
    """Sample standard deviation over seeds; null below two."""
    low: float | None
    """Bounds of the interval, simultaneous over the family; null below two seeds. An end that lies on the margin may
    have been brought there, because the word rests on more than this interval."""
    high: float | None
    sign_test: SignTestRead
    lopsided: float | None
    """Skewness of the differences where it is conspicuous: t intervals rest on their symmetry."""


class LookRead(BaseModel):
    """What was read at one planned look."""

    look: int
    outcome: Outcome


class VerdictRead(BaseModel):
    """What an arm has shown against the reference, under the primary protocol."""

    arm: str
    outcome: Outcome | None
    """null before the first planned look of at least 5 seeds."""
    word: str
    """The outcome as it is said; on fixed tiles with “for these test scenes”."""
    plain: str
    """What that means, for someone who never heard of an equivalence test."""
    shown: str
    """What was shown, with its figures."""
    not_shown: str
    """What was not shown."""
    caveats: list[str]
    """What keeps the difference from being put down to the pairing alone, and limits of the intervals."""
    look: int | None
    """The planned look it was read at; between looks it stands."""
    seeds: int
    """Seeds that arm and reference have by now, without those behind one that is still to come."""
    next_look: int | None
    """null after the last."""
    seeds_needed: int | None
    """The planned look at which an arm without any difference would be shown robust with a probability of 0.8, at the
    upper 80 % bound of the deviation; the difference seen plays no part."""
    reachable: bool | None
    """Whether there is such a look among the planned ones; null where nothing is left to decide, or cannot be said."""
    needed: str
    """The same as a sentence; empty where nothing is left to decide."""
    alpha: float
    """Level of a one-sided test at one look, over the family. A word is shown whose p-value is at most this."""
    interval_level: float
    """Probability with which all arms' intervals of an endpoint hold at once, at one look."""
    family: int
    """Arms that share the error rate."""
    p_values: dict[Word, float]
    """Adjusted over the family, at the look."""
    endpoints: list[EndpointRead]
    """At the look; before the first, of the seeds so far; empty without any."""
    ladder: list[str]
    """The rungs it is one of, least disturbed first: tested in this order, without a share of the error rate each."""
    breaks_at: str | None
    """The first rung that is not shown to be not harmed."""
    history: list[LookRead]


class BootstrapInterval(BaseModel):
    """A 90 % percentile interval of the mean difference at one endpoint, mIoU points; of this arm alone."""

    title: str
    low: float
    high: float


class BootstrapRead(BaseModel):
    """What drawing seeds and test scenes again says of an arm. It stands beside the verdict, and never makes it."""

    arm: str
    seeds: int
    scenes: int
    intervals: list[BootstrapInterval]
    reason: str | None
    """Why there are none."""


class ExtendRequest(BaseModel):
    """More seeds for an experiment: up to a number of them, by name, or, if nothing is said, up to the next look."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}, {"to": 10}, {"seeds": [7, 8]}]})

    to: int | None = Field(default=None, ge=1)
    """Seeds in all."""
    seeds: list[Seed] | None = Field(default=None, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _one_at_most(self) -> "ExtendRequest":
        if self.to is not None and self.seeds is not None:
            raise ValueError("give either `to`, the number of seeds in all, or `seeds` by name, and not both")
        return self


class ExtensionRead(BaseModel):
    """What further seeds would take."""

    seeds: list[int]
    """Those that would be added; empty where the experiment has enough for its next look, or no look is left."""
    to: int
    """Seeds in all."""
    look: int | None
    """The planned look that they reach."""
    jobs: int
    """That would have to run."""
    estimated_seconds: float | None
    estimate_basis: str
    reason: str | None
    """Why nothing would be added."""
