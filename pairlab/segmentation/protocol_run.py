"""One protocol at one learning rate: network, head, optimizer, and its batches, keyed by the step."""

import math
from collections.abc import Mapping
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from pairlab.experiment.jobs import SegmentJob
from pairlab.experiment.protocols import FineTuning, LinearProbe, SmallDecoder
from pairlab.networks import DenseNetwork, EncoderPyramid
from pairlab.precision import Precision
from pairlab.scenes.scene import Pixels
from pairlab.segmentation.features import Features, FrozenFeatures, turned
from pairlab.segmentation.heads import build_head
from pairlab.segmentation.loss import build_loss, weights_of
from pairlab.segmentation.task import Task, class_pixels

AnyProtocol = LinearProbe | SmallDecoder | FineTuning
Weights = Mapping[str, Tensor]


class ProtocolRun:
    """One protocol of a job, trained step by step on the labelled chips."""

    def __init__(
        self, config: SegmentJob, protocol: AnyProtocol, task: Task, network: DenseNetwork, precision: Precision
    ) -> None:
        """Puts a head on the network at the first learning rate; frozen features are computed here, once.

        Raises:
            SegmentationError: the protocol weighs a class that there is not.
        """
        self.config, self.protocol, self.task, self.precision = config, protocol, task, precision
        weights = weights_of(protocol.class_weights, task.classes, class_pixels(task.targets, len(task.classes)))
        self.criterion = build_loss(protocol.loss, weights, device=precision.device)
        on_levels = isinstance(protocol, SmallDecoder) or (
            isinstance(protocol, LinearProbe) and config.transfer == "encoder"
        )
        bands = task.source.bands
        extractor = EncoderPyramid(network, bands=len(bands), size=config.chip_size) if on_levels else network
        self.features = Features(extractor, bands=bands, seen=config.labels.input, precision=precision)
        self.targets = torch.from_numpy(task.targets).to(precision.device)
        self.frozen: FrozenFeatures | None = None
        if not isinstance(protocol, FineTuning):
            self.features.take_statistics(task.images, seed=config.seed)
            self.frozen = FrozenFeatures(self.features, task.images)
        self.rate = protocol.rates[0]
        self._begin()

    def _begin(self) -> None:
        protocol, frozen = self.protocol, self.frozen
        widths = [self.features.channels] if frozen is None else [level.shape[1] for level in frozen.sample]
        head = build_head(protocol, widths=widths, classes=len(self.task.classes), seed=self.config.seed)
        self.head = head.to(self.precision.device)
        if frozen is not None:
            self.head.standardise(frozen.sample)
        trained = [*self.head.parameters()]
        if frozen is None:
            trained = [*self.features.network.parameters(), *trained]
        decay = 0.0 if isinstance(protocol, LinearProbe) else protocol.weight_decay
        self.optimizer = torch.optim.AdamW(trained, lr=self.rate, weight_decay=decay)

    def begin_at(self, rate: float, network: DenseNetwork) -> None:
        """Starts anew at another learning rate, from the same weights and the same head.

        Args:
            rate: of the first step.
            network: as the protocol starts with it; frozen features stay as they are.
        """
        self.rate = rate
        if self.frozen is None:
            bands, seen = self.features.bands, self.features.seen
            self.features = Features(network, bands=bands, seen=seen, precision=self.precision)
        self._begin()

    def optimize(self, step: int) -> float:
        """Takes one step (from 0) and returns its loss: a half cosine of the learning rate, flips for fine-tuning."""
        rng = np.random.default_rng([self.config.seed, crc32(self.protocol.name.encode()), step])
        size = min(self.protocol.batch_size, len(self.targets))
        chosen = rng.choice(len(self.targets), size=size, replace=False)
        target = self.targets[torch.from_numpy(chosen)].long()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * 0.5 * (1 + math.cos(math.pi * step / self.protocol.steps))
        self.head.train()
        if self.frozen is not None:
            levels = self.frozen.of(chosen)
        else:
            self.features.network.train()
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            target = turned(target, turns, mirror)
            levels = self.features.levels(self.task.images[chosen], turns=turns, mirror=mirror)
        loss = self.criterion(self.head(levels, size=(target.shape[1], target.shape[2])), target)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()
    def logits(self, images: Pixels) -> Tensor:
        """Returns float32 logits (batch, classes, height, width) of images (batch, dates, height, width, bands)."""
        self.features.network.eval()
        self.head.eval()
        height, width = images.shape[2:4]
        logits: Tensor = self.head(self.features.levels(images), size=(height, width))
        return logits

    def weights(self) -> Weights:
        """Returns a copy, in the main memory, of all that is trained."""
        return {key: value.detach().to("cpu", copy=True) for key, value in self._trained().state_dict().items()}

    def take(self, weights: Weights) -> None:
        """Puts weights back that `weights` returned."""
        self._trained().load_state_dict(weights)

    def _trained(self) -> torch.nn.ModuleList:
        modules = [self.head] if self.frozen is not None else [self.features.network, self.head]
        return torch.nn.ModuleList(modules)
