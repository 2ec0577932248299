"""The network that is pretrained and transferred."""

from typing import Literal

from pydantic import Field

from pairlab.experiment.model import FrozenModel

DecoderName = Literal[
    "fpn",
    "unet",
    "unetplusplus",
    "manet",
    "linknet",
    "pspnet",
    "deeplabv3",
    "deeplabv3plus",
    "pan",
    "upernet",
    "segformer",
    "dpt",
]
LEAST_CHIP: dict[str, int] = {"pan": 128}
"""Height and width that a chip needs for a decoder, where the smallest chips are too small: PAN halves features of
stride 16 three times."""
Transfer = Literal["encoder", "encoder_decoder"]


class Network(FrozenModel):
    """Encoder and decoder of segmentation-models-pytorch; both are pretrained."""

    encoder: str = Field(default="tu-resnet10t", pattern=r"^[A-Za-z0-9_.\-]{1,80}$")
    """A segmentation-models-pytorch encoder name; `tu-` takes the encoder from timm."""
    decoder: DecoderName = "fpn"
    """dpt takes encoders of timm alone (vision transformers too), pan needs chips of 128 pixels."""
    decoder_channels: int = Field(default=256, ge=64, le=1024, multiple_of=64)
    """Width of the decoder at its coarsest level. The features have as many channels, but half of it with fpn, a
    sixteenth with unet, unetplusplus and manet, an eighth with pan, and always 32 with linknet, whose widths are those
    of the encoder."""
