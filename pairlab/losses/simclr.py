"""SimCLR: the two views of an image attract each other, all other images of the batch repel."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_matched_rows, check_temperature, full_precision, unit_rows


def nt_xent(z_a: Tensor, z_b: Tensor, *, temperature: float) -> Tensor:
    """Returns the normalised temperature-scaled cross entropy, averaged over all 2B anchors.

    With z the 2B embeddings at unit length and j(i) the other view of i:

        ℓ_i = −log( exp(z_i·z_j(i) / τ) / Σ_{k ≠ i} exp(z_i·z_k / τ) ),    loss = 1/(2B) Σ_i ℓ_i

    Source: Chen et al., 2020, arXiv 2002.05709, eq. 1 and algorithm 1.

    Args:
        z_a: projections of the first views, float (B, D); any length, they are normalised here.
        z_b: projections of the second views, float (B, D); row i is the positive of row i.
        temperature: τ > 0.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: fewer than two pairs, so that no anchor has a negative.
        ValueError: shapes, dtypes or temperature do not fit; the message prints them.

    Example:
        >>> z = torch.eye(2)
        >>> round(nt_xent(z, z, temperature=1.0).item(), 4)  # −log(e / (e + 2))
        0.5514
    """
    check_matched_rows(z_a, z_b)
    check_temperature(temperature)
    batch = len(z_a)
    if batch < 2:
        raise NothingToMatch(f"NT-Xent needs at least 2 pairs, so that each has a negative; the batch has {batch}")
    with full_precision(z_a.device):
        z = torch.cat([unit_rows(z_a), unit_rows(z_b)])
        logits = (z / temperature) @ z.T  # (2B, 2B)
        positives = torch.arange(2 * batch, device=z.device).roll(batch)
        return F.cross_entropy(logits.fill_diagonal_(-torch.inf), positives)
