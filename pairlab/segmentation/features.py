"""What a head stands on: the features of one date or two through one network, trained or frozen."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import update_bn

from pairlab.experiment.protocols import TaskInput
from pairlab.networks import DenseNetwork, EncoderPyramid
from pairlab.precision import Precision
from pairlab.scenes.scene import Bands, Pixels
from pairlab.segmentation.inference import PIXELS_PER_BATCH
from pairlab.views.pixels import standardise, to_unit_range

FROZEN_BYTES = 2 << 30
"""Frozen features that are kept; of more labelled chips they are computed anew for every batch."""
SAMPLE_BYTES = 256 << 20
"""Frozen features that a head is scaled by where not all are kept."""


class Features:
    """Images → levels of features, both dates of a pair through the same weights."""

    def __init__(
        self, network: DenseNetwork | EncoderPyramid, *, bands: Bands, seen: TaskInput, precision: Precision
    ) -> None:
        """Takes the network whose features are wanted.

        Args:
            network: moved to the device of `precision`.
            bands: of the images.
            seen: which dates are given, and how the features of two become one.
            precision: where and how to compute.
        """
        self.network = network.to(precision.device).to(memory_format=precision.memory_format)
        self.channels = network.channels * (2 if seen == "concatenation" else 1)
        self.bands, self.seen, self.precision = bands, seen, precision

    def levels(self, images: Pixels, *, turns: int = 0, mirror: bool = False) -> list[Tensor]:
        """Returns float32 features, level by level; a decoder has one.

        Args:
            images: shape (batch, dates, height, width, bands).
            turns: quarter turns of the images before they are seen.
            mirror: whether they are mirrored after that.
        """
        with self.precision.context():
            features = self.network(self._as_fed(images, turns=turns, mirror=mirror))
        levels = [features] if isinstance(features, Tensor) else features
        return [self._one_of_both(torch.as_tensor(level, dtype=torch.float32)) for level in levels]

    def take_statistics(self, images: Pixels, *, seed: int) -> None:
        """Gives batch norms the statistics of the labelled chips, so that all frozen networks are read alike.

        Without any, random weights hand activations on in whatever scale they come, and would lose to pretrained ones
        by that alone: 14 points of mIoU on the levels of a ResNet. Pretrained ones have those of augmented views, which
        cost 7 to 10 points where all views were grey.
        """
        images = images.repeat(2 if len(images) == 1 else 1, axis=0)  # one chip may be one value
        batches = (self._as_fed(part) for part in in_parts(images))
        with torch.random.fork_rng(), torch.no_grad(), self.precision.context():
            torch.manual_seed(seed)
            update_bn(batches, self.network)

    def _as_fed(self, images: Pixels, *, turns: int = 0, mirror: bool = False) -> Tensor:
        """Returns images as the network takes them: shape (batch · dates, bands, height, width)."""
        tensor = torch.from_numpy(images).flatten(0, 1).to(self.precision.device).permute(0, 3, 1, 2)
        tensor = turned(standardise(to_unit_range(tensor, self.bands)), turns, mirror)
        return tensor.contiguous(memory_format=self.precision.memory_format)

    def _one_of_both(self, level: Tensor) -> Tensor:
        """Returns a level (batch · dates, channels, …) as (batch, channels, …), as siamese networks for change do.

        FC-Siam-diff and FC-Siam-conc of Daudt, Le Saux and Boulch (2018, arXiv 1810.08462).
        """
        if self.seen in ("post", "pre"):
            return level
        before, after = level.reshape(-1, 2, *level.shape[1:]).unbind(1)
        return (after - before).abs() if self.seen == "difference" else torch.cat([before, after], dim=1)


class FrozenFeatures:
    """The features of all labelled chips, computed once where they fit in memory."""

    def __init__(self, features: Features, images: Pixels) -> None:
        """Freezes the network, its batch-norm statistics too.

        Args:
            features: of the network.
            images: the labelled chips, shape (chips, dates, size, size, bands).
        """
        features.network.eval().requires_grad_(False)
        self._features, self._images = features, images
        first = features.levels(images[:2])  # a group norm refuses one value of one image
        one = sum(level[:1].nbytes for level in first)
        self._complete = one * len(images) <= FROZEN_BYTES
        kept = len(images) if self._complete else max(2, SAMPLE_BYTES // one)
        parts = [features.levels(part) for part in in_parts(images[:kept])]
        self.sample = [torch.cat(level) for level in zip(*parts, strict=True)]
        """Levels of the first chips, of all where they fit: shape (chips, channels, …)."""

    def of(self, chips: NDArray[np.intp]) -> list[Tensor]:
        """Returns the levels of labelled chips."""
        if self._complete:
            return [level[torch.from_numpy(chips)] for level in self.sample]
        return self._features.levels(self._images[chips])


def in_parts(images: Pixels) -> list[Pixels]:
    """Returns images in parts that fit in a batch."""
    return np.array_split(images, max(1, math.ceil(images[..., 0].size / PIXELS_PER_BATCH)))


def turned(tensor: Tensor, turns: int, mirror: bool) -> Tensor:
    """Returns the last two axes turned by quarter turns and mirrored."""
    rotated = torch.rot90(tensor, turns, dims=(-2, -1))
    return rotated.flip(-1) if mirror else rotated
