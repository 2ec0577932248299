"""Encoder and decoder of segmentation-models-pytorch, and the heads that pretraining and segmentation put on them."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from timm.models import FeatureInfo
from torch import Tensor, nn
from torch.nn import functional

from pairlab.decoders import STRIDES, decoder_options
from pairlab.experiment.network import Network
from pairlab.group_norm import with_quick_group_norms

GRID_STRIDE = 4
"""Pixels between two positions of the finest level that an encoder is probed on."""


class NetworkError(ValueError):
    """A network that cannot be built or fed; the message names encoder and decoder and what to choose instead."""


class DenseNetwork(nn.Module):
    """Encoder and decoder: images (batch, bands, height, width) → features (batch, channels, height/s, width/s)."""

    def __init__(self, config: Network, *, bands: int = 3, size: int | None = None) -> None:
        """Builds the network with random weights.

        Args:
            config: names of encoder and decoder.
            bands: input bands.
            size: height and width of the images it will be given, pixels; one is tried. None tries none.

        Raises:
            NetworkError: there is no such encoder, it does not go with the decoder, or images are too small.
        """
        super().__init__()
        model = _create_model(config, bands)
        self.encoder: nn.Module = model.encoder
        self.decoder: nn.Module = with_quick_group_norms(model.decoder)
        head = model.segmentation_head
        self.bands = bands
        self.channels: int = (head.head if config.decoder == "dpt" else head)[0].in_channels
        self.stride: int = STRIDES[config.decoder]
        """Pixels between two positions of the features."""
        if size is not None:
            self._try(config, bands, size)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the decoder's features."""
        return self.decoded(self.encoder(images))

    def decoded(self, encoded: Any) -> Tensor:  # noqa: ANN401
        """Returns the decoder's features of what the encoder gave."""
        # Encoders of vision transformers return their prefix tokens beside the levels.
        features: Tensor = self.decoder(*encoded) if isinstance(encoded, tuple) else self.decoder(encoded)
        return features

    def described(self) -> dict[str, Any]:
        """Returns what its names do not tell, as JSON: what is needed to load its encoder elsewhere."""
        wrapped = getattr(self.encoder, "model", None)
        info = getattr(wrapped, "feature_info", None)
        timm_model = {
            "name": getattr(self.encoder, "name", None),
            "levels": list(info.out_indices) if isinstance(info, FeatureInfo) else None,
            "dynamic_img_size": bool(getattr(wrapped, "dynamic_img_size", False)),
        }
        return {
            "bands": self.bands,
            "channels": self.channels,
            "stride": self.stride,
            "depth": getattr(self.encoder, "_depth", None),
            "output_stride": getattr(self.encoder, "_output_stride", None),
            "timm": None if wrapped is None else timm_model,
        }

    @torch.no_grad()
    def _try(self, config: Network, bands: int, size: int) -> None:
        self.eval()
        try:
            features = self(torch.zeros(2, bands, size, size))  # a group norm refuses one value of one image
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            raise NetworkError(
                f"encoder {config.encoder!r} with decoder {config.decoder!r} does not take images of {size} × {size} "
                f"pixels ({_first_line(error)}): raise chip_size, or take another of both"
            ) from error
        self.train()
        expected = (2, self.channels, size // self.stride, size // self.stride)
        if tuple(features.shape) != expected:
            raise NetworkError(
                f"encoder {config.encoder!r} with decoder {config.decoder!r} gives features of shape "
                f"{tuple(features.shape)} where {expected} was expected: take another of both"
            )


class EncoderPyramid(nn.Module):
    """The levels of an encoder's own features: images → one tensor (batch, channels, height/s, width/s) each.

    What is frozen below a probe where the encoder alone was handed on. The finest level has a stride of at least 4:
    a finer one is averaged, so that all encoders are probed on one grid.
    """

    def __init__(self, network: DenseNetwork, *, bands: int, size: int) -> None:
        """Takes the encoder of a network, whose images have so many bands and, in training, so many pixels a side."""
        super().__init__()
        self.encoder = network.encoder
        with torch.no_grad():
            training = self.encoder.training
            levels = self.eval()(torch.zeros(2, bands, size, size))
            self.train(training)
        self.channels: int = sum(level.shape[1] for level in levels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Returns the levels, the finest first, without the image itself."""
        finest = (images.shape[-2] // GRID_STRIDE, images.shape[-1] // GRID_STRIDE)
        return [
            functional.adaptive_avg_pool2d(level, finest) if level.shape[-1] > finest[1] else level
            for level in self.as_encoded(images)
        ]

    def as_encoded(self, images: Tensor) -> list[Tensor]:
        """Returns the levels as the encoder has them, none averaged."""
        return levels_of(self.encoder(images))


def levels_of(encoded: Any) -> list[Tensor]:  # noqa: ANN401
    """Returns the levels in what an encoder gave, the finest first, without the image itself."""
    # Encoders that start at stride 4 stand a level of no channels in for stride 2.
    return list(encoded[0]) if isinstance(encoded, tuple) else [each for each in encoded[1:] if each.shape[1]]


class PooledLevels(nn.Module):
    """All levels of an encoder, each averaged over its positions: images → (batch, channels, 1, 1).

    What methods of whole images learn from. The papers pool the deepest level alone, for classifying images; here the
    finer levels, which segmentation reads, learn from the loss itself and not only through the deepest.
    """

    def __init__(self, network: DenseNetwork, *, size: int) -> None:
        """Takes the encoder of a network for images of so many pixels a side."""
        super().__init__()
        self.pyramid = EncoderPyramid(network, bands=network.bands, size=size)
        self.channels = self.pyramid.channels

    def forward(self, images: Tensor) -> Tensor:
        """Returns the levels' means, the finest level's first."""
        return torch.cat([pooled(level) for level in self.pyramid.as_encoded(images)], dim=1)[:, :, None, None]


@dataclass(frozen=True, slots=True)
class RowLayout:
    """What a row of `MapAndLevels` holds, one behind the other."""

    side: int
    """Height and width of the map, in positions."""
    channels: int
    """Of the map."""
    level_channels: int
    """Of all levels together."""

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the maps (batch, channels, side, side) and the pooled levels (batch, level_channels) of rows."""
        cells, levels = rows.split_with_sizes([self.side**2 * self.channels, self.level_channels], dim=1)
        return cells.reshape(-1, self.side, self.side, self.channels).permute(0, 3, 1, 2), levels


class MapAndLevels(nn.Module):
    """The decoder's map and the encoder's pooled levels, both of one pass: images → rows (batch, …).

    What methods learn from that compare cells and whole images. The mean of an FPN's map tells no images apart, since
    its group norms give all of them the same mean and deviation; the papers pool the backbone. A row for each image
    goes through `Passes` as any features do.
    """

    def __init__(self, network: DenseNetwork, *, size: int) -> None:
        """Takes a network for images of so many pixels a side."""
        super().__init__()
        self.network = network
        self.channels: int = network.channels
        self.layout = RowLayout(
            side=size // network.stride,
            channels=network.channels,
            level_channels=PooledLevels(network, size=size).channels,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Returns the rows, as `layout` has them."""
        encoded = self.network.encoder(images)
        cells = self.network.decoded(encoded).permute(0, 2, 3, 1).flatten(1)
        return torch.cat([cells, *(pooled(level) for level in levels_of(encoded))], dim=1)


FeatureNetwork = DenseNetwork | PooledLevels
"""Images → features (batch, channels, …), with the number of their channels."""
Learner = FeatureNetwork | MapAndLevels
"""What images go through on their way to a method: features (batch, channels, …), with the number of their channels."""


def joined(levels: Sequence[Tensor]) -> Tensor:
    """Returns levels (batch, channels, …) as one tensor at the size of the largest, interpolated and concatenated."""
    size = max((level.shape[-2], level.shape[-1]) for level in levels)
    return torch.cat([_resized(level, size) for level in levels], dim=1) if len(levels) > 1 else levels[0]


def _resized(features: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(features.shape[-2:]) == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)


def _create_model(config: Network, bands: int) -> Any:  # noqa: ANN401  (a model of segmentation-models-pytorch)
    _check_known(config.encoder)
    options = {
        "encoder_name": config.encoder,
        "encoder_weights": None,
        "in_channels": bands,
        "classes": 1,
        **decoder_options(config),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old names, and dpt without prefix tokens
            if config.decoder == "dpt":
                with suppress(TypeError):  # vision transformers alone have that knob
                    return smp.create_model(config.decoder, **options, dynamic_img_size=True)
            return smp.create_model(config.decoder, **options)
    except Exception as error:  # libraries for hundreds of encoders raise anything
        raise NetworkError(
            f"encoder {config.encoder!r} does not go with decoder {config.decoder!r} ({_first_line(error)}): take "
            "another decoder (fpn and unet go with most encoders, dpt with vision transformers of timm), or another "
            "encoder"
        ) from error


def _check_known(encoder: str) -> None:
    """Raises NetworkError, with names much like it, where no library has the encoder."""
    known = smp.encoders.get_encoder_names()
    if encoder in known or (encoder.startswith(("tu-", "timm-")) and timm.is_model(encoder.partition("-")[2])):
        return
    names = [*known, *(f"tu-{name}" for name in timm.list_models())]
    alike = get_close_matches(encoder, names, n=3) or get_close_matches(f"tu-{encoder}", names, n=3)
    raise NetworkError(
        f"segmentation-models-pytorch has no encoder {encoder!r}"
        + (f"; did you mean {' or '.join(alike)}? " if alike else ". ")
        + "Names from timm begin with 'tu-', for example tu-resnet10t or tu-resnet18"
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def on_grid(features: Tensor, grid: int) -> Tensor:
    """Returns features (batch, channels, height, width) at grid × grid cells: averaged, or interpolated if coarser."""
    if features.shape[-1] < grid:
        return _resized(features, (grid, grid))
    return features if features.shape[-1] == grid else functional.adaptive_avg_pool2d(features, grid)


class PixelProjection(nn.Module):
    """1×1 convolutions to embeddings on the method's grid: (batch, dim, grid, grid)."""

    def __init__(self, channels: int, *, embedding_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=1), nn.ReLU(), nn.Conv2d(channels, embedding_dim, kernel_size=1)
        )

    def forward(self, features: Tensor, *, grid: int) -> Tensor:
        """Returns the embeddings at grid × grid cells."""
        embeddings: Tensor = self.layers(on_grid(features, grid))
        return embeddings


def pooled(features: Tensor) -> Tensor:
    """Returns the mean of features (images, channels, height, width) over their positions: (images, channels)."""
    if features.is_contiguous():
        return features.mean(dim=(2, 3))
    # The gradient of that would not lie channels-last as the features do, and would be slow to add to others.
    return features.permute(0, 2, 3, 1).flatten(1, 2).mean(dim=1)


def perceptron(
    *widths: int, normalise_input: bool = False, normalise_hidden: bool = True, normalise_output: bool = False
) -> nn.Sequential:
    """Returns linear layers of these widths, with ReLU behind each but the last: rows → rows.

    Args:
        widths: of the input, the hidden layers and the output; at least two.
        normalise_input: brings each channel of the input to mean 0 and deviation 1 over the batch. The pooled levels of
            an encoder differ in scale, and what all images share outweighs what tells them apart.
        normalise_hidden: puts batch norm between each hidden layer and its ReLU.
        normalise_output: puts batch norm behind the last layer.
    """
    layers: list[nn.Module] = []
    if normalise_input:
        layers.append(nn.BatchNorm1d(widths[0], affine=False, track_running_stats=False))
    for width, following in pairwise(widths[:-1]):
        layers.append(nn.Linear(width, following, bias=not normalise_hidden))
        layers += [nn.BatchNorm1d(following), nn.ReLU()] if normalise_hidden else [nn.ReLU()]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=not normalise_output))  # a norm would take the bias away again
    if normalise_output:
        layers.append(nn.BatchNorm1d(widths[-1]))
    return nn.Sequential(*layers)


class LinearHead(nn.Module):
    """A linear classifier per position, its logits interpolated to the size of the image."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(channels, classes, kernel_size=1)
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, channels, 1, 1))

    def standardise(self, levels: Sequence[Tensor]) -> None:
        """Fixes a scale per channel from labelled features, so that one learning rate suits every frozen network.

        Args:
            levels: features (images, channels, height, width) whose channels the head takes one after another.
        """
        self.mean = torch.cat([level.mean(dim=(0, 2, 3), keepdim=True) for level in levels], dim=1)
        self.deviation = torch.cat([level.std(dim=(0, 2, 3), keepdim=True) for level in levels], dim=1) + 1e-5

    def forward(self, features: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Returns logits of shape (batch, classes, *size)."""
        logits = self.classifier((features - self.mean) / self.deviation)
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def build_network(config: Network, *, seed: int, bands: int = 3, size: int | None = None) -> DenseNetwork:
    """Returns the network with the random weights of a seed, the same whatever was drawn before.

    Raises:
        NetworkError: as `DenseNetwork`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DenseNetwork(config, bands=bands, size=size)
