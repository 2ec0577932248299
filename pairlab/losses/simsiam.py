"""SimSiam: what is predicted from one view points where the other view's projection points, which stands still."""

from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_matched_rows, cosines, full_precision


def simsiam(p_a: Tensor, p_b: Tensor, z_a: Tensor, z_b: Tensor) -> Tensor:
    """Returns the symmetric negative cosine of predictions and the other view's projections.

        D(p, z) = −p·z / (|p| |z|),    loss = ½ D(p_a, stop(z_b)) + ½ D(p_b, stop(z_a)),  averaged over the images

    No gradient passes into a projection (stop): without that, everything collapses to one point. Source: Chen and He,
    2021, arXiv 2011.10566, eq. 1–4 and algorithm 1.

    Args:
        p_a: predictions from the first views, float (B, D); any length, all four are normalised here.
        p_b: predictions from the second views, float (B, D).
        z_a: projections of the first views, float (B, D), the predictor's input.
        z_b: projections of the second views, float (B, D).

    Returns:
        A scalar in [−1, 1], float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no images.
        ValueError: shapes or dtypes do not fit; the message prints them.

    Example:
        >>> import torch
        >>> p, z = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 4.0]])
        >>> round(simsiam(p, p, z, p).item(), 4)  # −½ · 1 − ½ · 3/5
        -0.8
    """
    for given in ((p_a, z_b), (p_b, z_a), (p_a, p_b)):
        check_matched_rows(*given)
    if not len(p_a):
        raise NothingToMatch("nothing to match: the batch has no pairs")
    with full_precision(p_a.device):
        return (negative_cosine(p_a, z_b) + negative_cosine(p_b, z_a)) / 2


def negative_cosine(p: Tensor, z: Tensor) -> Tensor:
    """Returns D(p, stop(z)) of rows (B, D), eq. 1, in the mean."""
    return -cosines(p, z).mean()
