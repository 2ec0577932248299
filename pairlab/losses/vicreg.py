"""VICReg: two views agree, every dimension of the embedding varies, and no two dimensions say the same."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_matched_rows, check_weights, full_precision, widened

STANDARD_DEVIATION = 1.0
"""γ, the standard deviation below which a dimension is penalised (section 4.2 of the paper)."""
EPSILON = 1e-4
"""ε under the root of the variance (section 4.2)."""


def vicreg(
    z_a: Tensor, z_b: Tensor, *, invariance_weight: float, variance_weight: float, covariance_weight: float
) -> Tensor:
    """Returns the weighted sum of the invariance, variance and covariance terms.

    With Z and Z' the embeddings of B images in two views, in D dimensions:

        s = 1/(B·D) Σ_i |z_i − z'_i|²
        v(Z) = 1/D Σ_j max(0, 1 − √(Var(z^j) + ε))
        c(Z) = 1/D Σ_{i ≠ j} C(Z)_ij²,  with C the covariance matrix, of divisor B − 1
        loss = λ s + μ ½ (v(Z) + v(Z')) + ν (c(Z) + c(Z'))

    Source: Bardes et al., 2022, arXiv 2105.04906, eq. 1–6. Eq. 5 and 6 take the sum over dimensions in s and the sum
    of the two variance terms; the authors' weights 25, 25, 1 belong to the means, which are taken here as in lightly.

    Args:
        z_a: embeddings of the first views, float (B, D), not normalised.
        z_b: embeddings of the second views, float (B, D); row i belongs to row i.
        invariance_weight: λ ≥ 0.
        variance_weight: μ ≥ 0.
        covariance_weight: ν ≥ 0.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: fewer than two images, which have no variance.
        ValueError: shapes, dtypes or weights do not fit; the message prints them.

    Example:
        >>> z = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])  # both dimensions vary enough, and say the same
        >>> vicreg(z, z, invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0).item()
        8.0
    """
    check_matched_rows(z_a, z_b)
    check_weights(
        invariance_weight=invariance_weight, variance_weight=variance_weight, covariance_weight=covariance_weight
    )
    if len(z_a) < 2:
        raise NothingToMatch(f"VICReg needs at least 2 pairs, whose embeddings can vary; the batch has {len(z_a)}")
    with full_precision(z_a.device):
        z_a, z_b = widened(z_a), widened(z_b)
        return (
            invariance_weight * F.mse_loss(z_a, z_b)
            + variance_weight * (lack_of_variance(z_a) + lack_of_variance(z_b)) / 2
            + covariance_weight * (covariance(z_a) + covariance(z_b))
        )


def lack_of_variance(z: Tensor) -> Tensor:
    """Returns v(Z) of embeddings (B, D), eq. 1: how far standard deviations fall short of 1, in the mean of D."""
    return F.relu(STANDARD_DEVIATION - torch.sqrt(z.var(dim=0) + EPSILON)).mean()


def covariance(z: Tensor) -> Tensor:
    """Returns c(Z) of embeddings (B, D), eq. 3 and 4: squared covariances of different dimensions, summed, over D."""
    centred = z - z.mean(dim=0)
    matrix = centred.T @ centred / (len(z) - 1)  # (D, D)
    return matrix.fill_diagonal_(0.0).square().sum() / z.shape[1]
