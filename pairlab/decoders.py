"""The decoders of segmentation-models-pytorch: their widths, strides and what they need."""

from typing import Any

from pairlab.experiment.network import Network

STRIDES: dict[str, int] = {
    "fpn": 4,
    "unet": 1,
    "unetplusplus": 1,
    "manet": 1,
    "linknet": 1,
    "pspnet": 8,
    "deeplabv3": 8,
    "deeplabv3plus": 4,
    "pan": 4,
    "upernet": 4,
    "segformer": 4,
    "dpt": 2,
}
"""Pixels of the image between two positions of a decoder's features."""


def decoder_options(config: Network) -> dict[str, Any]:
    """Returns what segmentation-models-pytorch is told of a decoder beside its name.

    Widths keep the proportions of the library's defaults. There is no dropout: features are compared across views, and
    two masks would be one more difference between them.
    """
    width = config.decoder_channels
    match config.decoder:
        case "fpn":
            return {
                "decoder_pyramid_channels": width,
                "decoder_segmentation_channels": width // 2,
                "decoder_dropout": 0.0,
            }
        case "unet" | "unetplusplus" | "manet":
            return {"decoder_channels": [width >> level for level in range(5)]}
        case "linknet":
            return {}
        case "pspnet":
            return {"psp_out_channels": width, "psp_dropout": 0.0}
        case "deeplabv3" | "deeplabv3plus":
            return {"decoder_channels": width, "decoder_aspp_dropout": 0.0}
        case "pan":
            return {"decoder_channels": width // 8}
        case "upernet":
            return {"decoder_channels": width}
        case "segformer":
            return {"decoder_segmentation_channels": width}
        case "dpt":
            return {
                "decoder_fusion_channels": width,
                "decoder_intermediate_channels": (width, 2 * width, 4 * width, 4 * width),
            }
