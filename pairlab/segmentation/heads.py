"""What turns levels of features into classes: a linear classifier, or a small decoder before it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pairlab.experiment.protocols import FineTuning, LinearProbe, SmallDecoder
from pairlab.group_norm import QuickGroupNorm
from pairlab.networks import LinearHead, joined

GROUPS = 8
"""Of the small decoder's group norm: it takes whatever the frozen features' scale is, in batches of any size."""


class JoinedLevelsHead(nn.Module):
    """A linear classifier on all levels at the size of the finest: levels (batch, channels, …) → logits."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = LinearHead(channels, classes)

    def forward(self, levels: Sequence[Tensor], *, size: tuple[int, int]) -> Tensor:
        """Returns logits of shape (batch, classes, *size)."""
        logits: Tensor = self.linear(joined(levels), size=size)
        return logits

    def standardise(self, levels: Sequence[Tensor]) -> None:
        """Fixes a scale per channel from labelled features."""
        self.linear.standardise(levels)


class SmallDecoderHead(nn.Module):
    """A feature pyramid of one width (Lin et al., 2017; summed as in Kirillov et al., 2019) and a linear classifier."""

    def __init__(self, widths: Sequence[int], *, channels: int, classes: int) -> None:
        """Builds it with random weights.

        Args:
            widths: channels of the levels.
            channels: of the decoder, a multiple of GROUPS.
            classes: of the logits.
        """
        super().__init__()
        self.scales = nn.ModuleList(_ChannelScale(width) for width in widths)
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, kernel_size=1) for width in widths)
        self.smooth = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            QuickGroupNorm(GROUPS, channels),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Conv2d(channels, classes, kernel_size=1)

    def forward(self, levels: Sequence[Tensor], *, size: tuple[int, int]) -> Tensor:
        """Returns logits of shape (batch, classes, *size)."""
        finest = max((level.shape[-2], level.shape[-1]) for level in levels)
        laterals = [
            functional.interpolate(lateral(scale(level)), size=finest, mode="bilinear", align_corners=False)
            for level, scale, lateral in zip(levels, self.scales, self.laterals, strict=True)
        ]
        logits = self.classifier(self.smooth(torch.stack(laterals).sum(dim=0)))
        return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)

    def standardise(self, levels: Sequence[Tensor]) -> None:
        """Fixes a scale per channel from labelled features, so that one learning rate suits every frozen network."""
        for level, scale in zip(levels, self.scales, strict=True):
            assert isinstance(scale, _ChannelScale)
            scale.take(level)


Head = JoinedLevelsHead | SmallDecoderHead


def build_head(
    protocol: LinearProbe | SmallDecoder | FineTuning, *, widths: Sequence[int], classes: int, seed: int
) -> Head:
    """Returns a protocol's head with the random weights of a seed, the same whatever was drawn before.

    Args:
        protocol: says which head.
        widths: channels of the levels.
        classes: of the logits.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(protocol, SmallDecoder):
            return SmallDecoderHead(widths, channels=protocol.channels, classes=classes)
        return JoinedLevelsHead(sum(widths), classes)


class _ChannelScale(nn.Module):
    """Brings each channel to mean 0 and deviation 1 of the labelled chips."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, channels, 1, 1))

    def take(self, level: Tensor) -> None:
        self.mean = level.mean(dim=(0, 2, 3), keepdim=True)
        self.deviation = level.std(dim=(0, 2, 3), keepdim=True) + 1e-5

    def forward(self, level: Tensor) -> Tensor:
        return (level - self.mean) / self.deviation
