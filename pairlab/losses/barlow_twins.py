"""Barlow Twins: over a batch, each dimension correlates with itself in the other view and with no other dimension."""

import torch
from torch import Tensor
from torch.nn import functional

from pairlab.losses.embeddings import NothingToMatch, check_matched_rows, check_weights, full_precision, widened

EPSILON = 1e-5
"""Added to a variance, as batch norm does: a dimension that is constant correlates with nothing, instead of NaN."""


def barlow_twins(z_a: Tensor, z_b: Tensor, *, redundancy_weight: float) -> Tensor:
    """Returns how far the correlations between two views are from the identity matrix.

    With z centred over the B images of the batch, in D dimensions:

        C_ij = Σ_b z_bi z'_bj / ( √Σ_b z_bi² √Σ_b z'_bj² ),    loss = Σ_i (1 − C_ii)² + λ Σ_{i ≠ j} C_ij²

    Source: Zbontar et al., 2021, arXiv 2103.03230, eq. 1 and 2.

    Args:
        z_a: embeddings of the first views, float (B, D); scale and offset of a dimension do not matter.
        z_b: embeddings of the second views, float (B, D); row i belongs to row i.
        redundancy_weight: λ ≥ 0.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: fewer than two images, which have no correlation.
        ValueError: shapes, dtypes or the weight do not fit; the message prints them.

    Example:
        >>> z = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])  # two dimensions that say the same
        >>> round(barlow_twins(z, z, redundancy_weight=0.5).item(), 4)
        1.0
    """
    check_matched_rows(z_a, z_b)
    check_weights(redundancy_weight=redundancy_weight)
    if len(z_a) < 2:
        raise NothingToMatch(f"Barlow Twins needs at least 2 pairs, to correlate over; the batch has {len(z_a)}")
    with full_precision(z_a.device):
        correlation = standardised(widened(z_a)).T @ standardised(widened(z_b)) / len(z_a)  # (D, D)
        agreeing = torch.diagonal(correlation).clone()
        others = correlation.fill_diagonal_(0.0)
        return (1.0 - agreeing).square().sum() + redundancy_weight * others.square().sum()


def standardised(z: Tensor) -> Tensor:
    """Returns embeddings (B, D) with mean 0 and standard deviation 1 in each dimension; constant ones become 0."""
    return functional.batch_norm(z, None, None, training=True, eps=EPSILON)
