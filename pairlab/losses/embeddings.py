"""What every contrastive loss asks of the embeddings it compares."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

SHORTEST = 1e-8
"""Length that a shorter row is taken to have in a cosine, as torch has it."""


class NothingToMatch(ValueError):
    """A batch with too little to compare: its loss would be a silent zero, or no number."""


def check_matched_rows(rows_a: Tensor, rows_b: Tensor) -> None:
    """Accepts two float tensors of one shape (N, D) with D ≥ 1.

    Raises:
        ValueError: anything else; the message prints the shapes or dtypes.
    """
    if rows_a.ndim != 2 or rows_a.shape != rows_b.shape or rows_a.shape[1] == 0:
        raise ValueError(
            f"matched embeddings must have one shape (N, D), found {tuple(rows_a.shape)} and {tuple(rows_b.shape)}"
        )
    if not (rows_a.is_floating_point() and rows_b.is_floating_point()):
        raise ValueError(f"embeddings must be floating point, found {rows_a.dtype} and {rows_b.dtype}")


def check_temperature(temperature: float) -> None:
    """Raises ValueError, which prints the value, unless the temperature is positive and finite."""
    if not (math.isfinite(temperature) and temperature > 0.0):
        raise ValueError(f"temperature must be positive and finite, found {temperature}")


def check_weights(**weights: float) -> None:
    """Raises ValueError, which names the term and prints its weight, unless all are finite and at least 0."""
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0.0):
            raise ValueError(f"{name} must be finite and at least 0, found {weight}")


def widened(rows: Tensor) -> Tensor:
    """Returns the rows in float32 or wider: statistics of a batch in bf16 keep two digits."""
    return rows.to(torch.promote_types(rows.dtype, torch.float32))


def unit_rows(rows: Tensor) -> Tensor:
    """Returns the rows (N, D) at unit length, in float32 or wider: bf16 cosines over τ = 0.1 are off by ± 0.04."""
    return F.normalize(widened(rows), dim=1)


def cosines(rows: Tensor, targets: Tensor) -> Tensor:
    """Returns the cosines (N,) of rows (N, D) with targets (N, D) that stand still, in float32 or wider.

    Those of torch's cosine_similarity, which copies all rows to normalise them, in two thirds of its time.
    """
    rows, targets = widened(rows), widened(targets.detach())
    length, length_of_target = (torch.linalg.vector_norm(each, dim=1).clamp_min(SHORTEST) for each in (rows, targets))
    found: Tensor = torch.linalg.vecdot(rows, targets, dim=1) / (length * length_of_target)
    return found


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Switches autocast off, which would otherwise take the matrix product of float32 rows in bf16 or fp16."""
    with torch.autocast(device_type=device.type, enabled=False):
        yield
