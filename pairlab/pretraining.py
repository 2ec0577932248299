"""The contrastive loop: pairs in, a pretrained network out; knows nothing of queues, databases or screens."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from pairlab.checkpoint import SavedFile, load_checkpoint, save_checkpoint, save_weights
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.expansion import PretrainJob, job_key
from pairlab.experiment.methods import Pretraining
from pairlab.networks import GRID_STRIDE, build_network
from pairlab.objectives import build_objective
from pairlab.pairing.drawing import draw_pairs
from pairlab.pairing.pair import PairList
from pairlab.precision import best_precision
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import SceneSource
from pairlab.scenes.splits import assign_splits
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.pixels import crop, standardise, to_unit_range, vary

METRIC_POINTS = 100
"""About how many points of each metric a run reports."""


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

    Raises:
        SceneError, PairingRefused, NetworkError, CheckpointError: the job cannot run as asked.
        DivergedError: the loss became NaN or infinite.
    """
    pairs = draw_train_pairs(config, index)
    run = _Run(config, source, pairs, device)
    step = run.resume(resume) if resume is not None else 0
    total = config.pretraining.steps
    yield Started(
        step=step,
        total_steps=total,
        facts={
            "device": str(device),
            "precision": str(run.precision),
            "realised_noise": pairs.realised_rate,
            "pairs": len(pairs),
            "pool": pairs.pool,
            "warnings": list(pairs.warnings),
        },
    )
    began, began_at = time.perf_counter(), step
    every = max(1, total // METRIC_POINTS)
    loss = math.nan
    saved_at = step
    for batch in run.batches.ahead(step, total):
        loss = run.optimize(batch)
        step = batch.step + 1
        stopping = step < total and should_stop()
        if step == 1 or step % every == 0 or step == total or stopping:
            speed = (step - began_at) / (time.perf_counter() - began)
            yield Metrics(
                step=step,
                values={
                    "loss": loss,
                    "learning_rate": learning_rate(step - 1, config.pretraining),
                    "pairs_per_s": speed * config.pretraining.batch_size,
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
    seconds = time.perf_counter() - began
    yield Finished(
        step=step,
        results={
            "realised_noise": pairs.realised_rate,
            "pairs": len(pairs),
            "pairs_per_s": (step - began_at) * config.pretraining.batch_size / max(seconds, 1e-9),
            "final_loss": loss if math.isfinite(loss) else None,
        },
    )


def draw_train_pairs(config: PretrainJob, index: ChipIndex) -> PairList:
    """Returns the pairs of a job, drawn from the train split alone.

    Raises:
        SceneError: the splits do not fit the dataset.
        PairingRefused: the data cannot meet the pairing.
    """
    assigned = assign_splits(index.scenes, config.splits)
    train = index.of_scenes({name for name, split in assigned.items() if split == "train"})
    return draw_pairs(
        train,
        acquisitions=index.scenes[0].acquisitions,
        pairing=config.pairing,
        places=config.places,
        seed=config.seed,
    )


def learning_rate(step: int, training: Pretraining) -> float:
    """Returns the rate of a step (from 0): linear warm-up, then half a cosine to zero at the last step."""
    if step < training.warmup_steps:
        return training.learning_rate * (step + 1) / training.warmup_steps
    progress = (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


class _Run:
    """Network, head and optimizer of one run on its device."""

    def __init__(self, config: PretrainJob, source: SceneSource, pairs: PairList, device: torch.device) -> None:
        self.config, self.device = config, device
        self.precision = best_precision(device)
        self.bands = source.bands
        self.network = build_network(config.network, seed=config.seed, bands=len(self.bands))
        self.objective = build_objective(config.method, self.network.channels, seed=config.seed)
        self.trained = nn.ModuleDict({"network": self.network, "objective": self.objective})
        self.trained.to(device).to(memory_format=self.precision.memory_format)
        self.optimizer = torch.optim.AdamW(
            self.trained.parameters(),
            lr=config.pretraining.learning_rate,
            weight_decay=config.pretraining.weight_decay,
        )
        self.batches = PairBatches(
            source,
            pairs,
            config.pretraining,
            seed=config.seed,
            grid=config.chip_size // GRID_STRIDE,
            points=self.objective.points,
        )

    def optimize(self, batch: PairBatch) -> float:
        """Takes one step and returns its loss."""
        images = to_unit_range(torch.from_numpy(batch.chips).to(self.device).permute(0, 3, 1, 2), self.bands)
        views = standardise(vary(crop(images, batch.views), batch.factors))
        views = views.contiguous(memory_format=self.precision.memory_format)
        self.trained.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(batch.step, self.config.pretraining)
        with self.precision.context():
            loss = self.objective(self.network(views), batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergedError(
                f"the loss became {value} at step {batch.step + 1}: lower pretraining.learning_rate "
                f"({self.config.pretraining.learning_rate:g}) or raise the temperature; the last checkpoint is intact"
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
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
