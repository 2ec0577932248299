"""The contrastive loop: pairs in, a pretrained network out; knows nothing of queues, databases or screens."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pairlab.checkpoint import SavedFile, load_checkpoint, save_weights
from pairlab.diagnostics.earlier import NOTHING_EARLIER, Earlier
from pairlab.diagnostics.embedding_maps import MOMENTS, EmbeddingMaps
from pairlab.diagnostics.run_diagnostics import RunDiagnostics
from pairlab.engine.clock import Clock
from pairlab.engine.memory import is_out_of_memory, memory_taken
from pairlab.engine.optimisation import learning_rate
from pairlab.engine.prefetch import with_views
from pairlab.engine.probe import too_little_memory
from pairlab.engine.run import Run
from pairlab.engine.team import ALONE, Team
from pairlab.events import Event, Finished, Metrics, Saved, Started, Warned
from pairlab.experiment.jobs import PretrainJob, job_key
from pairlab.experiment.method_warnings import method_warnings
from pairlab.input_scale import described_input
from pairlab.pairing.cell_scores import CellScores
from pairlab.pairing.job_pairs import pairs_of
from pairlab.pairing.pair import PairList
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import SceneSource

METRIC_POINTS = 100
"""About how many points of each metric a run reports."""
LOADER_WORKERS = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Threads that make batches: one keeps up where chips are in memory, more where images are decoded or rendered."""


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
    initial: SavedFile | None = None,
    loader_workers: int = LOADER_WORKERS,
    team: Team = ALONE,
    earlier: Earlier = NOTHING_EARLIER,
    map_moments: int = MOMENTS,
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
        initial: the file that `config.initial` names, where it names one.
        loader_workers: threads that make batches; any number gives the same batches.
        team: the processes that run this job together, each of them this function: all tell the same, and the leader
            alone writes files.
        earlier: what earlier attempts of the job have told, and is not told again.
        map_moments: how many embedding maps are drawn; training is the same without any.

    Metrics: `loss`, `learning_rate`, `gradient_norm`, `pairs_per_s` since the run began or went on, `waiting_share`,
    the share of time since the last figures in which the training waited for batches and their views, the memory that
    is taken (`memory_taken`), and what embeddings and features tell (`embedding_figures`, `feature_figures`).

    Raises:
        SceneError, PairingRefused, NetworkError, InitialWeightsError, PrecisionError, CheckpointError: the job cannot
            run as asked.
        DivergedError: the loss, a gradient or a weight became NaN or infinite.
        TooLittleMemoryError: a step does not fit.
    """
    pairs = pairs_of(config, index, scores=scores)
    checkpoint = None if resume is None else load_checkpoint(resume.path, sha256=resume.sha256)
    run = Run(config, source, pairs, device=device, team=team, checkpoint=checkpoint, initial=initial)
    yield Started(
        step=run.step,
        total_steps=config.pretraining.steps,
        facts={
            "device": str(device),
            "precision": str(run.precision),
            "pool": dict(pairs.pool),
            "network": {**run.network.described(), "input": described_input(source.bands)},
            **run.loaded,
            **_facts(config, pairs),
        },
    )
    yield from (Warned(step=run.step, sentence=sentence) for sentence in run.warnings)
    diagnostics = RunDiagnostics(config, source, pairs=len(pairs), earlier=earlier)
    maps = EmbeddingMaps(
        source,
        pairs,
        run.precision,
        seed=config.seed,
        steps=config.pretraining.steps,
        moments=map_moments if team.leads else 0,
        earlier=earlier,
        first_step=run.step,
    )
    try:
        yield from _trained(
            run, diagnostics, maps, folder=folder, should_stop=should_stop, loader_workers=loader_workers
        )
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        shortage = str(error)
    else:
        return
    raise too_little_memory(run, shortage)  # out there, the failed step's tensors are no longer held by its error


def _trained(
    run: Run,
    diagnostics: RunDiagnostics,
    maps: EmbeddingMaps,
    *,
    folder: Path,
    should_stop: Callable[[], bool],
    loader_workers: int,
) -> Iterator[Event]:
    """Yields what happens from the run's step to its last one, or to a stop."""
    config, training, total = run.config, run.config.pretraining, run.config.pretraining.steps
    clock = Clock()
    began_at = saved_at = run.step
    every = max(1, total // METRIC_POINTS)
    loss = math.nan
    yield from maps.drawn(run.step, run.shown, folder=folder)
    batches = run.batches.ahead(run.step, total, workers=loader_workers)
    with closing(with_views(batches, run.views, device=run.device, clock=clock)) as ready:
        for batch, views in ready:
            watched = run.step == 0 or (run.step + 1) % every == 0 or run.step + 1 == total
            figures = run.optimize(batch, views, watched=watched)
            loss, step = figures.loss, run.step
            stopping = step < total and run.team.agreed(should_stop())
            if watched or stopping:
                speed = (step - began_at) / clock.seconds
                values = {
                    "loss": loss,
                    "learning_rate": learning_rate(step - 1, training),
                    "gradient_norm": figures.gradient_norm,
                    "pairs_per_s": speed * training.batch_size,
                    "waiting_share": clock.waiting_share(),
                    **memory_taken(run.device),
                    **diagnostics.figures(run.objective.compared, run.pooled),
                }
                values = {key: value for key, value in values.items() if math.isfinite(value)}
                yield Metrics(step=step, values=values, seconds_left=(total - step) / speed)
                yield from diagnostics.warnings(step, values)
            yield from maps.drawn(step, run.shown, folder=folder)
            due = stopping or step % training.checkpoint_every == 0 or step == total
            if due and step != saved_at:
                if run.team.leads:
                    yield run.checkpoint(folder)
                saved_at = step
            if stopping:
                yield Finished(step=step, results={}, stopped=True)
                return
    if run.team.leads:
        weights = folder / "weights.safetensors"
        sha256 = save_weights(weights, run.network)
        yield Saved(kind="weights", step=run.step, path=weights, sha256=sha256, details={"job": job_key(config)})
    yield Finished(
        step=run.step,
        results={
            **_facts(config, run.pairs),
            "pairs_per_s": (run.step - began_at) * training.batch_size / clock.seconds,
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
        "warnings": [*pairs.warnings, *method_warnings(config.method, pairs=len(pairs))],
    }
