"""The views of the next step, made on a GPU while it still computes this one."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from pairlab.views.batches import PairBatch

Render = Callable[[PairBatch], Tensor]


def with_views(
    batches: Iterable[PairBatch], render: Render, *, device: torch.device
) -> Iterator[tuple[PairBatch, Tensor]]:
    """Yields each batch with its views, which `render` makes on the device; the same in any case, only sooner.

    On CUDA the next batch's views are copied and rendered on a stream of their own while a step runs, so that two
    batches of views are in memory. Elsewhere they are made when their turn comes.
    """
    if device.type != "cuda":
        for batch in batches:
            yield batch, render(batch)
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ready: tuple[PairBatch, Tensor] | None = None
    for batch in batches:
        with torch.cuda.stream(side):
            following = batch, render(batch)
        if ready is not None:
            yield ready
        torch.cuda.current_stream(device).wait_stream(side)
        following[1].record_stream(torch.cuda.current_stream(device))
        ready = following
    if ready is not None:
        yield ready
