"""Prediction of whole scenes: at once where they fit in the window, with windows that overlap where they do not."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pairlab.experiment.evaluation import Evaluation
from pairlab.scenes.scene import Pixels, Scene, UInt8Array

PIXELS_PER_BATCH = 1 << 20
"""Pixels predicted at once."""
SIZE_MULTIPLE = 32
"""Height and width that encoders take are multiples of it; scenes of another size are padded for them."""
SIGMA_SHARE = 1 / 8
"""Standard deviation of a window's weight as a share of its side (Isensee et al., nnU-Net, 2021; MONAI's default)."""

Logits = Callable[[Pixels], Tensor]
"""Images (batch, dates, height, width, bands) → logits (batch, classes, height, width), float32."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network says of one scene."""

    classes: UInt8Array
    """The most probable one of each pixel, shape (height, width)."""
    probabilities: NDArray[np.float32]
    """Shape (classes, height, width)."""


def predict(
    scenes: Sequence[Scene], read: Callable[[Scene], Pixels], logits: Logits, evaluation: Evaluation
) -> Iterator[Prediction]:
    """Yields the prediction of each scene, in their order; as many are held at once as fit in PIXELS_PER_BATCH.

    A scene larger than the window is predicted by itself, one window after another, so that no prediction depends on
    how many scenes or windows fit in a batch.

    Args:
        scenes: what to predict.
        read: a scene as the network sees it, shape (dates, height, width, bands).
        logits: of the network.
        evaluation: the window.
    """
    for batch in _batches(scenes):
        images = np.stack([read(scene) for scene in batch])
        if max(images.shape[2:4]) > evaluation.window_size:
            yield from (predict_by_windows(image, logits, evaluation) for image in images)
        else:
            yield from _predict_whole(images, logits)


def predict_by_windows(image: Pixels, logits: Logits, evaluation: Evaluation) -> Prediction:
    """Returns the prediction of one scene, the mean of the probabilities of all windows that cover a pixel.

    Windows weigh most in their middle (a Gaussian), where a network sees the surroundings of a pixel; they overlap by
    the declared share at least, are spread evenly, and the last ones end with the scene.

    Args:
        image: shape (dates, height, width, bands).
        logits: of the network.
        evaluation: the window and its overlap.
    """
    height, width = image.shape[1:3]
    size = [min(evaluation.window_size, _padded(side)) for side in (height, width)]
    padding = [(0, max(0, window - side)) for window, side in zip(size, (height, width), strict=True)]
    image = np.pad(image, ((0, 0), *padding, (0, 0)), mode="edge")
    weight: Tensor | None = None
    total: Tensor | None = None
    for y in window_starts(image.shape[1], size[0], evaluation.overlap):
        for x in window_starts(image.shape[2], size[1], evaluation.overlap):
            window = np.s_[y : y + size[0], x : x + size[1]]
            found = logits(np.ascontiguousarray(image[:, *window])[None])[0].softmax(dim=0)
            if weight is None or total is None:
                weight = _window_weight(size[0], size[1]).to(found.device)
                total = found.new_zeros((len(found) + 1, *image.shape[1:3]))
            total[:-1, *window] += weight * found
            total[-1, *window] += weight
    if total is None:
        raise ValueError(f"a scene of {height} x {width} pixels has no window")
    probabilities = (total[:-1] / total[-1])[:, :height, :width]
    return _prediction(probabilities, probabilities)


def window_starts(side: int, window: int, overlap: float) -> list[int]:
    """Returns where windows start along a side: evenly, from 0 to side − window, with the overlap at least.

    Args:
        side: of the scene, pixels, at least `window`.
        window: pixels.
        overlap: share of the window that neighbours share at least, below 1.

    Example:
        >>> window_starts(1024, 512, 0.25)
        [0, 256, 512]
    """
    step = max(1, math.floor(window * (1 - overlap)))
    gaps = -(-(side - window) // step)
    return [round(number * (side - window) / max(1, gaps)) for number in range(gaps + 1)]


def _predict_whole(images: Pixels, logits: Logits) -> Iterator[Prediction]:
    """Yields the predictions of images (batch, dates, height, width, bands)."""
    height, width = images.shape[2:4]
    down, across = _padded(height) - height, _padded(width) - width
    images = np.pad(images, ((0, 0), (0, 0), (0, down), (0, across), (0, 0)), mode="edge")
    for found in logits(images)[..., :height, :width]:
        yield _prediction(found, found.softmax(dim=0))


def _prediction(scores: Tensor, probabilities: Tensor) -> Prediction:
    return Prediction(scores.argmax(dim=0).byte().cpu().numpy(), probabilities.cpu().numpy())


def _window_weight(height: int, width: int) -> Tensor:
    """Returns the weight of a window's pixels, float32 (height, width), 1 in the middle and above 0 everywhere."""
    down, across = (
        torch.exp(-0.5 * ((torch.arange(side) - (side - 1) / 2) / (side * SIGMA_SHARE)) ** 2)
        for side in (height, width)
    )
    return down[:, None] * across[None, :]


def _padded(side: int) -> int:
    return side + -side % SIZE_MULTIPLE


def _batches(scenes: Sequence[Scene]) -> Iterator[list[Scene]]:
    """Yields scenes of one size together, at most PIXELS_PER_BATCH pixels unless a single one has more."""
    batch: list[Scene] = []
    for scene in scenes:
        size = (scene.height, scene.width)
        full = (len(batch) + 1) * scene.height * scene.width > PIXELS_PER_BATCH
        if batch and (full or size != (batch[0].height, batch[0].width)):
            yield batch
            batch = []
        batch.append(scene)
    if batch:
        yield batch
