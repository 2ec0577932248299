"""Where imagery comes from: scenes, their acquisitions, labels and relevant change, the same for every dataset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.protocols import LabelScheme

UInt8Array = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

IGNORE = 255
"""Class index of pixels that neither train nor score."""


class SceneError(ValueError):
    """A dataset, scene or file that cannot be used; the message names it, says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One place with two or more co-registered acquisitions."""

    name: str
    split: str
    """train, validation or test (of xBD: tier3 is train, hold is validation)."""
    event: str
    acquisitions: tuple[str, ...]
    """In order of time; the first is before the change."""
    height: int
    width: int
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Per acquisition, what the dataset says of it (sensor, capture date, off-nadir angle, …)."""


@dataclass(frozen=True, slots=True)
class ChangeMaps:
    """Where a scene's relevant change is; four bool arrays of shape (height, width)."""

    changed: BoolArray
    """Pixels of objects whose state differs between the acquisitions."""
    objects: BoolArray
    """Object pixels in either acquisition."""
    unknown: BoolArray
    """Pixels whose change is not known (xBD: un-classified buildings)."""
    valid: BoolArray
    """Pixels with data in both acquisitions."""


class SceneSource(Protocol):
    """A dataset opened for reading. Methods raise SceneError with the file's name where a file cannot be used."""

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes in a fixed order."""
        ...

    def classes(self, scheme: LabelScheme) -> tuple[str, ...]:
        """Returns the class names of a label scheme; index 0 is the background."""
        ...

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> UInt8Array:
        """Returns the image as uint8 RGB of shape (height, width, 3).

        Args:
            scene: one of `scenes`.
            acquisition: one of its acquisitions; gives light, colour, haze and noise.
            state: acquisition whose object states are shown; None is its own. Another one renders the scene again
                without (or with) its change, which only synthetic scenes can do.
        """
        ...

    def mask(
        self,
        scene: Scene,
        acquisition: str,
        scheme: LabelScheme,
        *,
        unclassified: Literal["ignore", "no-damage"] = "ignore",
    ) -> UInt8Array:
        """Returns class indices of shape (height, width), uint8, IGNORE where unlabelled."""
        ...

    def change(self, scene: Scene) -> ChangeMaps:
        """Returns the relevant change between the first and the last acquisition."""
        ...
