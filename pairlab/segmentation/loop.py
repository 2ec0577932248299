"""The downstream loop: protocol by protocol, from the same start and on the same labelled chips."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from pairlab.checkpoint import SavedFile
from pairlab.events import Event, Finished, Started
from pairlab.experiment.jobs import SegmentJob
from pairlab.networks import DenseNetwork
from pairlab.precision import best_precision
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.scene import SceneSource
from pairlab.segmentation.evaluation import evaluate
from pairlab.segmentation.protocol_run import ProtocolRun
from pairlab.segmentation.saved import save_predictions, save_results
from pairlab.segmentation.starting_network import starting_network
from pairlab.segmentation.task import Task
from pairlab.segmentation.training import Clock, Training

TEST_PREDICTIONS = 32


def segment(
    config: SegmentJob,
    source: SceneSource,
    index: ChipIndex,
    *,
    folder: Path,
    weights: SavedFile | None,
    initial: SavedFile | None = None,
    should_stop: Callable[[], bool],
    device: torch.device,
) -> Iterator[Event]:
    """Yields what happens while the network learns to segment, protocol by protocol, from `Started` to `Finished`.

    Every protocol starts from the same weights and the same labelled chips. Learning rate and checkpoint are chosen on
    validation scenes; test scenes are predicted once, at the protocol's end, under the rule it declares.

    Args:
        config: the resolved job.
        source: its dataset, opened with draw = config.seed.
        index: the chips, at config.chip_size, of the scenes that take part.
        folder: where predictions and results are written.
        weights: the pretraining's weights; None starts from `config.initial`.
        initial: the file that `config.initial` names, where it names one.
        should_stop: asked after every step; True ends the run.
        device: where to train.

    Raises:
        SceneError, NetworkError, CheckpointError, InitialWeightsError, SegmentationError: the job cannot run as asked.
    """
    task = Task.prepare(config, source, index)
    precision = best_precision(device)
    total = sum(protocol.total_steps for protocol in config.protocols)
    facts = {"device": str(device), "precision": str(precision), **task.facts()}

    def start() -> tuple[DenseNetwork, dict[str, Any]]:
        return starting_network(config, len(source.bands), weights, initial)

    yield Started(step=0, total_steps=total, facts=facts | start()[1])
    results: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    boundary: dict[str, Any] = {}
    clock = Clock(total)
    first_step = 0
    for protocol in config.protocols:
        began = time.perf_counter()
        run = ProtocolRun(config, protocol, task, start()[0], precision)
        training = Training(run, folder, first_step=first_step, clock=clock, should_stop=should_stop)
        yield from training.trials(lambda: start()[0])
        if training.stopped_at is not None:
            yield Finished(step=training.stopped_at, results={}, stopped=True)
            return
        first_step += protocol.total_steps
        validation = training.take_chosen()
        test = evaluate(task, "test", run.logits, evaluation=config.evaluation, show=TEST_PREDICTIONS)
        yield from save_predictions(
            test, folder, protocol=protocol.name, acquisition=task.dates[-1], step=first_step, final=True
        )
        results[protocol.name] = {
            "test": test.summary(),
            "validation": validation,
            **training.told(),
            "seconds": time.perf_counter() - began,
        }
        counts[protocol.name], boundary[protocol.name] = test.counts_by_scene(), test.boundary_by_scene()
    by_scene = {"test_scene_counts": counts, "test_scene_boundary_counts": boundary}
    yield save_results(folder, total, {"classes": task.classes, "protocols": results, **by_scene})
    yield Finished(step=total, results={"classes": list(task.classes), "protocols": results})
