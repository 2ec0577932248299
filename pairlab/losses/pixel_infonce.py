"""Pixel InfoNCE: the same ground point in two views attracts, every other point of the batch repels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_matched_rows, check_temperature, full_precision, unit_rows

__all__ = ["NothingToMatch", "gather_points", "pixel_infonce"]


def pixel_infonce(
    points_a: Tensor,
    points_b: Tensor,
    *,
    temperature: float,
    valid: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Returns the symmetric cross entropy of matching N points of the first views to those of the second views.

    With a and b the embeddings at unit length, over the valid points:

        ℓ(a→b)_i = −log( exp(a_i·b_i / τ) / Σ_k exp(a_i·b_k / τ) ),    loss = ½ (mean_i ℓ(a→b)_i + mean_i ℓ(b→a)_i)

    With weights w, each mean is Σ_i w_i ℓ_i / Σ_i w_i: of anchors alone, so that a point of weight 0 is nobody's anchor
    or positive and still a negative.

    Negatives are the points of the other view, of the same and of other images. Source: the VADeR family (Pinheiro et
    al., 2020, arXiv 2011.05499, eq. 2), with the batch in place of the memory bank and both directions.

    Args:
        points_a: float (N, D), embeddings of points in the first views; any length, they are normalised here.
        points_b: float (N, D); row i shows the ground point of row i of `points_a`.
        temperature: τ > 0.
        valid: bool (N,) or None for all. Rows that are not valid (views that do not overlap, excluded pixels) are
            neither anchors nor negatives: the loss is that of the valid rows alone. On the CPU it costs no wait for
            the GPU.
        weights: float (N,), finite and ≥ 0, or None for all alike; only their ratios matter, and those of rows that are
            not valid do not. They are checked where they lie: on the CPU that costs no wait for the GPU.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: fewer than two valid points, so that no anchor has a negative; or no weight above 0.
        ValueError: shapes, dtypes or temperature do not fit; the message prints them.

    Example:
        >>> points = torch.eye(2)
        >>> round(pixel_infonce(points, points, temperature=1.0).item(), 4)  # −log(e / (e + 1))
        0.3133
    """
    check_matched_rows(points_a, points_b)
    check_temperature(temperature)
    given = len(points_a)
    if weights is not None and (not weights.is_floating_point() or weights.shape != (given,)):
        raise ValueError(f"weights must be float of shape ({given},), found {weights.dtype} of {tuple(weights.shape)}")
    if valid is not None:
        if valid.dtype != torch.bool or valid.shape != (given,):
            raise ValueError(f"valid must be bool of shape ({given},), found {valid.dtype} of {tuple(valid.shape)}")
        rows = valid.nonzero().squeeze(1)
        points_a, points_b = (points.index_select(0, rows.to(points.device)) for points in (points_a, points_b))
        weights = None if weights is None else weights.index_select(0, rows.to(weights.device))
    count = len(points_a)
    if count < 2:
        raise NothingToMatch(
            f"nothing to match: {count} of {given} points are valid, and at least 2 are needed; views that overlap "
            "more, more points per pair, a larger batch or fewer excluded pixels give more"
        )
    if weights is not None:
        check_point_weights(weights)
    with full_precision(points_a.device):
        logits = (unit_rows(points_a) / temperature) @ unit_rows(points_b).T  # (N, N): a along rows, b along columns
        matches = torch.arange(count, device=logits.device)
        if weights is None:
            return (F.cross_entropy(logits, matches) + F.cross_entropy(logits.T, matches)) / 2
        both = sum(F.cross_entropy(each, matches, reduction="none") for each in (logits, logits.T))
        shares = (weights.double() / weights.double().sum()).to(logits)
        return (shares * both).sum() / 2


def check_point_weights(weights: Tensor) -> None:
    """Accepts weights (N,) of valid points that are finite, at least 0 and not all 0.

    Raises:
        NothingToMatch: all are 0.
        ValueError: anything else; the message prints their range.
    """
    low, high = (float(limit) for limit in torch.aminmax(weights.detach()))
    if not (low >= 0.0 and high < float("inf")):
        raise ValueError(f"weights must be finite and at least 0, found {low} to {high}")
    if high == 0.0:
        raise NothingToMatch(
            f"nothing to match: all {len(weights)} valid points have weight 0; a larger change_weight.scale gives more"
        )


def gather_points(embeddings: Tensor, cells: Tensor) -> Tensor:
    """Returns the embeddings of chosen grid cells as rows (B·P, D), image by image, in the dtype of `embeddings`.

    Args:
        embeddings: (B, D, H, W), a dense projection; channels_last is read without a copy.
        cells: int64 (B, P), per image the cell y·W + x of each point in [0, H·W). Points that are not valid may name
            any cell. The range is checked on the CPU; on the GPU that would wait for it, and is left to torch.

    Raises:
        ValueError: shapes or dtypes do not fit, or a cell lies outside the grid; the message prints them.

    Example:
        >>> grid = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> gather_points(grid, torch.tensor([[3, 0]])).flatten().tolist()
        [3.0, 0.0]
    """
    if embeddings.ndim != 4 or cells.ndim != 2 or len(embeddings) != len(cells):
        raise ValueError(
            "embeddings must be (B, D, H, W) and cells (B, P) with one B, "
            f"found {tuple(embeddings.shape)} and {tuple(cells.shape)}"
        )
    if cells.dtype != torch.int64:
        raise ValueError(f"cells must be int64, found {cells.dtype}")
    batch, dim, height, width = embeddings.shape
    size = height * width
    if cells.device.type == "cpu" and cells.numel() and not 0 <= int(cells.min()) <= int(cells.max()) < size:
        raise ValueError(
            f"cells must lie in [0, {size}) for a grid of {height}×{width}, "
            f"found {int(cells.min())} to {int(cells.max())}"
        )
    first_row = torch.arange(batch, device=cells.device).mul(size).unsqueeze(1)
    rows = (cells + first_row).flatten().to(embeddings.device)
    return embeddings.permute(0, 2, 3, 1).reshape(batch * size, dim).index_select(0, rows)
