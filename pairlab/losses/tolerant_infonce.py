"""Pixel InfoNCE with a match tolerance: whichever cells near the same ground fit attract, other ground repels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_temperature, full_precision, unit_rows
from pairlab.losses.pixel_infonce import check_point_weights


def tolerant_infonce(
    grid_a: Tensor,
    grid_b: Tensor,
    *,
    cells_a: Tensor,
    cells_b: Tensor,
    positives_a: Tensor,
    positives_b: Tensor,
    valid: Tensor,
    temperature: float,
    weights: Tensor | None = None,
) -> Tensor:
    """Returns the symmetric loss of matched points of two views, each of which has several cells for a positive.

    With a and b the embeddings at unit length, P_i the positive cells of point i in the other view, and N_i the cells
    of the other valid points of the batch that are not in P_i:

        ℓ(a→b)_i = −log( Σ_{p∈P_i} exp(a_i·b_p / τ) / Σ_{p∈P_i∪N_i} exp(a_i·b_p / τ) )
        loss = ½ (mean_i ℓ(a→b)_i + mean_i ℓ(b→a)_i)

    A point of the same pair of views whose cell is in P_i is thus nobody to be told apart from. Where every P_i holds
    its matched cell alone and no cell is drawn twice in a pair, this is `pixel_infonce`. Weights act as there.

    Source: MIL-NCE (Miech et al., 2020, arXiv 1912.06430, eq. 1) on the pixels of the VADeR family.

    Args:
        grid_a: float (B, D, H, W), embeddings of the first views; any length, they are normalised here.
        grid_b: float (B, D, H, W), of the second views.
        cells_a: int64 (B, P), cells y·W + x of the points in the first views.
        cells_b: int64 (B, P), cells of the second views that they are matched with.
        positives_a: bool (B, P, H·W), cells of the first view that are positives of a point of the second one;
            cells_a are among them.
        positives_b: bool (B, P, H·W), likewise of the second view, with cells_b.
        valid: bool (B, P). Other points are neither anchors nor negatives. The masks are read where they lie: on the
            CPU that costs no wait for the GPU.
        temperature: τ > 0.
        weights: float (B, P), finite and ≥ 0, or None for all alike.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no valid point, or none with a negative; or no weight above 0.
        ValueError: shapes, dtypes or temperature do not fit; the message prints them.

    Example:
        >>> grid = torch.eye(3).T.reshape(1, 3, 1, 3)  # three cells that differ
        >>> cells = torch.tensor([[0, 2]])
        >>> near = torch.tensor([[[True, True, False], [False, False, True]]])
        >>> valid = torch.tensor([[True, True]])
        >>> # ½ log((e + 2) / (e + 1)) + ½ log((e + 1) / e), both ways
        >>> kinds = dict(cells_a=cells, cells_b=cells, positives_a=near, positives_b=near)
        >>> round(tolerant_infonce(grid, grid, **kinds, valid=valid, temperature=1.0).item(), 4)
        0.2757
    """
    _check(grid_a, grid_b, positives_a, positives_b, cells_a, cells_b, valid)
    check_temperature(temperature)
    rows = valid.ravel().nonzero().squeeze(1)
    apart_a, apart_b = (
        _not_negatives(positives, cells, valid) for positives, cells in ((positives_a, cells_a), (positives_b, cells_b))
    )
    if min(len(apart_a[0]), len(apart_b[0])) == len(rows) ** 2:
        raise NothingToMatch(
            f"nothing to match: {len(rows)} of {valid.numel()} points are valid, and none of them lies beyond the "
            "tolerance of another; more pairs in a batch, views that overlap more or a smaller match_tolerance_px give "
            "negatives"
        )
    if weights is not None:
        weights = weights.ravel().index_select(0, rows.to(weights.device))
        check_point_weights(weights)
    with full_precision(grid_a.device):
        a, b = (_unit_cells(grid) for grid in (grid_a, grid_b))  # (B, H·W, D)
        points_a, points_b = (_taken(cells, at) for cells, at in ((a, cells_a), (b, cells_b)))  # (B, P, D)
        chosen = rows.to(grid_a.device)
        near_b, near_a = (
            _log_sum_of_positives(points, cells, positives | ~valid[:, :, None], temperature).index_select(0, chosen)
            for points, cells, positives in ((points_a, b, positives_b), (points_b, a, positives_a))
        )
        flat_a, flat_b = (points.flatten(0, 1).index_select(0, chosen) for points in (points_a, points_b))
        logits = flat_a @ flat_b.T / temperature  # (N, N): a along rows, b along columns
        both = _cross_entropy(logits, near_b, apart_b) + _cross_entropy(logits.T, near_a, apart_a)
        if weights is None:
            return both.mean() / 2
        shares = (weights.double() / weights.double().sum()).to(both)
        return (shares * both).sum() / 2


def _log_sum_of_positives(points: Tensor, cells: Tensor, positives: Tensor, temperature: float) -> Tensor:
    """Returns log Σ_{p∈P_i} exp(a_i·b_p / τ) of points (B, P, D) and cells (B, H·W, D), shape (B · P,)."""
    scores = points @ cells.transpose(1, 2) / temperature
    return scores.masked_fill(~positives.to(scores.device), -torch.inf).logsumexp(2).flatten()


def _cross_entropy(logits: Tensor, positives: Tensor, apart: tuple[Tensor, Tensor]) -> Tensor:
    """Returns ℓ of each anchor, shape (N,): its positives stand on the diagonal, what is no negative drops out."""
    without = logits.index_put(tuple(each.to(logits.device) for each in apart), logits.new_tensor(-torch.inf))
    matches = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(without.diagonal_scatter(positives), matches, reduction="none")


def _not_negatives(positives: Tensor, cells: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Returns which valid points (second) are no negatives of which (first), counted among the valid ones.

    Those are the points whose cell is a positive, themselves included; all are of one pair.
    """
    points = cells.shape[1]
    near = positives.gather(2, cells[:, None].expand(-1, points, -1))  # (B, P, P)
    pair, point, other = (near & valid[:, :, None] & valid[:, None]).nonzero().unbind(1)
    number = valid.ravel().cumsum(0) - 1
    return number[pair * points + point], number[pair * points + other]


def _unit_cells(grid: Tensor) -> Tensor:
    batch, dim = grid.shape[:2]
    return unit_rows(grid.permute(0, 2, 3, 1).reshape(-1, dim)).reshape(batch, -1, dim)


def _taken(cells: Tensor, at: Tensor) -> Tensor:
    return cells.gather(1, at.to(cells.device)[:, :, None].expand(-1, -1, cells.shape[2]))


def _check(
    grid_a: Tensor,
    grid_b: Tensor,
    positives_a: Tensor,
    positives_b: Tensor,
    cells_a: Tensor,
    cells_b: Tensor,
    valid: Tensor,
) -> None:
    if grid_a.ndim != 4 or grid_a.shape != grid_b.shape or len(grid_a) != len(valid):
        raise ValueError(
            "embeddings must have one shape (B, D, H, W) with the B of the points, "
            f"found {tuple(grid_a.shape)}, {tuple(grid_b.shape)} and {len(valid)}"
        )
    points, cells = tuple(valid.shape), grid_a.shape[2] * grid_a.shape[3]
    masks = (
        ("valid", valid, points),
        *((f"positives_{name}", given, (*points, cells)) for name, given in (("a", positives_a), ("b", positives_b))),
    )
    for name, given, shape in masks:
        if given.dtype != torch.bool or tuple(given.shape) != shape:
            raise ValueError(f"{name} must be bool of shape {shape}, found {given.dtype} of {tuple(given.shape)}")
    for name, given in (("cells_a", cells_a), ("cells_b", cells_b)):
        if given.dtype != torch.int64 or tuple(given.shape) != points:
            raise ValueError(f"{name} must be int64 of shape {points}, found {given.dtype} of {tuple(given.shape)}")
