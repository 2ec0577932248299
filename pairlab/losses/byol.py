"""BYOL: what is predicted from one view comes close to what a slowly following network makes of the other."""

from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_matched_rows, cosines, full_precision


def byol(p_a: Tensor, p_b: Tensor, t_a: Tensor, t_b: Tensor) -> Tensor:
    """Returns the squared distance of predictions and the other view's targets at unit length, both ways.

        loss = |p̄_a − t̄_b|² + |p̄_b − t̄_a|²,  with x̄ = x / |x|,  averaged over the images

    No gradient passes into a target. Source: Grill et al., 2020, arXiv 2006.07733, eq. 2 and the symmetric loss below
    it.

    Args:
        p_a: predictions of the trained network from the first views, float (B, D); any length.
        p_b: its predictions from the second views, float (B, D).
        t_a: projections of the first views by the momentum copy, float (B, D).
        t_b: projections of the second views by the momentum copy, float (B, D).

    Returns:
        A scalar in [0, 8], float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no images.
        ValueError: shapes or dtypes do not fit; the message prints them.

    Example:
        >>> import torch
        >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 5.0]])
        >>> byol(x, x, x, y).item()  # a right angle one way, agreement the other
        2.0
    """
    for given in ((p_a, t_b), (p_b, t_a), (p_a, p_b)):
        check_matched_rows(*given)
    if not len(p_a):
        raise NothingToMatch("nothing to match: the batch has no pairs")
    with full_precision(p_a.device):
        return squared_distance(p_a, t_b) + squared_distance(p_b, t_a)


def squared_distance(p: Tensor, t: Tensor) -> Tensor:
    """Returns |p̄ − t̄|² of rows (B, D), eq. 2, in the mean; t stands still."""
    return 2.0 - 2.0 * cosines(p, t).mean()
