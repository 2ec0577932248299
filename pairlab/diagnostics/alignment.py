"""Whether positives lie close together, and embeddings far apart from each other, on the unit sphere."""

from torch import Tensor

from pairlab.losses.embeddings import unit_rows


def alignment(anchors: Tensor, positives: Tensor) -> float:
    """Returns the mean squared distance of positive pairs at unit length, in [0, 4]: 0 where all pairs agree.

        (1/N) Σ_i ‖f(x_i) − f(y_i)‖₂^α   with α = 2

    Args:
        anchors: embeddings of any length, float (N, D).
        positives: theirs, row by row.

    Source: Wang and Isola, 2020, arXiv 2005.10242, section 4.1.2.
    """
    return float((unit_rows(anchors) - unit_rows(positives)).square().sum(dim=1).mean())


def uniformity(rows: Tensor) -> float:
    """Returns how evenly embeddings cover the unit sphere, in [−4 t, 0]: 0 where all are one, lower is more even.

        log (2 / (N (N − 1))) Σ_i<j exp(−t ‖f(x_i) − f(x_j)‖₂²)   with t = 2

    Args:
        rows: embeddings of any length, float (N, D), at least two.

    Source: Wang and Isola, 2020, arXiv 2005.10242, section 4.1.2.
    """
    unit = unit_rows(rows)
    count = len(unit)
    squared = (2 - 2 * (unit @ unit.T)).clamp(min=0)
    kernel = (-2 * squared).exp()
    return float(((kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))).log())
