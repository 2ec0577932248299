"""Contestants in processes of their own that work in turns: while one works, the others are stopped."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    """What a contestant did in its turn."""

    steps: int
    waiting_share: float = 0.0
    """Of the turn's time, spent waiting for data."""


Work = Callable[[], Iterator[Done]]
IMPORTED = ("benchmarks.lightly_recipe", "benchmarks.pairlab_steps")
WARM_UPS = 2
"""Turns that are not counted: imports, first batches, first kernels."""


@dataclass
class Contestant:
    """One of them, as the process that gives the turns sees it."""

    process: BaseProcess
    ends: Connection
    seconds: list[float] = field(default_factory=list)
    """Of a step, in each turn that counts."""
    waiting: list[float] = field(default_factory=list)
    """Share of each turn that counts."""
    peak_mb: float = 0.0
    """The most memory that was resident so far."""

    def turn(self) -> tuple[float, float]:
        """Lets it work until it has done some steps; returns the seconds that one took, and the share of waiting."""
        pid = self.process.pid
        assert pid is not None
        os.killpg(pid, signal.SIGCONT)
        self.ends.send(None)
        seconds, waiting, self.peak_mb = self.ends.recv()
        os.killpg(pid, signal.SIGSTOP)
        return float(seconds), float(waiting)


def seconds_in_turns(
    contestants: Mapping[str, Work], *, rounds: int, warm_ups: int = WARM_UPS
) -> dict[str, Contestant]:
    """Returns the contestants behind so many rounds, in each of which every one of them had its turn.

    Args:
        contestants: name → what it does; it is pickled, so a function of a module, or a partial of one.
        rounds: turns that count.
        warm_ups: turns before them.
    """
    with _started(contestants) as running:
        for number in range(rounds + warm_ups):
            for each in running.values():
                seconds, waiting = each.turn()
                if number >= warm_ups:
                    each.seconds.append(seconds)
                    each.waiting.append(waiting)
    return running


def ratios(slower: Contestant, faster: Contestant) -> list[float]:
    """Returns how many times faster one was than the other, round by round."""
    return [one / other for one, other in zip(slower.seconds, faster.seconds, strict=True)]


@contextmanager
def _started(contestants: Mapping[str, Work]) -> Iterator[dict[str, Contestant]]:
    context = fresh_processes()
    running: dict[str, Contestant] = {}
    try:
        for name, work in contestants.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(work, theirs), name=name)
            process.start()
            theirs.close()
            running[name] = Contestant(process, ours)
        for name, each in running.items():
            if each.ends.recv() != "ready":
                raise RuntimeError(f"{name} did not start")
        yield running
    finally:
        for each in running.values():
            if each.process.pid is not None and each.process.exitcode is None:
                os.killpg(each.process.pid, signal.SIGKILL)
            each.process.join()
            each.ends.close()


def fresh_processes() -> ForkServerContext:
    """Returns where processes come from that have imported what contestants need, and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))  # once for all of them
    return context


def _work(work: Work, turns: Connection) -> None:
    """Works, in the process of a contestant, whenever it is its turn."""
    os.setpgid(0, 0)  # so that loaders are stopped and ended with it
    steps = work()
    turns.send("ready")
    while True:
        turns.recv()
        began = time.perf_counter()
        done = next(steps)
        turns.send(((time.perf_counter() - began) / done.steps, done.waiting_share, peak_mb()))


def peak_mb() -> float:
    """Returns the most memory of this process that was resident so far, MB."""
    return memory_mb("VmHWM")


def memory_mb(field: str) -> float:
    """Returns a field of what the system knows of this process's memory, MB: VmRSS is resident now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith(field))
    return int(found.split()[1]) * 1024 / 1e6
