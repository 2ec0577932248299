"""What a dataset is made of: knobs of synthetic scenes, an xBD tree, or any folder of images before and after."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from pairlab.experiment.model import FrozenModel
from pairlab.experiment.synthetic_scenes import PRESETS, SyntheticScenes, turn_knobs

DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.\-]{0,63}$")]


class SyntheticDataset(FrozenModel):
    """Scenes rendered on demand. Every seed of an experiment redraws them, so that seeds are independent."""

    kind: Literal["synthetic"] = "synthetic"
    preset: str = "quickstart"
    knobs: dict[str, Any] = Field(default_factory=dict)
    """Knobs that differ from the preset's, by name; see docs/synthetic-scenes.md."""
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

    @field_validator("knobs")
    @classmethod
    def _differing(cls, knobs: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Returns the knobs without those that the preset has anyway, so that equal scenes are equal datasets."""
        if "preset" not in info.data:  # refused already
            return knobs
        preset = PRESETS[info.data["preset"]]
        turned = turn_knobs(preset, knobs).model_dump(mode="json")
        return {name: turned[name] for name in sorted(knobs) if turned[name] != preset.model_dump(mode="json")[name]}

    @property
    def scenes(self) -> SyntheticScenes:
        """The preset's knobs, with its own where it turns some."""
        return turn_knobs(PRESETS[self.preset], self.knobs)


RootName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]{1,64}$")]
"""Name of a data root given at start (`--data-root NAME=FOLDER`), never a path."""


def _below_the_root(folder: str) -> str:
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\\" in folder or "\0" in folder:
        raise ValueError(f"must be a relative path below the data root, got {folder!r}")
    return "" if path == PurePosixPath(".") else str(path)


RelativePath = Annotated[str, AfterValidator(_below_the_root)]


class XbdDataset(FrozenModel):
    """An xBD tree (`{train,tier3,test,hold}/{images,labels,targets}`) in a folder of a data root, read only."""

    kind: Literal["xbd"] = "xbd"
    root: RootName
    folder: RelativePath = ""
    """Folder below the root; empty is the root itself."""
    damage_from: Literal["minor-damage", "major-damage", "destroyed"] = "minor-damage"
    """The damage level from which a building counts as changed and as damaged."""


class BitemporalDataset(FrozenModel):
    """Any images of places at two or more dates, in a folder of a data root, read only.

    Without a manifest the folder has the LEVIR-CD layout: `A/`, `B/` and, as change masks, `label/`, in the folder
    itself or in `train/`, `val/` and `test/`. A manifest (CSV or Parquet) has a row per scene and acquisition with the
    columns scene, acquisition, image and, where known, mask, change, split and event; all others become filters.
    """

    kind: Literal["bitemporal"] = "bitemporal"
    root: RootName
    folder: RelativePath = ""
    """Folder below the root; empty is the root itself."""
    manifest: RelativePath | None = None
    """The manifest's path below `folder`; null is the LEVIR-CD layout."""
    classes: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(default=(), max_length=255)
    """Names of the values 0, 1, 2, … of a manifest's masks; 0 is the background, 255 is ignored."""
    no_data: float | None = None
    """Value that stands for no data where all bands of a pixel have it; null: black areas of at least 256 pixels."""


FileDataset = XbdDataset | BitemporalDataset
"""A dataset that lies in files, indexed once by a job."""
DatasetConfig = Annotated[SyntheticDataset | XbdDataset | BitemporalDataset, Field(discriminator="kind")]
