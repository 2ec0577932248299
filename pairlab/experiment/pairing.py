"""Which two images form a positive pair, and how noisy the pairs are."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Noise(FrozenModel):
    """How many pairs show a relevant change, how much of it, and what stands in for a noisy pair at a lower rate."""

    rate: Share | None = None
    """Exact share of noisy pairs among the pairs drawn; null takes the pairs as the data has them."""
    extent: tuple[Share, Share] = (0.0, 1.0)
    """Bounds of a noisy pair's object change share (relevant-change pixels / object pixels)."""
    control: Literal["rerender", "masked"] | None = None
    """What replaces a noisy pair at a lower rate: the scene rendered again without its change (synthetic only), or the
    same two images with the changed pixels excluded from matching (dense methods). Null takes rerender for synthetic
    scenes and masked for real ones."""
    min_changed_pixels: int = Field(default=16, ge=1)
    """Relevant-change pixels from which a pair counts as noisy."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.extent[0] > self.extent[1]:
            raise ValueError(f"extent must be [low, high], got {list(self.extent)}")
        if self.rate is None and self.control is not None:
            raise ValueError(f"control {self.control!r} replaces noisy pairs at a rate below 1: set noise.rate as well")
        return self


class Pairing(FrozenModel):
    """The pairing policy of one arm."""

    policy: Literal["same_image", "temporal"]
    """The positive is the same image again, or another acquisition of the same place."""
    acquisition: str = Field(default="balanced", min_length=1, max_length=80)
    """Which date `same_image` takes: balanced draws equally from every date."""
    noise: Noise = Noise()
    pairs: int = Field(default=1000, ge=2, le=10_000_000)
    """The budget of distinct pairs. Optimizer steps are set by the training, so they are equal in every arm."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.policy == "same_image" and (self.noise.rate is not None or self.noise.extent != (0.0, 1.0)):
            raise ValueError(
                "same_image pairs an image with itself and cannot be noisy: remove noise.rate and noise.extent"
            )
        if self.policy == "temporal" and self.acquisition != "balanced":
            raise ValueError(
                f"temporal pairs two acquisitions, so acquisition cannot be fixed to {self.acquisition!r}: remove it"
            )
        return self


class Places(FrozenModel):
    """The pool of places shared by all arms of an experiment, so that arms differ in pairing and not in exposure."""

    noisy_only: bool = False
    """Draw from places with a relevant change alone: set for every arm as soon as one arm asks for a noise rate."""
    extent: tuple[Share, Share] = (0.0, 1.0)
    min_changed_pixels: int = Field(default=16, ge=1)
