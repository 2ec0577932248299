"""DenseCL: MoCo's loss of whole images beside that of cells, whose negatives are a queue or the batch's own cells."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlab.losses.embeddings import NothingToMatch, check_temperature, full_precision, unit_rows


def densecl(
    global_loss: Tensor,
    cells: Tensor,
    keys: Tensor,
    queue: Tensor,
    *,
    dense_weight: float,
    temperature: float,
    valid: Tensor | None = None,
) -> Tensor:
    """Returns MoCo's loss of whole images and the same loss of cells, weighted.

    With r a cell of the first view, t⁺ its key and the K keys t of the queue, all at unit length:

        L_r = −log( exp(r·t⁺ / τ) / (exp(r·t⁺ / τ) + Σ_t exp(r·t / τ)) ),  averaged over all cells of all images
        loss = (1 − λ) L_q + λ L_r

    No gradient passes into a key. Source: Wang et al., 2021, arXiv 2011.09157, eq. 2 and 4.

    Args:
        global_loss: L_q, a scalar: `moco` of pooled features.
        cells: dense embeddings of the first views, float (B, S, D); any length.
        keys: the matched cells of the second views by the momentum copy, float (B, S, D).
        queue: dense embeddings of earlier images, each pooled over its cells, as in the paper; or some cells of the
            batch; float (K, D).
        dense_weight: λ in [0, 1].
        temperature: τ > 0.
        valid: bool (B, S), cells that have a key at all; None for all.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no cells, or an empty queue.
        ValueError: shapes, dtypes, weight or temperature do not fit; the message prints them.

    Example:
        >>> import torch
        >>> r, t = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[0.0, 1.0]])
        >>> round(densecl(torch.tensor(1.0), r, r, t, dense_weight=0.5, temperature=1.0).item(), 4)  # ½ + ½ 0.3133
        0.6566
    """
    if not 0.0 <= dense_weight <= 1.0:
        raise ValueError(f"dense_weight must lie in [0, 1], found {dense_weight}")
    check_temperature(temperature)
    if cells.ndim != 3 or cells.shape != keys.shape:
        raise ValueError(
            f"cells and keys must have one shape (B, S, D), found {tuple(cells.shape)} and {tuple(keys.shape)}"
        )
    dim = cells.shape[2]
    if queue.ndim != 2 or queue.shape[1] != dim:
        raise ValueError(f"the queue must be of shape (K, {dim}), found {tuple(queue.shape)}")
    wanted = torch.zeros(cells.shape[:2], dtype=torch.int64) if valid is None else valid.long() - 1  # −1: left out
    count = int((wanted == 0).sum())
    if not count or not len(queue):
        raise NothingToMatch(
            f"nothing to match: {count} cells have a key, and the queue has {len(queue)} keys; views that overlap more "
            "(augmentation.crop_scale) or a larger batch give more"
        )
    with full_precision(cells.device):
        r, positives = (unit_rows(each.flatten(0, 1)) for each in (cells, keys.detach()))
        logits = torch.cat([(r * positives).sum(1, keepdim=True), r @ unit_rows(queue.detach()).T], dim=1)
        dense_loss = F.cross_entropy(logits / temperature, wanted.flatten().to(logits.device), ignore_index=-1)
    return (1.0 - dense_weight) * global_loss + dense_weight * dense_loss
