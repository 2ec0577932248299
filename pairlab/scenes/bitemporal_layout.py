"""What a bi-temporal dataset names, by its folders or by its manifest, before any image is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pairlab.scenes.scene import SceneFiles

SPLITS: Mapping[str, str] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""Names of splits and the split each stands for."""
NO_EVENT = "none"
"""Event of scenes whose dataset names none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A scene as the dataset names it; whether it can be used, its files say."""

    name: str
    split: str
    event: str
    files: Mapping[str, SceneFiles]
    """Per acquisition, in order of time."""
    change: str | None = None
    """Mask of the change between first and last acquisition, as a path below the dataset's folder."""
    trouble: str | None = None
    """Why it cannot be used, as a sentence."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All scenes that a dataset names, and a sentence on each thing that was left out."""

    candidates: Sequence[Candidate]
    warnings: Sequence[str]
