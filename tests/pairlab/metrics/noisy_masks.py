"""Random labels and predictions that are right in about two thirds of the pixels."""

import numpy as np
from numpy.typing import NDArray

Masks = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def masks(*shape: int, classes: int = 5, seed: int = 0, ignored: float = 0.1) -> Masks:
    rng = np.random.default_rng(seed)
    target = rng.integers(classes, size=shape, dtype=np.uint8)
    preds = np.where(rng.random(shape) < 0.6, target, rng.integers(classes, size=shape, dtype=np.uint8))
    target[rng.random(shape) < ignored] = 255
    return preds.astype(np.uint8), target
