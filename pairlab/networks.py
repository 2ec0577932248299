"""Encoder and decoder of segmentation-models-pytorch, and the heads that pretraining and segmentation put on them."""

from itertools import pairwise
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.experiment.network import Network


class NetworkError(ValueError):
    """A network that cannot be built; the message names the encoder and what to choose instead."""


class DenseNetwork(nn.Module):
    """Encoder and decoder: images (batch, bands, height, width) → features (batch, channels, height/s, width/s)."""

    def __init__(self, config: Network, *, bands: int = 3) -> None:
        """Builds the network with random weights.

        Args:
            config: names of encoder and decoder.
            bands: input bands.

        Raises:
            NetworkError: segmentation-models-pytorch does not know the encoder.
        """
        super().__init__()
        width = config.decoder_channels
        widths: dict[str, Any] = (
            {"decoder_pyramid_channels": width, "decoder_segmentation_channels": width // 2, "decoder_dropout": 0.0}
            if config.decoder == "fpn"
            else {"decoder_channels": [width >> level for level in range(5)]}
        )
        try:
            model = smp.create_model(
                config.decoder,
                encoder_name=config.encoder,
                encoder_weights=None,
                in_channels=bands,
                classes=1,
                **widths,
            )
        except (KeyError, RuntimeError, ValueError) as error:
            raise NetworkError(
                f"segmentation-models-pytorch has no encoder {config.encoder!r} for decoder {config.decoder!r} "
                f"({error}). "
                "Names from timm begin with 'tu-', for example tu-resnet10t or tu-resnet18"
            ) from error
        self.encoder: nn.Module = model.encoder
        self.decoder: nn.Module = model.decoder
        self.channels: int = model.segmentation_head[0].in_channels

    def forward(self, images: Tensor) -> Tensor:
        """Returns the decoder's features."""
        features: Tensor = self.decoder(self.encoder(images))
        return features


def on_grid(features: Tensor, grid: int) -> Tensor:
    """Returns features (batch, channels, height, width) averaged to grid × grid cells."""
    return features if features.shape[-1] == grid else functional.adaptive_avg_pool2d(features, grid)


class PixelProjection(nn.Module):
    """1×1 convolutions to embeddings on the grid of geometry.GRID_STRIDE pixels: (batch, dim, height/4, width/4)."""

    def __init__(self, channels: int, *, embedding_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=1), nn.ReLU(), nn.Conv2d(channels, embedding_dim, kernel_size=1)
        )

    def forward(self, features: Tensor, *, grid: int) -> Tensor:
        """Returns the embeddings at grid × grid cells."""
        embeddings: Tensor = self.layers(on_grid(features, grid))
        return embeddings


class GlobalProjection(nn.Module):
    """Pooled features through an MLP with one hidden layer: (batch, dim), as in SimCLR."""

    def __init__(self, channels: int, *, hidden_dim: int, embedding_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, embedding_dim))

    def forward(self, features: Tensor) -> Tensor:
        """Returns one embedding per image."""
        embeddings: Tensor = self.layers(pooled(features))
        return embeddings


def pooled(features: Tensor) -> Tensor:
    """Returns the mean of features (images, channels, height, width) over their positions: (images, channels)."""
    return features.mean(dim=(2, 3))


def perceptron(*widths: int, normalise_output: bool = False) -> nn.Sequential:
    """Returns linear layers of these widths, with batch norm and ReLU behind each but the last: rows → rows.

    Args:
        widths: of the input, the hidden layers and the output; at least two.
        normalise_output: puts batch norm behind the last layer too.
    """
    layers: list[nn.Module] = []
    for width, following in pairwise(widths[:-1]):
        layers += [nn.Linear(width, following, bias=False), nn.BatchNorm1d(following), nn.ReLU()]
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

    def standardise(self, features: Tensor) -> None:
        """Fixes a scale per channel from labelled features, so that one learning rate suits every frozen network."""
        self.mean = features.mean(dim=(0, 2, 3), keepdim=True)
        self.deviation = features.std(dim=(0, 2, 3), keepdim=True) + 1e-5

    def forward(self, features: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Returns logits of shape (batch, classes, *size)."""
        logits = self.classifier((features - self.mean) / self.deviation)
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def build_network(config: Network, *, seed: int, bands: int = 3) -> DenseNetwork:
    """Returns the network with the random weights of a seed, the same whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DenseNetwork(config, bands=bands)
