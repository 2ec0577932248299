"""What a pretrained network is worth: the labels it is given and the ways it is tested."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel, Share

LabelScheme = Literal["building", "intact_damaged", "damage_levels", "object_states", "change", "classes"]
Unclassified = Literal["ignore", "no-damage", "own-class"]


TaskInput = Literal["post", "pre", "difference", "concatenation"]
Loss = Literal["cross_entropy", "focal", "dice", "cross_entropy_dice"]
LearningRate = Annotated[float, Field(gt=0.0, le=10.0)]
ClassWeight = Annotated[float, Field(gt=0.0, le=10_000.0)]


class Labels(FrozenModel):
    """The downstream task: its classes, the images they are read from and how many labels it may learn from."""

    scheme: LabelScheme = "intact_damaged"
    """building: background, building. intact_damaged: background, intact, damaged. damage_levels (xBD): background and
    the four damage levels. object_states (synthetic): background and, per object class, intact and damaged. change
    (change masks, as LEVIR-CD has them): unchanged, changed. classes (masks of a manifest): the classes it names."""
    unclassified: Unclassified = "ignore"
    """What becomes of xBD's un-classified buildings: left out of loss and score, counted as intact, or a class of their
    own (behind the scheme's classes; of scheme building they are buildings)."""
    train_chips: int | None = Field(default=32, ge=1, le=1_000_000)
    """Labelled chips for the downstream training, drawn from the train split with objects first; null where scenes or a
    share of them are labelled instead."""
    train_scenes: int | None = Field(default=None, ge=1, le=1_000_000)
    """Labelled scenes, with all their chips: drawn from the train split by seed, so that all classes come in equal
    shares of their scenes, and more scenes contain fewer."""
    train_share: float | None = Field(default=None, gt=0.0, le=1.0)
    """Share of the train split's labelled scenes, drawn as `train_scenes`: 0.1 contains 0.01."""
    input: TaskInput = "post"
    """The image after the change, the one before (of scheme building alone, whose labels are then those before), or
    both through one encoder: the size of the difference of their features, or their features side by side."""

    @model_validator(mode="before")
    @classmethod
    def _one_budget(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        budgets = [name for name in BUDGETS if given.get(name) is not None]
        if len(budgets) > 1:
            said = " and ".join(f"{name}: {given[name]}" for name in budgets)
            raise ValueError(f"one budget of labels, got {said}: keep one of them")
        if "train_chips" in given and not budgets:
            raise ValueError("train_chips: null leaves no labels; set train_chips, train_scenes or train_share")
        return given if budgets in ([], ["train_chips"]) else {**given, "train_chips": None}

    @model_validator(mode="after")
    def _damage_is_seen_afterwards(self) -> Self:
        if self.input == "pre" and self.scheme != "building":
            raise ValueError(
                f"input: pre shows nothing of {self.scheme}, which the image before cannot tell: take input post, "
                "difference or concatenation, or scheme building"
            )
        return self

    @property
    def budget(self) -> str:
        """How many labels may be learned from, in words."""
        if self.train_share is not None:
            return f"{100 * self.train_share:g} % of scenes"
        return f"{self.train_chips} chips" if self.train_scenes is None else f"{self.train_scenes} scenes"

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401  (pydantic's signature)
        """Leaves the chips out of a shortened dump where another budget took their place."""
        super().model_post_init(context)
        if self.train_chips is None:
            self.model_fields_set.discard("train_chips")


BUDGETS = ("train_chips", "train_scenes", "train_share")


class _Supervised(FrozenModel):
    """What all protocols have: a head trained on the labelled chips."""

    name: str
    steps: int = Field(default=200, ge=1, le=1_000_000)
    batch_size: int = Field(default=16, ge=1, le=4096)
    learning_rate: LearningRate = 1e-3
    """At the start; it falls to 0 by a half cosine."""
    learning_rates: tuple[LearningRate, ...] = Field(default=(), max_length=8)
    """Rates that are each tried in full, in every arm; the one of the highest validation mIoU is tested. Empty takes
    `learning_rate`."""
    loss: Loss = "cross_entropy"
    """focal (gamma 2), dice, or the sum of cross-entropy and dice help where classes are rare."""
    class_weights: Literal["equal", "balanced"] | dict[str, ClassWeight] = "equal"
    """What each class weighs in the loss. balanced: the inverse of its share of the labelled pixels. Or a weight per
    class by name; others weigh 1."""
    checkpoint: Literal["last", "best"] = "last"
    """Which weights are tested: those of the last step, or of the highest mIoU on validation scenes, looked for every
    `evaluate_every` steps. Declared before the run."""
    evaluate_every: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _rates_differ(self) -> Self:
        if len(self.learning_rates) == 1 or len(set(self.learning_rates)) != len(self.learning_rates):
            raise ValueError(
                f"learning_rates {list(self.learning_rates)}: a search needs two or more different rates; for one, set "
                "learning_rate alone"
            )
        return self

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that are tried, in order."""
        return self.learning_rates or (self.learning_rate,)

    @property
    def total_steps(self) -> int:
        """Steps of all rates that are tried."""
        return self.steps * len(self.rates)


class LinearProbe(_Supervised):
    """A linear classifier per pixel on frozen features; batch-norm statistics are frozen too."""

    name: Literal["linear_probe"] = "linear_probe"
    learning_rate: LearningRate = 1e-2


class SmallDecoder(_Supervised):
    """A small decoder on the frozen encoder's levels; batch-norm statistics are frozen too.

    A level each through a 1×1 convolution, their sum through a 3×3 convolution, as in a feature pyramid, and a linear
    head: what a decoder can make of the features without moving them.
    """

    name: Literal["small_decoder"] = "small_decoder"
    channels: int = Field(default=64, ge=8, le=1024, multiple_of=8)
    """Of the decoder."""
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)


class FineTuning(_Supervised):
    """The whole network, trained with a new linear head."""

    name: Literal["fine_tuning"] = "fine_tuning"
    weight_decay: float = Field(default=1e-4, ge=0.0, le=1.0)


Protocol = Annotated[LinearProbe | SmallDecoder | FineTuning, Field(discriminator="name")]


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
