"""PixPro: cells that lie close on the ground agree, each smoothed by the cells of its view that are like it."""

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from pairlab.losses.embeddings import NothingToMatch, full_precision, unit_rows

ENTRIES = 1 << 22
"""Similarities that are in memory at once: 16 MiB of float32, and a few times that while they are worked on."""


def propagated(embeddings: Tensor, values: Tensor, *, sharpness: float, entries: int = ENTRIES) -> Tensor:
    """Returns cells smoothed by the cells of their view that are like them: the pixel propagation module.

        y_i = Σ_j s(x_i, x_j) v_j,    s(x_i, x_j) = max(cos(x_i, x_j), 0)^γ,    j over all cells of the view

    The similarities of all cells with each other are made in parts and, where there is more than one part, once more
    for the gradients, so that memory is bounded whatever the grid. Source: Xie et al., 2021, arXiv 2011.10043, eq. 3
    and 4.

    Args:
        embeddings: x, float (views, cells, D); any length.
        values: v = g(x), float (views, cells, D), what the transform of the module makes of x.
        sharpness: γ > 0.
        entries: similarities that are in memory at once, as far as one cell's fit.

    Returns:
        y, float (views, cells, D).

    Example:
        >>> x = torch.tensor([[[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0]]])
        >>> propagated(x, x, sharpness=2.0)[0, 0]  # 1 · x_0 + ½ · x_1 + 0 · x_2
        tensor([1.5000, 0.5000])
    """
    views, cells, dim = embeddings.shape
    unit = unit_rows(embeddings.reshape(-1, dim)).reshape(views, cells, dim)
    together, rows = max(1, entries // cells**2), min(cells, max(1, entries // cells))
    parts = [
        (slice(view, view + together), slice(row, row + rows))
        for view in range(0, views, together)
        for row in range(0, cells, rows)
    ]
    if len(parts) == 1:
        return _smoothed(unit, unit, values, sharpness)
    smoothed = [
        checkpoint(
            _smoothed,
            unit[view, row],
            unit[view],
            values[view],
            sharpness,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for view, row in parts
    ]
    return torch.cat([each.flatten(0, 1) for each in smoothed]).reshape(views, cells, -1)


def _smoothed(unit: Tensor, others: Tensor, values: Tensor, sharpness: float) -> Tensor:
    return _sharpened(unit @ others.transpose(1, 2), sharpness) @ values


def _sharpened(cosines: Tensor, sharpness: float) -> Tensor:
    """Returns max(cos, 0)^γ, whose gradient is 0 where the cosine is not positive, also for γ < 1."""
    if sharpness >= 1:
        return cosines.relu().pow(sharpness)
    least = torch.finfo(cosines.dtype).tiny ** 0.5
    return torch.where(cosines > least, cosines.clamp_min(least).pow(sharpness), 0.0)


def pixpro(y_a: Tensor, y_b: Tensor, x_a: Tensor, x_b: Tensor, *, matches: Tensor) -> Tensor:
    """Returns how far smoothed cells are from pointing where the other view's matching cells do.

        loss = −mean_(i,j) cos(y_i, x'_j) − mean_(i,j) cos(y_j, x'_i)

    with (i, j) the matching cells of the first and the second view: their mean within each pair of views, then over the
    pairs that have any. No gradient passes into x'. Memory is that of the cells, not of their matches: the x' that
    match a cell are summed up first. Source: Xie et al., 2021, arXiv 2011.10043, eq. 5.

    Args:
        y_a: smoothed cells of the first views by the trained network, float (pairs, cells, D); any length, all four
            are normalised here.
        y_b: those of the second views.
        x_a: cells of the first views by the momentum copy, float (pairs, cells, D).
        x_b: those of the second views.
        matches: int64 (matches, 2): pair · cells + cell in the first and in the second view, by the first in ascending
            order.

    Returns:
        A scalar in [−2, 2], float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no matches.
        ValueError: shapes or dtypes do not fit; the message prints them.

    Example:
        >>> y, x = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[3.0, 4.0]]])
        >>> round(pixpro(y, y, x, y, matches=torch.tensor([[0, 0]])).item(), 4)  # −1 − 3/5
        -1.6
    """
    shapes = [tuple(each.shape) for each in (y_a, y_b, x_a, x_b)]
    if len(set(shapes)) != 1 or y_a.ndim != 3:
        raise ValueError(f"cells must have one shape (pairs, cells, D), found {', '.join(map(str, shapes))}")
    if matches.dtype != torch.int64 or matches.ndim != 2 or matches.shape[1] != 2:
        raise ValueError(f"matches must be int64 (matches, 2), found {matches.dtype} of {tuple(matches.shape)}")
    if not len(matches):
        raise NothingToMatch(
            f"nothing to match: in none of the {len(y_a)} pairs does a cell of one view lie within reach of one of "
            "the other; views that overlap more, a larger threshold or match_tolerance_px, a larger batch or fewer "
            "excluded pixels give matches"
        )
    matches = matches.to(y_a.device)
    backwards = matches[matches[:, 1].argsort(stable=True)].flip(1)
    with full_precision(y_a.device):
        return -_mean_cosine(y_a, x_b, matches) - _mean_cosine(y_b, x_a, backwards)


def _mean_cosine(y: Tensor, x: Tensor, matches: Tensor) -> Tensor:
    """Returns the mean over pairs of the mean cosine of their matches (row of y, row of x), by the first ascending."""
    pairs, cells, dim = y.shape
    unit = unit_rows(x.detach().reshape(-1, dim))
    first = torch.searchsorted(matches[:, 0].contiguous(), torch.arange(pairs * cells + 1, device=y.device))
    # Row i: the sum of the unit x that match cell i; zero where none does.
    sums = functional.embedding_bag(matches[:, 1].contiguous(), unit, first, mode="sum", include_last_offset=True)
    agreement = (unit_rows(y.reshape(-1, dim)) * sums).sum(dim=1).reshape(pairs, cells).sum(dim=1)
    counts = first[cells::cells] - first[:-1:cells]
    means = agreement / counts.clamp_min(1)
    return means.sum() / (counts > 0).sum()
