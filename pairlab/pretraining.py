"""The contrastive loop: pairs in, a pretrained network out; knows nothing of queues, databases or screens."""

import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pairlab.checkpoint import SavedFile, load_checkpoint, save_checkpoint, save_weights
from pairlab.engine.passes import WholeBatch
from pairlab.engine.team import ALONE, Team
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.expansion import PretrainJob, job_key
from pairlab.experiment.training import Pretraining
from pairlab.networks import build_network
from pairlab.objectives.building import build_objective
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.pair import PairList
from pairlab.precision import best_precision
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import SceneSource
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.pixels import render_views

METRIC_POINTS = 100
"""About how many points of each metric a run reports."""
LOADER_WORKERS = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Threads that make batches: one keeps up where chips are in memory, more where images are decoded or rendered."""


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


def pretrain(
    config: PretrainJob,
    source: SceneSource,
    index: ChipIndex,
    *,
    folder: Path,
    resume: SavedFile | None,
    should_stop: Callable[[], bool],
    device: torch.device,
    scores: CellScores | None = None,
    loader_workers: int = LOADER_WORKERS,
    team: Team = ALONE,
) -> Iterator[Event]:
    """Yields what happens while a network is pretrained, from `Started` to `Finished`.

    Args:
        config: the resolved job.
        source: its dataset, opened with draw = config.seed.
        index: the chips, at config.chip_size, of the scenes that take part.
        folder: where checkpoints and weights are written.
        resume: a checkpoint of the same job to go on from; None begins anew.
        should_stop: asked after every step; True ends the run behind a checkpoint.
        device: where to train.
        scores: the change scores that the pairing filters by; needed by such a filter alone.
        loader_workers: threads that make batches; any number gives the same batches.
        team: the processes that run this job together, each of them this function.

    Metrics: `loss`, `learning_rate`, `pairs_per_s` since the run began or went on, and `waiting_share`, the share of
    time since the last figures in which the training waited for batches.

    Raises:
        SceneError, PairingRefused, NetworkError, CheckpointError: the job cannot run as asked.
        DivergedError: the loss became NaN or infinite.
    """
    pairs = pairs_of(config, index, scores=scores)
    run = _Run(config, source, pairs, device, team)
    step = run.resume(resume) if resume is not None else 0
    total = config.pretraining.steps
    yield Started(
        step=step,
        total_steps=total,
        facts={
            "device": str(device),
            "precision": str(run.precision),
            "pool": dict(pairs.pool),
            **_facts(config, pairs),
        },
    )
    clock = _Clock()
    began_at = step
    every = max(1, total // METRIC_POINTS)
    loss = math.nan
    saved_at = step
    for batch in clock.waiting(run.batches.ahead(step, total, workers=loader_workers)):
        loss = run.optimize(batch)
        step = batch.step + 1
        stopping = step < total and team.agreed(should_stop())
        if step == 1 or step % every == 0 or step == total or stopping:
            speed = (step - began_at) / clock.seconds
            yield Metrics(
                step=step,
                values={
                    "loss": loss,
                    "learning_rate": learning_rate(step - 1, config.pretraining),
                    "pairs_per_s": speed * config.pretraining.batch_size,
                    "waiting_share": clock.waiting_share(),
                },
                seconds_left=(total - step) / speed,
            )
        due = stopping or step % config.pretraining.checkpoint_every == 0 or step == total
        if due and step != saved_at:
            yield run.checkpoint(folder, step)
            saved_at = step
        if stopping:
            yield Finished(step=step, results={}, stopped=True)
            return
    weights = folder / "weights.safetensors"
    sha256 = save_weights(weights, run.network)
    yield Saved(kind="weights", step=step, path=weights, sha256=sha256, details={"job": job_key(config)})
    yield Finished(
        step=step,
        results={
            **_facts(config, pairs),
            "pairs_per_s": (step - began_at) * config.pretraining.batch_size / clock.seconds,
            "waiting_share": clock.waited / clock.seconds,
            "final_loss": loss if math.isfinite(loss) else None,
        },
    )


def _facts(config: PretrainJob, pairs: PairList) -> dict[str, Any]:
    """Returns what is to be known of the pairs beside every result."""
    return {
        "pairs": len(pairs),
        "realised_noise": pairs.realised_rate,
        "realised_mismatch": pairs.realised_mismatch,
        "exposure_matched": pairs.exposure_matched,
        "filtered": None if pairs.filtered is None else asdict(pairs.filtered),
        "transductive": config.transductive,
        "warnings": list(pairs.warnings),
    }


def learning_rate(step: int, training: Pretraining) -> float:
    """Returns the rate of a step (from 0): linear warm-up, then half a cosine to zero at the last step."""
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / training.warmup_steps
    progress = (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class _Clock:
    """The time of a run, and how much of it was spent waiting for batches."""

    def __init__(self) -> None:
        self._began = self._told = time.perf_counter()
        self.waited = self._waited_told = 0.0

    @property
    def seconds(self) -> float:
        return max(time.perf_counter() - self._began, 1e-9)

    def waiting(self, batches: Generator[PairBatch, None, None]) -> Iterator[PairBatch]:
        """Yields the batches, and counts the time until each is there."""
        with closing(batches):
            while True:
                asked = time.perf_counter()
                batch = next(batches, None)
                self.waited += time.perf_counter() - asked
                if batch is None:
                    return
                yield batch

    def waiting_share(self) -> float:
        """Returns the share of time since this was asked last."""
        now = time.perf_counter()
        share = (self.waited - self._waited_told) / max(now - self._told, 1e-9)
        self._told, self._waited_told = now, self.waited
        return min(share, 1.0)


class _Run:
    """Network, head and optimizer of one run on its device."""

    def __init__(
        self, config: PretrainJob, source: SceneSource, pairs: PairList, device: torch.device, team: Team
    ) -> None:
        self.config, self.device = config, device
        self.precision = best_precision(device)
        self.team = team
        self.bands = source.bands
        self.network = build_network(config.network, seed=config.seed, bands=len(self.bands))
        self.objective = build_objective(config.method, self.network, seed=config.seed)
        self.trained = nn.ModuleDict({"network": self.network, "objective": self.objective})
        self.trained.to(device).to(memory_format=self.precision.memory_format)
        self.optimizer = torch.optim.AdamW(
            [each for each in self.trained.parameters() if each.requires_grad],
            lr=config.pretraining.learning_rate,
            weight_decay=config.pretraining.weight_decay,
        )
        self.batches = PairBatches(
            source,
            pairs,
            config.pretraining,
            seed=config.seed,
            grid=config.chip_size // self.objective.grid_stride,
            points=self.objective.points,
            change_weight=self.objective.change_weight,
            cells=self.objective.cells,
        )

    def optimize(self, batch: PairBatch) -> float:
        """Takes one step and returns its loss."""
        views = render_views(batch.chips, batch.views, batch.factors, bands=self.bands, device=self.device)
        views = views.contiguous(memory_format=self.precision.memory_format)
        self.trained.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(batch.step, self.config.pretraining)
        passes = WholeBatch(self.network)
        with self.precision.context():
            loss = self.objective.loss(passes, views, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergedError(
                f"the loss became {value} at step {batch.step + 1}: lower pretraining.learning_rate "
                f"({self.config.pretraining.learning_rate:g}) or raise the temperature; the last checkpoint is intact"
            )
        self.optimizer.zero_grad(set_to_none=True)
        passes.backward(loss)
        self.optimizer.step()
        self.objective.after_step(self.network, step=batch.step, total=self.config.pretraining.steps)
        return value

    def checkpoint(self, folder: Path, step: int) -> Saved:
        """Writes everything the run needs to go on from `step`."""
        path = folder / f"checkpoint-{step:08d}.safetensors"
        sha256 = save_checkpoint(
            path,
            state={"trained": self.trained.state_dict(), "optimizer": self.optimizer.state_dict()},
            step=step,
            facts={"job": job_key(self.config)},
        )
        return Saved(kind="checkpoint", step=step, path=path, sha256=sha256, details={})

    def resume(self, file: SavedFile) -> int:
        """Takes over a checkpoint and returns the number of steps it has behind it."""
        checkpoint = load_checkpoint(file.path, sha256=file.sha256)
        self.trained.load_state_dict(checkpoint.state["trained"])
        self.optimizer.load_state_dict(checkpoint.state["optimizer"])
        return checkpoint.step
