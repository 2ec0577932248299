"""The views of the next step, made while this one is still computed."""

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import torch
from torch import Tensor

from pairlab.engine.clock import Clock
from pairlab.views.batches import PairBatch

Render = Callable[[PairBatch], Tensor]
Given = TypeVar("Given")
Made = TypeVar("Made")


def with_views(
    batches: Generator[PairBatch, None, None], render: Render, *, device: torch.device, clock: Clock
) -> Generator[tuple[PairBatch, Tensor], None, None]:
    """Yields each batch with its views, which `render` makes on the device; the same in any case, only sooner.

    On CUDA the next batch's views are copied and rendered on a stream of their own while a step runs; on a CPU a thread
    renders them, if the training leaves a core to it. Either way two batches of views are in memory.

    Args:
        batches: in the order of their steps; closed in the end.
        render: batch → views; draws nothing.
        device: where views are rendered and used.
        clock: counts the time for which the training waits: for batches, and for a thread's views.
    """
    if device.type == "cuda":
        yield from _on_a_stream(clock.waiting(batches), render, device)
    elif device.type == "cpu" and torch.get_num_threads() < len(os.sched_getaffinity(0)):
        yield from clock.waiting(made_beside(batches, lambda batch: (batch, render(batch))))
    else:
        for batch in clock.waiting(batches):
            yield batch, render(batch)


def made_beside(given: Generator[Given, None, None], make: Callable[[Given], Made]) -> Generator[Made, None, None]:
    """Yields make(each), in order, made on one core by a thread that stays one ahead.

    What `given` or `make` raises is raised when its turn comes. Closing the iterator waits for what is being made, and
    closes `given`.
    """

    def following() -> tuple[Made] | None:
        for each in given:
            return (make(each),)
        return None

    with closing(given), ThreadPoolExecutor(1, thread_name_prefix="rendering") as thread:
        threads = torch.get_num_threads()
        thread.submit(_take_one_core).result()
        torch.set_num_threads(threads)  # of this thread, and of all that start later: it was set for them too
        coming = thread.submit(following)
        while (made := coming.result()) is not None:
            coming = thread.submit(following)
            yield made[0]


def _take_one_core() -> None:
    torch.set_num_threads(1)
    torch.get_num_threads()  # a thread takes the number that is set when torch first computes or is asked in it


def _on_a_stream(
    batches: Iterator[PairBatch], render: Render, device: torch.device
) -> Iterator[tuple[PairBatch, Tensor]]:
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
