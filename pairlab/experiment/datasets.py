"""What a dataset is made of: the knobs of synthetic scenes, the place of an xBD tree."""

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pairlab.experiment.model import FrozenModel
from pairlab.experiment.pairing import Share

DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]


class SyntheticScenes(FrozenModel):
    """The knobs of the scene generator. A preset freezes them before any arms are compared."""

    size: int = Field(default=64, ge=32, le=1024, multiple_of=32)
    """Height and width of a scene, pixels."""
    object_classes: int = Field(default=3, ge=1, le=8)
    objects: tuple[int, int] = (3, 7)
    """Least and most objects in a scene."""
    object_size: tuple[int, int] = (9, 20)
    """Least and greatest side of an object, pixels."""
    illumination: Share = 0.5
    """Strength of the light's difference between acquisitions (0 none, 1 greatest)."""
    colour: Share = 0.5
    haze: Share = 0.5
    sensor_noise: Share = 0.5
    change_rate: Share = 0.8
    """Share of scenes with a relevant change."""
    change_extent: tuple[Share, Share] = (0.3, 0.8)
    """Share of a changed scene's object pixels that change, approached by whole objects."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("objects", "object_size", "change_extent"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be [low, high], got {[low, high]}")
        if self.objects[0] < 1 or self.object_size[0] < 4:
            raise ValueError("a scene needs at least 1 object, and an object a side of at least 4 pixels")
        if self.object_size[1] > self.size:
            raise ValueError(f"objects of {self.object_size[1]} pixels do not fit into scenes of {self.size}")
        return self


PRESETS: dict[str, SyntheticScenes] = {"quickstart": SyntheticScenes()}


class SyntheticDataset(FrozenModel):
    """Scenes rendered on demand. Every seed of an experiment redraws them, so that seeds are independent."""

    kind: Literal["synthetic"] = "synthetic"
    preset: str = "quickstart"
    train: int = Field(default=1400, ge=1, le=1_000_000)
    """Scenes in the train split."""
    validation: int = Field(default=32, ge=1, le=100_000)
    test: int = Field(default=128, ge=1, le=100_000)

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str) -> str:
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; there are: {', '.join(sorted(PRESETS))}")
        return preset

    @property
    def scenes(self) -> SyntheticScenes:
        """The knobs the preset stands for."""
        return PRESETS[self.preset]


class XbdDataset(FrozenModel):
    """An xBD tree (`{train,tier3,test,hold}/{images,labels,targets}`) in a folder of a data root, read only."""

    kind: Literal["xbd"] = "xbd"
    root: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]{1,64}$")]
    """Name of a data root given at start (`--data-root NAME=FOLDER`), never a path."""
    folder: str = ""
    """Folder below the root; empty is the root itself."""
    damage_from: Literal["minor-damage", "major-damage", "destroyed"] = "minor-damage"
    """The damage level from which a building counts as changed and as damaged."""

    @field_validator("folder")
    @classmethod
    def _below_the_root(cls, folder: str) -> str:
        path = PurePosixPath(folder)
        if path.is_absolute() or ".." in path.parts or "\\" in folder or "\0" in folder:
            raise ValueError(f"folder must be a relative path below the data root, got {folder!r}")
        return "" if path == PurePosixPath(".") else str(path)


DatasetConfig = Annotated[SyntheticDataset | XbdDataset, Field(discriminator="kind")]
