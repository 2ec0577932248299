"""Lightly's own SimCLR recipe, and the same with one of PairLab's means after another.

As Lightly's documentation shows it (examples/pytorch/simclr.py, version 1.6): SimCLRTransform on PIL images in a
DataLoader, SimCLRProjectionHead, NTXentLoss, SGD at 0.06, float32; timm's resnet18 as the backbone.
"""

from collections.abc import Iterator

import numpy as np
import timm
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.turns import Done
from pairlab.engine.allocation import keep_freed_memory
from pairlab.engine.prefetch import made_beside
from pairlab.experiment.training import Augmentation
from pairlab.precision import best_precision
from pairlab.scenes.scene import RGB
from pairlab.views.geometry import draw_views
from pairlab.views.pixels import draw_factors, render_views
from pairlab.views.reading_ahead import made_ahead

Chips = NDArray[np.uint8]
VARIANTS = ("lightly", "memory_format", "precision", "augmentation", "allocation")
"""The recipe, then with channels-last memory, with bfloat16 too, with batched views too, with kept memory too."""
CPU = torch.device("cpu")
EMBEDDING_DIM, LEARNING_RATE = 128, 0.06


class SimCLRModel(nn.Module):
    """Backbone and head as in Lightly's example."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model("resnet18", num_classes=0)
        width: int = self.backbone.num_features
        self.projection_head = SimCLRProjectionHead(width, width, EMBEDDING_DIM)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the projections (images, EMBEDDING_DIM)."""
        projections: Tensor = self.projection_head(self.backbone(images).flatten(start_dim=1))
        return projections


class _Images(Dataset[list[Tensor]]):
    """PIL images in memory, each as two views."""

    def __init__(self, chips: Chips) -> None:
        self._images = [Image.fromarray(chip) for chip in chips]
        self._transform = SimCLRTransform(input_size=chips.shape[1])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> list[Tensor]:
        views: list[Tensor] = self._transform(self._images[number])
        return views


def lightly_steps(variant: str, *, chips: Chips, batch: int, threads: int, turn: int) -> Iterator[Done]:
    """Trains for ever and yields behind every `turn` steps.

    Args:
        variant: one of VARIANTS.
        chips: uint8 (chips, size, size, 3).
        batch: pairs in a step.
        threads: of the training; one loader works beside them.
        turn: steps between two values.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    means = VARIANTS[: VARIANTS.index(variant) + 1]
    if "allocation" in means:
        keep_freed_memory()
    memory = torch.channels_last if "memory_format" in means else torch.contiguous_format
    autocast = best_precision(CPU).autocast if "precision" in means else None
    model = SimCLRModel().to(memory_format=memory)
    criterion = NTXentLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    batches = (_batched_views if "augmentation" in means else _loaded_views)(chips, batch)
    for step, views in enumerate(batches, start=1):
        with torch.autocast("cpu", dtype=autocast, enabled=autocast is not None):
            first, second = (model(view.contiguous(memory_format=memory)) for view in views)
            loss = criterion(first, second)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % turn == 0:
            yield Done(turn)


def _loaded_views(chips: Chips, batch: int) -> Iterator[list[Tensor]]:
    loader = DataLoader(_Images(chips), batch_size=batch, shuffle=True, drop_last=True, num_workers=1)
    while True:
        yield from loader


def _batched_views(chips: Chips, batch: int) -> Iterator[tuple[Tensor, ...]]:
    """Yields views as PairLab makes them, of as strong an augmentation, beside the training as there."""
    size, strong = chips.shape[1], Augmentation(crop_scale=(0.08, 1.0), brightness=0.8, contrast=0.8, saturation=0.8)

    def gather(step: int) -> tuple[Chips, np.random.Generator]:
        rng = np.random.default_rng(step)
        return np.tile(chips[rng.choice(len(chips), batch, replace=False)], (2, 1, 1, 1)), rng

    def render(gathered: tuple[Chips, np.random.Generator]) -> tuple[Tensor, ...]:
        both, rng = gathered
        views = draw_views(2 * batch, size=size, crop_scale=strong.crop_scale, flips=True, rng=rng)
        factors = draw_factors(2 * batch, strong, rng=rng)
        return render_views(both, views, factors, bands=RGB, device=CPU).chunk(2)

    yield from made_beside(made_ahead(gather, range(1_000_000), workers=1), render)
