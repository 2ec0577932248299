"""Where imagery comes from: scenes, their acquisitions, labels and relevant change, the same for every dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pairlab.experiment.protocols import LabelScheme, Unclassified

UInt8Array = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]
Int16Array = NDArray[np.int16]
Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""Shape (height, width, bands)."""
Attribute = str | float | None
"""What a scene may be filtered and sorted by."""

IGNORE = 255
"""Class index of pixels that neither train nor score."""


class SceneError(ValueError):
    """A dataset, scene or file that cannot be used; the message names it, says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class SceneFiles:
    """Where one acquisition of a scene lies, as paths below the dataset's folder with forward slashes."""

    image: str
    label: str | None = None
    """Polygons or mask; None where the acquisition has no label."""


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
    files: Mapping[str, SceneFiles] = field(default_factory=dict)
    """Per acquisition; empty where scenes are rendered."""
    location: tuple[float, float] | None = None
    """Centre (x, y) in metres on a plane that all scenes of its event share; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A scene that cannot be used and takes no part in anything."""

    scene: str
    file: str
    """The file at fault, as a path below the dataset's folder."""
    reason: str
    """A sentence: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a dataset's folder, looked at without decoding a pixel."""

    scenes: tuple[Scene, ...]
    """By name."""
    quarantined: tuple[Quarantined, ...] = ()
    warnings: tuple[str, ...] = ()
    """What was left out and takes part in nothing (stray files, say), one sentence each."""


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of a dataset's images, and what maps them to [0, 1] for networks and eyes; tuples of equal length."""

    names: tuple[str, ...] = ("red", "green", "blue")
    low: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Value that becomes 0; what lies below is clipped."""
    high: tuple[float, ...] = (255.0, 255.0, 255.0)
    """Value that becomes 1; what lies above is clipped."""
    no_data: float | None = None
    """Value that stands for no data where all bands of a pixel have it: such pixels become 0, as NaN does."""

    def __len__(self) -> int:
        return len(self.names)


RGB = Bands()


@dataclass(frozen=True, slots=True)
class SceneObjects:
    """The labelled objects of a scene, as the last acquisition shows them; arrays of shape (objects,)."""

    y: Int16Array
    """Centroid, pixels; may lie outside of the scene where an object reaches past its edge."""
    x: Int16Array
    kind: UInt8Array
    """Position in the source's `object_classes`."""


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """What labels and metadata say of a scene, read without decoding an image."""

    objects: SceneObjects
    attributes: Mapping[str, Attribute]
    """The dataset's own columns (sensor, dates, …): equal keys for all its scenes."""
    location: tuple[float, float] | None = None
    """As in Scene."""


@dataclass(frozen=True, slots=True)
class Outline:
    """One labelled object of one acquisition."""

    name: str
    """Its identifier in the dataset (xBD: uid)."""
    kind: str
    """Its class, one of `object_classes`."""
    rings: Sequence[NDArray[np.int32]]
    """Outline and holes, each (vertices, 2): x and y in pixels."""


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

    @property
    def bands(self) -> Bands:
        """The bands of its images."""
        ...

    @property
    def object_classes(self) -> tuple[str, ...]:
        """Names of the classes that `LabelFacts` counts objects by; empty where the dataset has no objects."""
        ...

    def classes(self, scheme: LabelScheme, *, unclassified: Unclassified = "ignore") -> tuple[str, ...]:
        """Returns the class names of a label scheme; index 0 is the background."""
        ...

    def image(self, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        """Returns the image, shape (height, width, bands), read-only where it is shared.

        Args:
            scene: one of `scenes`.
            acquisition: one of its acquisitions; gives light, colour, haze and noise.
            state: acquisition whose object states are shown; None is its own. Another one renders the scene again
                without (or with) its change, which only synthetic scenes can do.
        """
        ...

    def mask(
        self, scene: Scene, acquisition: str, scheme: LabelScheme, *, unclassified: Unclassified = "ignore"
    ) -> UInt8Array:
        """Returns class indices of shape (height, width), uint8, IGNORE where unlabelled."""
        ...

    def change(self, scene: Scene, *, pixels: bool = True) -> ChangeMaps:
        """Returns the relevant change between the first and the last acquisition.

        Args:
            scene: one of `scenes`.
            pixels: False decodes no image: `valid` is then true everywhere.
        """
        ...

    def no_data(self, image: Pixels) -> BoolArray:
        """Returns where an image has no data, bool of shape (height, width)."""
        ...

    def label_facts(self, scene: Scene) -> LabelFacts:
        """Returns what labels and metadata say of a scene."""
        ...

    def metadata(self, scene: Scene, acquisition: str) -> Mapping[str, Any]:
        """Returns what the dataset says of an acquisition: plain values, for people to read."""
        ...

    def outlines(self, scene: Scene, acquisition: str) -> Sequence[Outline]:
        """Returns the labelled objects of an acquisition; none where the dataset has masks alone."""
        ...
