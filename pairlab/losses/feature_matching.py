"""Feature matching: a point's positive is the cell of the other view whose features are most alike."""

from collections.abc import Iterator

import torch
from torch import Tensor

from pairlab.losses.embeddings import full_precision, unit_rows, widened
from pairlab.losses.pixel_infonce import gather_points

COMPARED_AT_ONCE = 1 << 23
"""Pairs of cells whose likeness is held in memory at a time: 32 MiB of float32, all of 56 × 56 cells of an image."""


@torch.no_grad()
def most_alike(features_a: Tensor, features_b: Tensor, cells_a: Tensor) -> Tensor:
    """Returns for chosen cells of each image the cell of its counterpart with the greatest cosine of features.

        c_i = argmax_j  f_i·f'_j / (|f_i| |f'_j|)

    No gradient passes through the choice. Source: DenseCL (Wang et al., 2021, arXiv 2011.09157, section 3.4), there
    of the backbone's features, pooled to the grid of the dense projection.

    Args:
        features_a: (B, C, H, W), features before the projection, on the grid of the projection.
        features_b: (B, C, H, W), of the same images' other views.
        cells_a: int64 (B, P), cells y·W + x of the first views.

    Returns:
        int64 (B, P), cells of the second views, on the device of the features; of equal cosines, any one.

    Raises:
        ValueError: shapes or dtypes do not fit, or a cell lies outside the grid; the message prints them.

    Example:
        >>> a = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # one image, two channels, 1 × 2 cells
        >>> most_alike(a, a.flip(3), torch.tensor([[0, 1]])).tolist()
        [[1, 0]]
    """
    if features_a.shape != features_b.shape:
        raise ValueError(
            f"features must have one shape (B, C, H, W), found {tuple(features_a.shape)} and {tuple(features_b.shape)}"
        )
    batch, channels = features_a.shape[:2]
    with full_precision(features_a.device):
        # At any length: that of its own features moves no cell's choice.
        rows = widened(gather_points(features_a, cells_a)).reshape(batch, -1, channels)
        others = unit_rows(features_b.permute(0, 2, 3, 1).reshape(-1, channels)).reshape(batch, -1, channels)
        chosen = torch.empty(rows.shape[:2], dtype=torch.int64, device=rows.device)
        for part in parts(batch, rows.shape[1], others.shape[1]):
            chosen[part] = (rows[part] @ others[part[0]].transpose(1, 2)).argmax(dim=2)
    return chosen


@torch.no_grad()
def nearest(rows_a: Tensor, rows_b: Tensor) -> tuple[Tensor, Tensor]:
    """Returns for each row of an image the nearest row of its counterpart, and the square of their distance.

    No gradient passes through either. Of equal distances, any one is taken.

    Args:
        rows_a: float (B, N, D).
        rows_b: float (B, M, D), M ≥ 1.

    Returns:
        int64 (B, N), rows of `rows_b`; and float (B, N) ≥ 0, float32 or wider.

    Example:
        >>> a, b = torch.tensor([[[0.0], [5.0]]]), torch.tensor([[[4.0], [1.0]]])
        >>> nearest(a, b)
        (tensor([[1, 0]]), tensor([[1., 1.]]))
    """
    with full_precision(rows_a.device):
        rows_a, rows_b = widened(rows_a), widened(rows_b)
        chosen = torch.empty(rows_a.shape[:2], dtype=torch.int64, device=rows_a.device)
        lengths = rows_b.square().sum(dim=2).unsqueeze(1)  # (B, 1, M)
        for part in parts(len(rows_a), rows_a.shape[1], rows_b.shape[1]):
            # |a − b|² less |a|², which is the same for all b.
            products = rows_a[part] @ rows_b[part[0]].transpose(1, 2)
            chosen[part] = products.mul_(-2.0).add_(lengths[part[0]]).argmin(dim=2)
        found = rows_b.flatten(0, 1).index_select(0, rows_of(chosen, rows_b.shape[1]))
        return chosen, found.reshape(rows_a.shape).sub_(rows_a).square_().sum(dim=2)


def rows_of(cells: Tensor, count: int) -> Tensor:
    """Returns where cells (B, P) of images that have `count` each lie in all images' rows, one behind the other."""
    return (cells + torch.arange(len(cells), device=cells.device).mul_(count).unsqueeze(1)).flatten()


def parts(images: int, rows: int, others: int) -> Iterator[tuple[slice, slice]]:
    """Yields parts (images, rows) in which every row can be compared with all others of its image in bounded memory."""
    together = max(1, COMPARED_AT_ONCE // max(1, rows * others))
    at_once = rows if together > 1 else max(1, COMPARED_AT_ONCE // max(1, others))
    for image in range(0, images, together):
        for row in range(0, rows, max(1, at_once)):
            yield slice(image, image + together), slice(row, row + at_once)
