"""What the weights of a network are before it is pretrained."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pairlab.experiment.datasets import RelativePath, RootName
from pairlab.experiment.model import FrozenModel
from pairlab.experiment.network import Transfer

WEIGHT_FILES = (".safetensors", ".pth", ".pt")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RandomWeights(FrozenModel):
    """Those of the seed."""

    source: Literal["random"] = "random"


class FileWeights(FrozenModel):
    """An encoder in a file below a data root, named as timm, torchvision or segmentation-models-pytorch name it.

    A classifier is left out. Weights for RGB are adapted to other numbers of bands: repeated over them in turn and
    scaled, as timm does.
    """

    source: Literal["file"] = "file"
    root: RootName
    path: RelativePath
    """Below the root: a safetensors file, or a PyTorch file that holds tensors alone."""
    sha256: Sha256 | None = None
    """Of the file's content; jobs always have it. null takes the file as it is when the experiment is submitted."""
    part: Transfer = "encoder"
    """encoder_decoder: of a file with the decoder too, as `pairlab export` writes one."""

    @field_validator("path")
    @classmethod
    def _readable(cls, path: str) -> str:
        if PurePosixPath(path).suffix not in WEIGHT_FILES:
            raise ValueError(f"must be a file that ends in {', '.join(WEIGHT_FILES)}, got {path!r}")
        return path


class JobWeights(FrozenModel):
    """What an earlier pretraining on this installation made."""

    source: Literal["job"] = "job"
    key: Sha256
    """Key of the pretraining; its job has it on the Jobs screen and in `pairlab jobs --json`."""
    part: Transfer = "encoder_decoder"


class HubWeights(FrozenModel):
    """Published weights of an encoder that the worker downloads; it needs the network for that."""

    source: Literal["hub"] = "hub"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]{1,80}(\.[A-Za-z0-9_\-]{1,80})?$")]
    """Name of a timm model with the tag of its weights, for example resnet18.a1_in1k."""


Initial = Annotated[RandomWeights | FileWeights | JobWeights | HubWeights, Field(discriminator="source")]


def initial_in_words(initial: Initial) -> str:
    """Returns where the weights come from, as a phrase."""
    match initial:
        case FileWeights():
            return f"{initial.part.replace('_', ' and ')} of the file {initial.path} in {initial.root}"
        case JobWeights():
            return f"{initial.part.replace('_', ' and ')} of the pretraining {initial.key[:8]}"
        case HubWeights():
            return f"encoder {initial.name} of the hub"
        case _:
            return "random weights"
