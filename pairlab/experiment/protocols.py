"""What a pretrained network is worth: the labels it is given and the ways it is tested."""

from typing import Annotated, Literal

from pydantic import Field

from pairlab.experiment.model import FrozenModel
from pairlab.experiment.pairing import Share

LabelScheme = Literal["building", "intact_damaged", "damage_levels", "object_states"]


class Labels(FrozenModel):
    """The classes of the downstream task and how many labelled chips it may learn from."""

    scheme: LabelScheme = "intact_damaged"
    """building: background, building. intact_damaged: background, intact, damaged. damage_levels (xBD): background and
    the four damage levels. object_states (synthetic): background and, per object class, intact and damaged."""
    unclassified: Literal["ignore", "no-damage"] = "ignore"
    """What becomes of xBD's un-classified buildings: left out of loss and score, or counted as intact."""
    train_chips: int = Field(default=32, ge=1, le=1_000_000)
    """Labelled chips for the downstream training, drawn from the train split with objects first."""


class LinearProbe(FrozenModel):
    """A linear classifier per pixel on frozen features; batch-norm statistics are frozen too."""

    name: Literal["linear_probe"] = "linear_probe"
    steps: int = Field(default=200, ge=1, le=1_000_000)
    batch_size: int = Field(default=16, ge=1, le=4096)
    learning_rate: float = Field(default=1e-2, gt=0.0, le=10.0)
    evaluate_every: int = Field(default=50, ge=1)


class FineTuning(FrozenModel):
    """The whole network, trained with a new linear head."""

    name: Literal["fine_tuning"] = "fine_tuning"
    steps: int = Field(default=200, ge=1, le=1_000_000)
    batch_size: int = Field(default=16, ge=1, le=4096)
    learning_rate: float = Field(default=1e-3, gt=0.0, le=10.0)
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)
    evaluate_every: int = Field(default=50, ge=1)


Protocol = Annotated[LinearProbe | FineTuning, Field(discriminator="name")]


class Splits(FrozenModel):
    """Which scenes train, validate and test. A scene is in one split only."""

    test_events: tuple[str, ...] = ()
    """Events held out for the test; empty takes the dataset's own splits."""
    validation_share: Share = 0.2
    """With `test_events`: the share of the other scenes, drawn by `seed`, that validates."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
