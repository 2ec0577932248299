"""The figures of a step that tell whether a network learns or collapses."""

import math
from statistics import fmean

import torch
from torch import Tensor

from pairlab.diagnostics.alignment import alignment, uniformity
from pairlab.diagnostics.collapse import deviation, effective_rank, relative_deviation

MOST_ROWS = 512
"""Rows that figures are taken from; more take longer and say the same."""
LEAST_ROWS = 2


def embedding_figures(anchors: Tensor, positives: Tensor) -> dict[str, float]:
    """Returns what the compared embeddings of a step tell, all finite; nothing where they tell nothing.

    `embeddings/deviation` (at unit length, a multiple of 1/√dim), `embeddings/raw_deviation` (as they are),
    `embeddings/effective_rank`, its share of the most it could be, min(rows, dim), as `embeddings/rank_share`,
    `embeddings/alignment` and `embeddings/uniformity`. Each side is measured by itself and both are averaged, as what a
    momentum copy makes lies elsewhere.

    Args:
        anchors: embeddings, float (rows, dim); of dense methods a row is a cell.
        positives: theirs, row by row.
    """
    sides = [some_rows(each) for each in (anchors, positives)]
    if anchors.shape != positives.shape or any(len(rows) < LEAST_ROWS or not rows.isfinite().all() for rows in sides):
        return {}
    rank = fmean(map(effective_rank, sides))
    figures = {
        "embeddings/deviation": fmean(map(relative_deviation, sides)),
        "embeddings/raw_deviation": fmean(map(deviation, sides)),
        "embeddings/effective_rank": rank,
        "embeddings/rank_share": rank / min(sides[0].shape),
        "embeddings/alignment": alignment(*sides),
        "embeddings/uniformity": fmean(map(uniformity, sides)),
    }
    return figures if all(map(math.isfinite, figures.values())) else {}


def feature_figures(pooled: Tensor) -> dict[str, float]:
    """Returns what the network's pooled features tell: `features/effective_rank` and `features/rank_share`.

    Their mean over the images is taken away first: behind a ReLU it outweighs all else, and tells no image from
    another.

    Args:
        pooled: features of the step's images averaged over their positions, float (images, channels).
    """
    rows = some_rows(pooled)
    if len(rows) < LEAST_ROWS or not rows.isfinite().all():
        return {}
    rank = effective_rank(rows - rows.mean(dim=0))
    return {"features/effective_rank": rank, "features/rank_share": rank / min(len(rows) - 1, rows.shape[1])}


def some_rows(rows: Tensor) -> Tensor:
    """Returns at most MOST_ROWS rows, evenly spaced, float32 on the CPU: the same ones of equally many each time."""
    if len(rows) > MOST_ROWS:
        rows = rows[torch.linspace(0, len(rows) - 1, MOST_ROWS, device=rows.device).round().long()]
    return rows.detach().to("cpu", torch.float32)
