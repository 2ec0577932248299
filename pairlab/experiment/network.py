"""The network that is pretrained and transferred."""

from typing import Literal

from pydantic import Field

from pairlab.experiment.model import FrozenModel


class Network(FrozenModel):
    """Encoder and decoder of segmentation-models-pytorch; both are pretrained and both transfer."""

    encoder: str = Field(default="tu-resnet10t", pattern=r"^[A-Za-z0-9_.\-]{1,80}$")
    """A segmentation-models-pytorch encoder name; `tu-` takes the encoder from timm."""
    decoder: Literal["fpn", "unet"] = "fpn"
    decoder_channels: int = Field(default=256, ge=64, le=1024, multiple_of=64)
    """Width of the decoder at its coarsest level (FPN: of the pyramid, the features have half of it)."""
