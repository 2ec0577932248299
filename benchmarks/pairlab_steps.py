"""PairLab's own training steps as contestants: the whole loop, its parts around an encoder, the bare model."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.stored_chips import StoredChips, pairs_and_source
from benchmarks.turns import Done
from pairlab.engine.allocation import keep_freed_memory
from pairlab.engine.optimisation import build_optimizer, set_learning_rate
from pairlab.engine.passes import WholeBatch
from pairlab.engine.run import Run
from pairlab.engine.team import ALONE
from pairlab.events import Metrics
from pairlab.experiment.expansion import PretrainJob
from pairlab.experiment.methods import SimCLR
from pairlab.networks import build_network
from pairlab.objectives.simclr import SimCLRObjective
from pairlab.precision import best_precision
from pairlab.pretraining import METRIC_POINTS, pretrain
from pairlab.views.batches import PairBatches
from pairlab.views.pixels import render_views

KEPT_BATCHES = 4
"""Batches that the bare model sees again and again."""


class LastLevel(nn.Module):
    """An encoder without a decoder: images → the features of its last level."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Returns the coarsest features (images, channels, height/32, width/32)."""
        features: Tensor = self.encoder(images)[-1]
        return features


def loop_steps(job: PretrainJob, chips: StoredChips, *, device: str, threads: int) -> Iterator[Done]:
    """Pretrains, as the worker does it, and yields where the run tells figures: behind a hundredth of its steps.

    The first value is behind the first step. The run must be longer than it is watched.
    """
    _prepare(threads)
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


def encoder_steps(job: PretrainJob, chips: StoredChips, *, threads: int, turn: int) -> Iterator[Done]:
    """Trains the encoder alone, by the parts that the loop is made of: batches, views, objective, precision, optimizer.

    What Lightly's recipe trains; PairLab's own networks have a decoder, which is pretrained too.
    """
    _prepare(threads)
    device = torch.device("cpu")
    assert isinstance(job.method, SimCLR)
    pairs, source = pairs_and_source(chips, job)
    precision = best_precision(device)
    encoder: Any = build_network(job.network, seed=job.seed).encoder  # of segmentation-models-pytorch, untyped
    network = LastLevel(encoder).to(memory_format=precision.memory_format)
    objective = SimCLRObjective(job.method, encoder.out_channels[-1])
    trained = nn.ModuleDict({"network": network, "objective": objective}).train()
    optimizer = build_optimizer(trained, job.pretraining)
    batches = PairBatches(source, pairs, job.pretraining, seed=job.seed, grid=1, points=0)
    for batch in batches.ahead(0, job.pretraining.steps):
        views = render_views(batch.chips, batch.views, batch.factors, bands=source.bands, device=device)
        set_learning_rate(optimizer, batch.step, job.pretraining)
        optimizer.zero_grad(set_to_none=True)
        passes = WholeBatch(network)
        with precision.context():
            loss = objective.loss(passes, views.contiguous(memory_format=precision.memory_format), batch)
        passes.backward(loss)
        optimizer.step()
        if (batch.step + 1) % turn == 0:
            yield Done(turn)


def bare_steps(job: PretrainJob, chips: StoredChips, *, device: str, threads: int, turn: int) -> Iterator[Done]:
    """Does forward, backward and optimizer step of the loop's model on views that are in memory, and nothing else."""
    _prepare(threads)
    pairs, source = pairs_and_source(chips, job)
    run = Run(job, source, pairs, device=torch.device(device), team=ALONE)
    batches = [run.batches.batch(step) for step in range(KEPT_BATCHES)]
    kept = [(batch, run.views(batch)) for batch in batches]
    run.trained.train()
    for step, (batch, views) in enumerate(itertools.cycle(kept), start=1):
        with run.precision.context():
            loss = run.objective.loss(WholeBatch(run.network), views, batch)
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


def _prepare(threads: int) -> None:
    """Sets a process up as the worker's runs have it."""
    keep_freed_memory()
    torch.set_num_threads(threads)
