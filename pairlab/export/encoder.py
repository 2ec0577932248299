"""An exported encoder: what its files are called, and the call that each of them loads into."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pairlab.decoders import decoder_options
from pairlab.experiment.network import Network

SAME_KEYS_IN_TIMM = {
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)},
    "resnext50_32x4d": "resnext50_32x4d",
    **{f"resnext101_32x{width}d": f"resnext101_32x{width}d" for width in (4, 8, 16, 32)},
    "senet154": "legacy_senet154",
    **{f"se_resnet{depth}": f"legacy_seresnet{depth}" for depth in (50, 101, 152)},
    **{f"se_resnext{kind}_32x4d": f"legacy_seresnext{kind}_32x4d" for kind in (50, 101)},
}
"""Encoders of segmentation-models-pytorch whose keys and shapes are those of a model of timm."""


@dataclass(frozen=True, slots=True)
class Loading:
    """One way to load an encoder."""

    file: str
    imports: str
    call: str
    """A Python expression that makes the module whose keys are those of the file."""
    features: str
    """A Python expression that computes features of `images` with `encoder`."""
    rename: Callable[[str], str | None]
    """Returns the key in the file of a key of PairLab's weights; None leaves it out."""


def smp_loading(network: Network, described: dict[str, Any]) -> Loading:
    """Returns how the encoder is loaded into segmentation-models-pytorch.

    Args:
        network: names of encoder and decoder.
        described: what `DenseNetwork.described` told.
    """
    bands, depth, stride = described["bands"], described["depth"], described["output_stride"]
    if network.decoder == "dpt":
        dynamic = ", dynamic_img_size=True" * described["timm"]["dynamic_img_size"]
        call = (
            f'smp.encoders.TimmViTEncoder("{described["timm"]["name"]}", pretrained=False, in_channels={bands}'
            f"{dynamic})"
        )
    else:
        call = (
            f'smp.encoders.get_encoder("{network.encoder}", in_channels={bands}, depth={depth}, weights=None'
            f"{_stride(stride)})"
        )
    return Loading(
        "encoder.smp.safetensors",
        "import segmentation_models_pytorch as smp",
        call,
        "encoder(images)",
        lambda key: _below(key, "encoder."),
    )


def timm_loading(network: Network, described: dict[str, Any]) -> Loading | None:
    """Returns how the encoder is loaded into timm; None where timm has no model with its keys."""
    bands, stride, wrapped = described["bands"], described["output_stride"], described["timm"]
    if wrapped is None:
        name, prefix = SAME_KEYS_IN_TIMM.get(network.encoder), "encoder."
        if name is None:
            return None
        levels, stride = "", None  # timm dilates otherwise, so it gets the encoder without dilation
    else:
        name, prefix = wrapped["name"], "encoder.model."
        levels = "" if wrapped["levels"] is None else f", out_indices={tuple(wrapped['levels'])}"
    if network.decoder == "dpt":  # whose encoder is the whole model, classifier included
        dynamic = ", dynamic_img_size=True" * wrapped["dynamic_img_size"]
        call, features = f'timm.create_model("{name}", in_chans={bands}{dynamic})', "encoder.forward_features(images)"
    else:
        call = f'timm.create_model("{name}", features_only=True, in_chans={bands}{levels}{_stride(stride)})'
        features = "encoder(images)"
    return Loading("encoder.timm.safetensors", "import timm", call, features, lambda key: _below(key, prefix))


def whole_model_call(network: Network, described: dict[str, Any]) -> str:
    """Returns the Python expression that makes a model for segmentation whose encoder and decoder these weights fit."""
    options = "".join(f", {name}={value!r}" for name, value in decoder_options(network).items())
    if network.decoder == "dpt" and described["timm"]["dynamic_img_size"]:
        options += ", dynamic_img_size=True"
    return (
        f'smp.create_model("{network.decoder}", encoder_name="{network.encoder}", encoder_weights=None, '
        f"in_channels={described['bands']}, classes=2{options})"
    )


def _stride(output_stride: int | None) -> str:
    return "" if output_stride in (None, 32) else f", output_stride={output_stride}"


def _below(key: str, prefix: str) -> str | None:
    return key.removeprefix(prefix) if key.startswith(prefix) else None
