"""PairLab's own training steps as contestants: the whole loop, and the bare model."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.stored_chips import StoredChips, pairs_and_source
from benchmarks.turns import Done
from pairlab.engine.allocation import keep_freed_memory
from pairlab.engine.passes import WholeBatch
from pairlab.engine.run import Run
from pairlab.engine.team import ALONE
from pairlab.events import Metrics
from pairlab.experiment.jobs import PretrainJob
from pairlab.pretraining import METRIC_POINTS, pretrain

KEPT_BATCHES = 4
"""Batches that the bare model sees again and again."""


def loop_steps(job: PretrainJob, chips: StoredChips, *, device: str, threads: int) -> Iterator[Done]:
    """Pretrains, as the worker does it, and yields where the run tells figures: behind a hundredth of its steps.

    The first value is behind the first step. The run must be longer than it is watched.
    """
    prepare(threads)
    source, index = chips.open(job.chip_size)
    seen = 0
    with tempfile.TemporaryDirectory(prefix="pairlab-benchmark-") as folder:
        for event in pretrain(
            job,
            source,
            index,
            folder=Path(folder),
            resume=None,
            should_stop=lambda: False,
            device=torch.device(device),
            loader_workers=1,
        ):
            if isinstance(event, Metrics):
                yield Done(event.step - seen, event.values["waiting_share"])
                seen = event.step


def bare_steps(job: PretrainJob, chips: StoredChips, *, device: str, threads: int, turn: int) -> Iterator[Done]:
    """Does forward, backward and optimizer step of the loop's model on views that are in memory, and nothing else."""
    prepare(threads)
    pairs, source = pairs_and_source(chips, job)
    run = Run(job, source, pairs, device=torch.device(device), team=ALONE)
    batches = [run.batches.batch(step) for step in range(KEPT_BATCHES)]
    kept = [(batch, run.views(batch)) for batch in batches]
    run.trained.train()
    for step, (batch, views) in enumerate(itertools.cycle(kept), start=1):
        with run.precision.context():
            loss = run.objective.loss(WholeBatch(run.learner), views, batch)
        torch.autograd.backward(loss)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        if step % turn == 0:
            if device == "cuda":
                torch.cuda.synchronize()
            yield Done(turn)


def steps_of_a_run(turn: int) -> int:
    """Returns how long a run must be to tell figures behind every `turn` steps."""
    return turn * METRIC_POINTS


def prepare(threads: int) -> None:
    """Sets a process up as the worker's runs have it."""
    keep_freed_memory()
    torch.set_num_threads(threads)
