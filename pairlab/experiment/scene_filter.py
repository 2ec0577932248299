"""Which scenes of a dataset are meant: what lists show, selections export and experiments use."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pairlab.experiment.model import FrozenModel

SplitName = Literal["train", "validation", "test"]
Range = tuple[float, float]
"""Least and greatest value that passes."""


class SceneFilter(FrozenModel):
    """Everything given must hold; what is left out lets all scenes pass. A scene without a value passes no range."""

    events: tuple[str, ...] = ()
    """Any of these."""
    splits: tuple[SplitName, ...] = ()
    """Any of the dataset's own splits."""
    change_share: Range | None = None
    """Relevant-change pixels / valid pixels, in [0, 1]."""
    object_change_share: Range | None = None
    """Relevant-change pixels / object pixels in either acquisition, in [0, 1]."""
    no_data_share: Range | None = None
    """Pixels without data in one acquisition or the other, in [0, 1]."""
    offset: Range | None = None
    """Estimated offset between first and last acquisition, pixels."""
    objects: tuple[str, ...] = ()
    """Shows an object of any of these classes (of xBD: damage levels)."""
    where: dict[str, Annotated[tuple[str, ...], Field(min_length=1)] | Range] = Field(default_factory=dict)
    """The dataset's own columns: one of the given texts, or a range."""
    name: str = Field(default="", max_length=200)
    """Part of the scene's name, whatever its case."""
    only: tuple[str, ...] = Field(default=(), max_length=100_000)
    """Names of scenes; empty is all."""
    without: tuple[str, ...] = Field(default=(), max_length=100_000)
    """Names of scenes that do not pass."""

    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        named = {name: getattr(self, name) for name in ("change_share", "object_change_share", "no_data_share")}
        ranges = {**named, "offset": self.offset, **{f"where.{name}": value for name, value in self.where.items()}}
        for name, value in ranges.items():
            if value is not None and not isinstance(value[0], str) and value[0] > value[1]:
                raise ValueError(f"{name} must be [low, high], got {list(value)}")
        return self

    @property
    def uses_labels(self) -> tuple[str, ...]:
        """The fields in use that need to know where relevant change or objects are."""
        return tuple(name for name in ("change_share", "object_change_share", "objects") if getattr(self, name))
