"""Feature matching: a point's positive is the cell of the other view whose features are most alike."""

import torch
from torch import Tensor

from pairlab.losses.embeddings import full_precision, unit_rows
from pairlab.losses.pixel_infonce import gather_points


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
        rows = unit_rows(gather_points(features_a, cells_a)).reshape(batch, -1, channels)
        others = unit_rows(features_b.permute(0, 2, 3, 1).reshape(-1, channels)).reshape(batch, -1, channels)
        return (rows @ others.transpose(1, 2)).argmax(dim=2)  # (B, P, H·W) → (B, P)
