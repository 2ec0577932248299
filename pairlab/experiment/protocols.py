"""What a pretrained network is worth: the labels it is given and the ways it is tested."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel, Share

LabelScheme = Literal["building", "intact_damaged", "damage_levels", "object_states", "change", "classes"]
Unclassified = Literal["ignore", "no-damage", "own-class"]


class Labels(FrozenModel):
    """The classes of the downstream task and how many labelled chips it may learn from."""

    scheme: LabelScheme = "intact_damaged"
    """building: background, building. intact_damaged: background, intact, damaged. damage_levels (xBD): background and
    the four damage levels. object_states (synthetic): background and, per object class, intact and damaged. change
    (change masks, as LEVIR-CD has them): unchanged, changed. classes (masks of a manifest): the classes it names."""
    unclassified: Unclassified = "ignore"
    """What becomes of xBD's un-classified buildings: left out of loss and score, counted as intact, or a class of their
    own (behind the scheme's classes; of scheme building they are buildings)."""
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

    by: Literal["official", "random", "blocks", "events"] = "official"
    """official: the dataset's own. random: shares of the scenes, drawn by `seed`. blocks: as random, but whole squares
    of `block_metres` at a time, because tiles adjoin. events: `test_events` test, and a share of the others validates;
    naming `test_events` alone means this."""
    test_events: tuple[str, ...] = ()
    """Events held out for the test."""
    test_share: Share = 0.2
    """random and blocks: share of the scenes that tests."""
    validation_share: Share = 0.2
    """random and blocks: share of the scenes that validates; events: of those that do not test."""
    block_metres: float = Field(default=2000.0, ge=100.0, le=1_000_000.0)
    """Side of a spatial block, metres; an xBD tile measures about 500."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.test_events and self.by in ("random", "blocks"):
            raise ValueError(f"test_events hold whole events out, which by: {self.by} does not; take by: events")
        if self.by == "events" and not self.test_events:
            raise ValueError("by: events needs test_events, the events held out for the test")
        if self.by in ("random", "blocks") and self.test_share + self.validation_share >= 1:
            raise ValueError(
                f"test_share {self.test_share:g} and validation_share {self.validation_share:g} leave nothing to "
                "train on; their sum must be below 1"
            )
        return self

    @property
    def official(self) -> bool:
        """Whether the dataset's own splits are taken."""
        return self.by == "official" and not self.test_events
