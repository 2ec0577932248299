"""The co-primary endpoints of a segmentation: mIoU, and the mean IoU of the classes that tell an object's state."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pairlab.experiment.protocols import LabelScheme
from pairlab.verdict.differences import mean

Endpoint = Literal["miou", "state_iou"]
_STATES: dict[LabelScheme, slice] = {
    "intact_damaged": slice(1, 3),  # without un-classified buildings, which may be a class behind
    "damage_levels": slice(1, 5),
    "object_states": slice(1, None),
}
"""Where the state classes of a scheme stand; index 0 is the background."""


def state_classes(scheme: LabelScheme, classes: Sequence[str]) -> tuple[str, ...]:
    """Returns the classes that tell an object's state: intact and damaged, the damage levels, or those per object kind.

    Schemes building, change and classes have none: they say what is there, or that it changed, and mIoU is their one
    endpoint.

    Args:
        scheme: of the labels.
        classes: its names, the background first.
    """
    return tuple(classes[_STATES[scheme]]) if scheme in _STATES else ()


def endpoint_scores(miou: float, iou: Mapping[str, float | None], states: Sequence[str]) -> tuple[float, ...] | None:
    """Returns a run's score at each endpoint, in [0, 1], or None where no state class occurs in its test scenes.

    A class that no label of the test scenes shows counts at neither endpoint, as in mIoU.

    Args:
        miou: over all classes.
        iou: by class.
        states: of `state_classes`.
    """
    if not states:
        return (miou,)
    known = [value for name in states if (value := iou.get(name)) is not None]
    return (miou, mean(known)) if known else None
