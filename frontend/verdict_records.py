"""The shapes of what the API answers about verdicts and further seeds."""

from typing import Literal, TypedDict

Outcome = Literal["robust", "benefits", "harmed", "not_harmed", "undecided"]


class SignTest(TypedDict):
    """How many seeds went which way."""

    below: int
    above: int
    equal: int
    p_value: float


class VerdictEndpoint(TypedDict):
    """Differences at one endpoint, mIoU points; bounds are null below two seeds."""

    name: Literal["miou", "state_iou"]
    title: str
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    sign_test: SignTest
    lopsided: float | None


class Look(TypedDict):
    """What was read at one planned look."""

    look: int
    outcome: Outcome


class Verdict(TypedDict):
    """What an arm has shown; `outcome` is null before the first look that gives words."""

    arm: str
    outcome: Outcome | None
    word: str
    plain: str
    shown: str
    not_shown: str
    caveats: list[str]
    look: int | None
    seeds: int
    next_look: int | None
    seeds_needed: int | None
    reachable: bool | None
    needed: str
    alpha: float
    interval_level: float
    family: int
    p_values: dict[str, float]
    endpoints: list[VerdictEndpoint]
    ladder: list[str]
    breaks_at: str | None
    history: list[Look]


class BootstrapInterval(TypedDict):
    """A 90 % percentile interval at one endpoint, mIoU points."""

    title: str
    low: float
    high: float


class Bootstrap(TypedDict):
    """What drawing seeds and scenes again says of an arm; without intervals, `reason` says why."""

    arm: str
    seeds: int
    scenes: int
    intervals: list[BootstrapInterval]
    reason: str | None


class Extension(TypedDict):
    """What further seeds would take; without any, `reason` says why."""

    seeds: list[int]
    to: int
    look: int | None
    jobs: int
    estimated_seconds: float | None
    estimate_basis: str
    reason: str | None
