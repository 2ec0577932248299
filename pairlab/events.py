"""What a running job tells: the science yields these, whoever runs it decides where they go."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins or goes on; `step` steps of `total_steps` are done."""

    step: int
    total_steps: int
    facts: Mapping[str, Any]
    """Device, precision, realised noise: what this run found, for the log and the job page."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures at a step, by key: `loss`, `learning_rate`, `pairs_per_s`, `fine_tuning/miou`, …; all finite."""

    step: int
    values: Mapping[str, float]
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """Something about the run that its owner should know while it goes on, in a sentence with the numbers."""

    step: int
    sentence: str
    kind: str = "remark"
    """What it is about: collapse, starving, standing_still, or a remark. Attempts that follow are told the kinds."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A file was written whole below the run's folder and will not change."""

    kind: Literal["checkpoint", "weights", "prediction", "results", "embedding_map", "uncertainty"]
    step: int
    path: Path
    sha256: str
    details: Mapping[str, Any]
    """prediction, uncertainty: scene, split, protocol, acquisition. Others: what the reader needs to know."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The run ended, with its results (a JSON-able mapping) or on request (`stopped`)."""

    step: int
    results: Mapping[str, Any]
    stopped: bool = False


Event = Started | Metrics | Warned | Saved | Finished
