"""The losses of the protocols, and what each class weighs in them."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from segmentation_models_pytorch.losses import MULTICLASS_MODE, DiceLoss, FocalLoss
from torch import Tensor
from torch.nn import functional

from pairlab.experiment.protocols import Loss
from pairlab.scenes.scene import IGNORE
from pairlab.segmentation.errors import SegmentationError

FOCUS = 2.0
"""γ of the focal loss (Lin et al., 2017)."""

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Logits (batch, classes, height, width) and classes (batch, height, width), IGNORE where none counts → the loss."""


def build_loss(loss: Loss, weights: Sequence[float] | None, *, device: torch.device) -> Criterion:
    """Returns a loss over the labelled pixels of a batch.

    Args:
        loss: cross_entropy is the mean over pixels, by the weight of their class. focal (Lin et al., 2017) takes each
            class against all others, dice (Milletari et al., 2016) their overlap over the batch; both average over
            classes, by their weight. cross_entropy_dice is the sum of both.
        weights: per class; None weighs all alike.
        device: where logits are.
    """
    of_classes = None if weights is None else list(weights)
    dice: Criterion = DiceLoss(MULTICLASS_MODE, ignore_index=IGNORE, class_weights=of_classes)
    if loss == "dice":
        return dice
    if loss == "focal":
        focal: Criterion = FocalLoss(MULTICLASS_MODE, gamma=FOCUS, ignore_index=IGNORE, class_weights=of_classes)
        return focal
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)

    def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        labelled = target != IGNORE
        total = functional.cross_entropy(logits, target, weight=weight, ignore_index=IGNORE, reduction="sum")
        weighed = labelled.sum().clamp(min=1) if weight is None else weight[target[labelled]].sum().clamp(min=1e-12)
        return total / weighed

    if loss == "cross_entropy":
        return cross_entropy
    return lambda logits, target: cross_entropy(logits, target) + dice(logits, target)


def weights_of(
    asked: Literal["equal", "balanced"] | Mapping[str, float], classes: Sequence[str], pixels: NDArray[np.int64]
) -> list[float] | None:
    """Returns what each class weighs, None where all weigh alike.

    Args:
        asked: balanced weighs a class by all labelled pixels / (classes with labels × its pixels); one without labelled
            pixels weighs 1. Or weights by name; classes without one weigh 1.
        classes: their names.
        pixels: labelled pixels of each class, shape (classes,).

    Raises:
        SegmentationError: a weight is given for a class that there is not.
    """
    if asked == "equal":
        return None
    if asked == "balanced":
        present = np.count_nonzero(pixels)
        return [float(pixels.sum() / (present * count)) if count else 1.0 for count in pixels.tolist()]
    if unknown := [name for name in asked if name not in classes]:
        alike = get_close_matches(unknown[0], classes, n=1)
        raise SegmentationError(
            f"class_weights name {unknown[0]!r}, which is no class"
            + (f"; did you mean {alike[0]!r}? " if alike else ". ")
            + f"The classes are: {', '.join(classes)}"
        )
    return [float(asked.get(name, 1.0)) for name in classes]
