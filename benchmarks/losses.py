"""Losses: forward and backward of each, beside lightly's or its plain equations, in time and in memory.

Times are those of the processor, on one thread: what other programs take of the machine is not in them.
"""

import time
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.loss_cases import Loss, LossCase, loss_cases
from benchmarks.report import Row, run
from pairlab.engine.allocation import keep_freed_memory

THREADS = 1
NO_SLOWER = 0.95
"""A twentieth is left to the noise of a machine."""
NO_MORE_MEMORY = 1.05
"""A twentieth is left to copies of a few rows."""
LEAST_SECONDS = 0.02
"""Of one measurement: quick losses are repeated."""


def measure(quick: bool) -> Sequence[Row]:
    """Returns the rows of the table."""
    keep_freed_memory()  # as a run has it: fresh pages would take more time than some of the losses
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return [row for case in loss_cases(quick=quick) for row in _rows(case, rounds=2 if quick else 7)]
    finally:
        torch.set_num_threads(threads)


def _rows(case: LossCase, *, rounds: int) -> list[Row]:
    inputs = case.inputs()
    trained = inputs[: case.trained]
    sides = {"ours": case.ours, "peer": case.peer}
    repeats = {name: max(1, round(LEAST_SECONDS / _seconds(loss, inputs, trained, 1))) for name, loss in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, loss in sides.items():
            times[name].append(_seconds(loss, inputs, trained, repeats[name]))
    faster = median(peer / ours for peer, ours in zip(times["peer"], times["ours"], strict=True))
    bytes_ = {name: peak_bytes(loss, inputs, trained) for name, loss in sides.items()}
    shape = " × ".join(map(str, case.shapes[0]))
    speed = f"{case.against}; {shape}, {1000 * median(times['ours']):.2f} ms"
    memory = f"{case.against}; {bytes_['ours'] / 1e6:.1f} of {bytes_['peer'] / 1e6:.1f} MB"
    share = bytes_["ours"] / bytes_["peer"]
    return [
        Row(f"{case.name}_speed", faster, "x", speed, NO_SLOWER),
        Row(f"{case.name}_peak_memory", share, "share", memory, NO_MORE_MEMORY, at_least=False),
    ]


def _seconds(loss: Loss, inputs: Sequence[Tensor], trained: Sequence[Tensor], repeats: int) -> float:
    began = time.process_time()
    for _ in range(repeats):
        torch.autograd.grad(loss(inputs), trained)
    return (time.process_time() - began) / repeats


def peak_bytes(loss: Loss, inputs: Sequence[Tensor], trained: Sequence[Tensor]) -> int:
    """Returns the most that tensors took at once, in forward and backward pass together, beside the inputs."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        gradients = torch.autograd.grad(loss(inputs), trained)
    del gradients
    assert recorded.profiler is not None
    events = [each for each in recorded.profiler.kineto_results.events() if each.name() == "[memory]"]
    taken = most = 0
    for each in sorted(events, key=lambda event: event.start_ns()):
        taken += each.nbytes()
        most = max(most, taken)
    return most


if __name__ == "__main__":
    run("losses", measure)
