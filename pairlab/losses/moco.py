"""MoCo: a query finds its own key among those of a queue of earlier images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pairlab.losses.embeddings import (
    NothingToMatch,
    check_matched_rows,
    check_temperature,
    full_precision,
    unit_rows,
    widened,
)


def moco(
    queries: Tensor, keys: Tensor, queue: Tensor, *, temperature: float, own_negatives: Tensor | None = None
) -> Tensor:
    """Returns the cross entropy of telling each query's key from the keys of the queue.

    With q, k⁺ and the K keys k of the queue at unit length:

        ℓ = −log( exp(q·k⁺ / τ) / (exp(q·k⁺ / τ) + Σ_k exp(q·k / τ)) ),  averaged over the queries

    The keys of a batch are no negatives of each other. No gradient passes into a key. Source: He et al., 2020, arXiv
    1911.05722, eq. 1 and algorithm 1, which MoCo v2 (Chen et al., 2020, arXiv 2003.04297) keeps.

    Args:
        queries: embeddings of the first views by the trained network, float (B, D); any length.
        keys: embeddings of the second views by the momentum copy, float (B, D); row i belongs to query i.
        queue: keys of earlier batches, float (K, D).
        temperature: τ > 0.
        own_negatives: float (B, M, D), M more keys that are negatives of their query alone; None for none.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no queries, or an empty queue, so that no query has a negative.
        ValueError: shapes, dtypes or temperature do not fit; the message prints them.

    Example:
        >>> q, others = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> round(moco(q, q, others, temperature=1.0).item(), 4)  # −log(e / (e + 1))
        0.3133
    """
    check_matched_rows(queries, keys)
    check_temperature(temperature)
    if queue.ndim != 2 or queue.shape[1] != queries.shape[1] or not queue.is_floating_point():
        raise ValueError(
            f"the queue must be float of shape (K, {queries.shape[1]}), found {queue.dtype} of {tuple(queue.shape)}"
        )
    if own_negatives is not None and own_negatives.shape[::2] != queries.shape:
        raise ValueError(
            f"own negatives must have the shape (B, M, D) of {tuple(queries.shape)} queries, "
            f"found {tuple(own_negatives.shape)}"
        )
    if not len(queries) or not len(queue) + (0 if own_negatives is None else own_negatives.shape[1]):
        raise NothingToMatch(f"nothing to match: {len(queries)} queries, and {len(queue)} keys in the queue")
    with full_precision(queries.device):
        q = unit_rows(queries) / temperature  # before the products: there are fewer queries than logits
        positives, negatives = unit_rows(keys.detach()), unit_rows(queue.detach())
        own = (q * positives).sum(dim=1, keepdim=True)  # (B, 1)
        others = [q @ negatives.T]
        if own_negatives is not None:
            others.append(torch.einsum("bd,bmd->bm", q, F.normalize(widened(own_negatives.detach()), dim=2)))
        logits = torch.cat([own, *others], dim=1)  # (B, 1 + K + M)
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.int64, device=q.device))


def others_of(keys: Tensor) -> Tensor:
    """Returns for each of the keys (B, D) all the others, (B, B − 1, D).

    Example:
        >>> others_of(torch.tensor([[1.0], [2.0], [3.0]])).squeeze(2).tolist()
        [[2.0, 3.0], [1.0, 3.0], [1.0, 2.0]]
    """
    count = len(keys)
    elsewhere = ~torch.eye(count, dtype=torch.bool, device=keys.device)
    return keys.expand(count, -1, -1)[elsewhere].reshape(count, count - 1, keys.shape[1])
