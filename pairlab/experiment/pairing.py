"""Which two images form a positive pair, and how noisy the pairs are."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pairlab.experiment.change_scores import ChangeScore
from pairlab.experiment.model import FrozenModel, Share

ControlName = Literal["rerender", "masked", "same_acquisition", "replace"]
Extent = tuple[Share, Share]
"""Least and greatest object change share."""
EVERY_EXTENT: Extent = (0.0, 1.0)


class Noise(FrozenModel):
    """How the pairs are made worse: relevant change, wrong places, misregistration."""

    rate: Share | None = None
    """Exact share of noisy pairs among the pairs drawn; null takes the pairs as the data has them."""
    extent: Extent = EVERY_EXTENT
    """Bounds of a noisy pair's object change share (relevant-change pixels / object pixels)."""
    control: ControlName | None = None
    """What stands in for a noisy pair at a lower rate. rerender: the scene rendered again without its change (synthetic
    only). masked: the same two images with the changed pixels excluded from matching (dense methods that match by
    geometry). same_acquisition: one image of the place with itself, half first and half last, which loses the nuisance
    too. replace: a clean place of the same event and about the same share of objects, which changes the places. Null
    takes rerender for synthetic scenes and masked for real ones."""
    min_changed_pixels: int = Field(default=16, ge=1)
    """Relevant-change pixels from which a pair counts as noisy."""
    mismatch_rate: Share = 0.0
    """Exact share of pairs whose positive shows another place; they are counted apart, never as noisy."""
    mismatch_from: Literal["same_event", "other_event", "similar"] = "same_event"
    """Where the other place lies: in another scene of the event, in another event, or in the scene of any event whose
    share of objects is nearest."""
    shift_px: float = Field(default=0.0, ge=0.0, le=64.0)
    """Standard deviation, down and across, of a displacement of the positive, pixels; one normal draw per pair, unknown
    to the loss."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.extent[0] > self.extent[1]:
            raise ValueError(f"extent must be [low, high], got {list(self.extent)}")
        if self.rate is None and self.control is not None:
            raise ValueError(f"control {self.control!r} replaces noisy pairs at a rate below 1: set noise.rate as well")
        if (self.rate or 0.0) + self.mismatch_rate > 1.0:
            raise ValueError(
                f"a pair is noisy or mismatched, not both: rate {self.rate:g} and mismatch_rate "
                f"{self.mismatch_rate:g} must add up to at most 1"
            )
        return self


class NoFilter(FrozenModel):
    """All pairs are used."""

    by: Literal["none"] = "none"


class OracleFilter(FrozenModel):
    """Throws away the pairs that the labels know to be noisy: the best that any filter could do."""

    by: Literal["oracle"] = "oracle"


class ChangeScoreFilter(FrozenModel):
    """Throws away the pairs whose unsupervised change score is too high, as one can without labels."""

    by: Literal["change_score"] = "change_score"
    score: ChangeScore
    threshold: float | None = None
    """Pairs with a higher score are thrown away, in the score's own unit."""
    quantile: Share | None = None
    """The threshold is this quantile of the scores of all chips of the train split."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.threshold is None) == (self.quantile is None):
            raise ValueError("a change_score filter has either a threshold or a quantile")
        return self


def _by_name(value: object) -> object:
    return {"by": value} if isinstance(value, str) else value


_OneFilter = Annotated[NoFilter | OracleFilter | ChangeScoreFilter, Field(discriminator="by")]
PairFilter = Annotated[
    _OneFilter, BeforeValidator(_by_name, json_schema_input_type=Literal["none", "oracle"] | _OneFilter)
]
"""Those without further fields may be given as a word: `filter: oracle`."""


class TimeGap(FrozenModel):
    """How far two acquisitions of a temporal pair lie apart, for scenes with more than two."""

    steps: tuple[int, int] | None = None
    """Least and most steps in the order of the acquisitions; neighbours are 1 apart."""
    days: tuple[float, float] | None = None
    """Least and most days; the acquisitions' names are dates (2021-06-30)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.steps is None) == (self.days is None):
            raise ValueError("a time_gap is given either in steps or in days")
        low, high = self.steps or self.days or (0, 0)
        if low > high or high <= 0 or low < 0:
            raise ValueError(f"time_gap must be [low, high] with 0 ≤ low ≤ high and high > 0, got {[low, high]}")
        return self


class Pairing(FrozenModel):
    """The pairing policy of one arm."""

    policy: Literal["same_image", "temporal"]
    """The positive is the same image again, or another acquisition of the same place."""
    acquisition: str = Field(default="balanced", min_length=1, max_length=80)
    """Which date `same_image` takes: balanced draws equally from every date."""
    time_gap: TimeGap | None = None
    """Which two acquisitions `temporal` takes; null the first and the last."""
    noise: Noise = Noise()
    filter: PairFilter = NoFilter()
    """What a practitioner could do beforehand. It lowers the number of distinct pairs, never the steps."""
    pairs: int = Field(default=1000, ge=2, le=10_000_000)
    """The budget of distinct pairs. Optimizer steps are set by the training, so they are equal in every arm."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.policy == "same_image":
            named = [name for name, value in self.noise if value != Noise.model_fields[name].default]
            given = [f"noise.{name}" for name in named if name != "min_changed_pixels"]
            given += ["filter"] * (self.filter.by != "none") + ["time_gap"] * (self.time_gap is not None)
            if given:
                raise ValueError(f"same_image pairs an image with itself and cannot be noisy: remove {_listed(given)}")
        elif self.acquisition != "balanced":
            raise ValueError(
                f"temporal pairs two acquisitions, so acquisition cannot be fixed to {self.acquisition!r}: remove it"
            )
        if self.time_gap is not None and self.noise.rate is not None:
            raise ValueError(
                "relevant change is known between the first and the last acquisition alone: with a time_gap, "
                "remove noise.rate"
            )
        if self.filter.by == "change_score" and self.noise.mismatch_rate > 0:
            raise ValueError(
                "a change score compares two images of one place, and mismatched pairs show two: remove "
                "noise.mismatch_rate or the filter"
            )
        if self.filter.by == "change_score" and self.time_gap is not None:
            raise ValueError(
                "change scores compare the first and the last acquisition: remove time_gap or take another filter"
            )
        return self

    @property
    def uses_labels(self) -> tuple[str, ...]:
        """The knobs that need to know where relevant change or objects are."""
        noise = self.noise
        found = {
            "noise.rate": noise.rate is not None,
            "noise.extent": noise.extent != EVERY_EXTENT,
            "noise.mismatch_from: similar": noise.mismatch_rate > 0 and noise.mismatch_from == "similar",
            "filter: oracle": self.filter.by == "oracle",
        }
        return tuple(name for name, used in found.items() if used)


class PlaceExtent(FrozenModel):
    """An extent that some arms take their noisy pairs from."""

    extent: Extent
    rate: Share
    """The greatest rate any of them asks for: so many of the shared places lie within the extent."""


class Places(FrozenModel):
    """The pool of places shared by all arms of an experiment, so that arms differ in pairing and not in exposure."""

    noisy_only: bool = False
    """Draw from places with a relevant change alone: set for every arm as soon as one arm asks for a noise rate."""
    extents: tuple[PlaceExtent, ...] = (PlaceExtent(extent=EVERY_EXTENT, rate=1.0),)
    """Places lie within one of these."""
    min_changed_pixels: int = Field(default=16, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _of_one_extent(cls, value: Any) -> Any:  # noqa: ANN401
        """Reads what earlier versions wrote: a single `extent`."""
        if isinstance(value, dict) and "extent" in value:
            value = dict(value)
            value["extents"] = [{"extent": value.pop("extent"), "rate": 1.0}]
        return value


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
