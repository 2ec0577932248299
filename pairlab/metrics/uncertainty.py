"""How undecided a prediction is, pixel by pixel."""

import numpy as np
from numpy.typing import NDArray


def entropy_share(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the entropy of each pixel's class probabilities as a share of the largest possible, float32 in [0, 1].

    H = −Σ_c p_c ln p_c / ln C (Shannon, 1948): 0 where one class has all, 1 where all have as much. A single class is
    never in doubt: 0.

    Args:
        probabilities: float32 (C, height, width), along C ≥ 0 and of sum 1.

    Example:
        >>> entropy_share(np.array([[[1.0, 0.5]], [[0.0, 0.5]]], dtype=np.float32)).tolist()
        [[0.0, 1.0]]
    """
    entropy = np.zeros(probabilities.shape[1:], dtype=np.float32)
    if len(probabilities) < 2:
        return entropy
    for of_class in probabilities:
        entropy -= of_class * np.log(np.maximum(of_class, np.finfo(np.float32).tiny))
    entropy /= np.float32(np.log(len(probabilities)))
    return entropy.clip(0.0, 1.0)
