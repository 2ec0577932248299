"""Dense features as colours: their three main directions as red, green and blue, steady from one map to the next."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairlab.scenes.scene import UInt8Array

Float64Array = NDArray[np.float64]

DEVIATION = 0.2
"""What one standard deviation of a direction is of the colour range, about its middle: 2.5 to either end."""
LEAST_SPREAD = 1e-3
"""Standard deviation, of features at unit length, below which a direction is drawn paler: it shows next to nothing."""
LEAST_OF_FIRST = 0.1
"""The same as a share of the first direction's: the noise behind a single direction is not to look like a pattern."""
DIRECTIONS = 3


@dataclass(frozen=True)
class FeatureColours:
    """Maps of several images, coloured together."""

    pixels: UInt8Array
    """RGB, shape (images, height, width, 3)."""
    explained: tuple[float, ...]
    """Share of the features' variance in each of the three directions, the largest first."""


def colour_features(features: NDArray[np.float32], *, before: UInt8Array | None = None) -> FeatureColours:
    """Returns colours in which cells with like features look alike.

    Features at unit length are centred and laid along their principal directions S, taken from all images together.
    Each is scaled to equal spread, and all three at once are turned and mirrored so that they differ least from the
    colours C of the map before:

        R = U Vᵀ   with U Σ Vᵀ = Sᵀ C   (orthogonal Procrustes: Schönemann, 1966, Psychometrika 31, eq. 1.4)

    Args:
        features: of the cells, shape (images, channels, height, width), at least three channels.
        before: pixels of the map before, of equal shape; None fixes the sign of each direction by its skewness.
    """
    images, channels, height, width = features.shape
    cells = features.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    cells /= np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-12)
    cells -= cells.mean(axis=0)
    variances, directions = np.linalg.eigh(cells.T @ cells / len(cells))
    largest = np.argsort(variances)[::-1][:DIRECTIONS]
    scores = cells @ directions[:, largest]
    spread = np.sqrt(np.maximum(variances[largest], 0.0))
    scores /= np.maximum(spread, max(LEAST_SPREAD, LEAST_OF_FIRST * spread[0]))
    scores = _turned_towards(scores, before) if before is not None else _with_signs(scores)
    colours = np.clip(np.rint(255 * (0.5 + DEVIATION * scores)), 0, 255).astype(np.uint8)
    total = variances.sum()
    explained = variances[largest] / total if total > 0 else np.zeros(DIRECTIONS)
    return FeatureColours(colours.reshape(images, height, width, DIRECTIONS), tuple(np.clip(explained, 0, 1).tolist()))


def _turned_towards(scores: Float64Array, before: UInt8Array) -> Float64Array:
    target = (before.reshape(-1, DIRECTIONS).astype(np.float64) / 255 - 0.5) / DEVIATION
    left, _, right = np.linalg.svd(scores.T @ target)
    return np.asarray(scores @ (left @ right))


def _with_signs(scores: Float64Array) -> Float64Array:
    """Returns scores with their longer tail on the positive side: an eigenvector's sign is arbitrary."""
    return np.where((scores**3).sum(axis=0) < 0, -scores, scores)
