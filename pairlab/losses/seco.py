"""SeCo: in one subspace nothing that differs between the views of a place matters, in two others one thing does."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pairlab.losses.moco import moco, others_of

OTHER_DATE_AND_AUGMENTATION, OTHER_DATE, OTHER_AUGMENTATION = range(3)
"""Which of a place's three keys is the positive in which subspace."""


def seco(
    queries: Sequence[Tensor], keys: Sequence[Sequence[Tensor]], queues: Sequence[Tensor], *, temperature: float
) -> Tensor:
    """Returns the sum of MoCo's losses in the three subspaces.

    A query shows a place at one date under one augmentation. Its three keys show the place at another date under
    another augmentation (k₀), at another date under the same augmentation (k₁), and at the same date under another
    augmentation (k₂). In subspace i the positive is kᵢ, and with ℓ the loss of MoCo (`moco`):

        Z₀, which neither dates nor augmentation change:   ℓ(q, k₀; queue₀)
        Z₁, which dates do not change, augmentation does:  ℓ(q, k₁; queue₁ and k₀, k₂)
        Z₂, which augmentation does not change, dates do:  ℓ(q, k₂; queue₂ and k₀, k₁)

    The place's other keys are negatives of their own query alone. Where a queue is empty, the keys kᵢ of the
    batch's other places stand in for it. No gradient passes into a key. Source: Mañas et al., 2021, arXiv 2103.16607,
    section 3.2 and figure 2.

    Args:
        queries: embeddings of the queries in each of the three subspaces, float (B, D); any length.
        keys: `keys[i][j]` are embeddings in subspace i of the keys j, float (B, D).
        queues: keys i of earlier places in subspace i, float (K, D).
        temperature: τ > 0.

    Returns:
        A scalar ≥ 0, float32 (float64 for float64 input) also under autocast.

    Raises:
        NothingToMatch: no queries, or a single one and empty queues.
        ValueError: shapes, dtypes or temperature do not fit; the message prints them.
    """
    found = len(queries), tuple(len(each) for each in keys), len(queues)
    if found != (3, (3, 3, 3), 3):
        raise ValueError(f"SeCo has three subspaces, each with three keys and a queue; found {found}")
    total = torch.zeros((), device=queries[0].device)
    for space, (query, own, queue) in enumerate(zip(queries, keys, queues, strict=True)):
        others = [] if len(queue) else [others_of(own[space])]
        if space != OTHER_DATE_AND_AUGMENTATION:
            others.append(torch.stack([own[key] for key in range(3) if key != space], dim=1))  # (B, 2, D)
        negatives = torch.cat(others, dim=1) if others else None
        total = total + moco(query, own[space], queue, temperature=temperature, own_negatives=negatives)
    return total
