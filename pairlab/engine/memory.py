"""How much memory a run takes, and what would fit where it does not."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import torch

_REFINEMENTS = 3
"""Bisections between the largest size that fitted and the smallest that did not: the answer is within an eighth."""
_SIGNS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "could not create a primitive",  # oneDNN, which does not say why
)
_MEGABYTE = 2**20


class TooLittleMemoryError(ValueError):
    """A step does not fit into memory; the message says which would."""


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory was asked for and not given, on a GPU or by a CPU's allocator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


def largest_fitting(fits: Callable[[int], bool], *, below: int, smallest: int) -> int | None:
    """Returns the largest size found to fit, or None; sizes are tried by halves, then between the last two.

    Args:
        fits: tries a size; called with sizes from `smallest` to `below` − 1.
        below: a size that does not fit.
        smallest: the least size that makes sense.
    """
    size = below
    while size == below or not fits(size):
        if size <= smallest:
            return None
        below, size = size, max(smallest, size // 2)
    for _ in range(_REFINEMENTS):
        between = (size + below) // 2
        if between in (size, below):
            break
        if fits(between):
            size = between
        else:
            below = between
    return size


def release(device: torch.device) -> None:
    """Gives back what nobody holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def memory_taken(device: torch.device) -> dict[str, float]:
    """Returns how much memory this process takes, as a metric in MiB.

    device_memory_mb: the most that tensors took on a GPU so far. process_memory_mb: what is resident of the process,
    libraries and memory-mapped images included, where the device is the CPU.
    """
    if device.type == "cuda":
        return {"device_memory_mb": torch.cuda.max_memory_allocated(device) / _MEGABYTE}
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):  # no Linux
        return {}
    return {"process_memory_mb": pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE}
