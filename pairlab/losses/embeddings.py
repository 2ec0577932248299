"""What every contrastive loss asks of the embeddings it compares."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor


class NothingToMatch(ValueError):
    """A batch in which no anchor has both a positive and a negative, so that its loss would be a silent zero."""


def check_matched_rows(rows_a: Tensor, rows_b: Tensor, *, temperature: float) -> None:
    """Accepts two float tensors of one shape (N, D) with D ≥ 1, and a positive finite temperature.

    Raises:
        ValueError: anything else; the message prints the shapes, dtypes or the value.
    """
    if rows_a.ndim != 2 or rows_a.shape != rows_b.shape or rows_a.shape[1] == 0:
        raise ValueError(
            f"matched embeddings must have one shape (N, D), found {tuple(rows_a.shape)} and {tuple(rows_b.shape)}"
        )
    if not (rows_a.is_floating_point() and rows_b.is_floating_point()):
        raise ValueError(f"embeddings must be floating point, found {rows_a.dtype} and {rows_b.dtype}")
    if not (math.isfinite(temperature) and temperature > 0.0):
        raise ValueError(f"temperature must be positive and finite, found {temperature}")


def unit_rows(rows: Tensor) -> Tensor:
    """Returns the rows (N, D) at unit length, in float32 or wider: bf16 cosines over τ = 0.1 are off by ± 0.04."""
    return F.normalize(rows.to(torch.promote_types(rows.dtype, torch.float32)), dim=1)


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Switches autocast off, which would otherwise take the matrix product of float32 rows in bf16 or fp16."""
    with torch.autocast(device_type=device.type, enabled=False):
        yield
