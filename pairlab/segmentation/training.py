"""The training of one protocol: every learning rate it tries, watched on validation scenes, and what is chosen.

A finished protocol tells, beside its scores, `learning_rates` [{`learning_rate`, `miou`, `step`}], what was tried and
its validation mIoU under the declared rule, and `checkpoint` {`rule`, `learning_rate`, `step`, `last`, `best`}: the one
whose weights were tested, with {`step`, `miou`} of the last step and of the best on validation scenes. Steps are those
of one trial, from 1; mIoU is in [0, 1], null where no label of the validation scenes counts.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairlab.events import Event, Metrics
from pairlab.networks import DenseNetwork
from pairlab.segmentation.evaluation import SplitScores, evaluate
from pairlab.segmentation.protocol_run import ProtocolRun, Weights
from pairlab.segmentation.saved import save_predictions

VALIDATION_PREDICTIONS = 6
"""Validation scenes whose prediction is kept at every evaluation, so that overlays evolve."""
METRIC_POINTS = 40


class Clock:
    """How long a job has left, from the steps it has taken."""

    def __init__(self, total: int) -> None:
        """Starts; `total` steps lie ahead."""
        self._total, self._began = total, time.perf_counter()

    def seconds_left(self, done: int) -> float:
        """Returns seconds, after `done` steps."""
        return (time.perf_counter() - self._began) / done * (self._total - done)


@dataclass(frozen=True, slots=True)
class Reached:
    """Validation scores after a step of a trial."""

    step: int
    summary: dict[str, Any]
    weights: Weights | None
    """None where they are those of the network as it is, or are not asked for."""

    @property
    def miou(self) -> float:
        """In [0, 1]; −1 where there is none."""
        found = self.summary["miou"]
        return -1.0 if found is None else float(found)

    def told(self) -> dict[str, Any]:
        """Returns step and mIoU as JSON."""
        return {"step": self.step, "miou": self.summary["miou"]}


@dataclass(frozen=True, slots=True)
class Trial:
    """A learning rate, trained to its end."""

    rate: float
    last: Reached
    best: Reached
    chosen: Reached
    """Of both, the one that the protocol's rule declares."""


class Training:
    """Trains a protocol at each of its learning rates and chooses one by validation mIoU, the first among equals."""

    def __init__(
        self,
        run: ProtocolRun,
        folder: Path,
        *,
        first_step: int,
        clock: Clock,
        should_stop: Callable[[], bool],
    ) -> None:
        """Prepares it.

        Args:
            run: of the protocol, not yet trained.
            folder: where predictions are written.
            first_step: steps of the job before it.
            clock: of the job.
            should_stop: asked after every step.
        """
        self.run, self.protocol, self.folder = run, run.protocol, folder
        self.first_step, self.clock, self.should_stop = first_step, clock, should_stop
        self.finished: list[Trial] = []
        self.stopped_at: int | None = None
        """The step of the job at which it was told to stop."""

    def trials(self, start: Callable[[], DenseNetwork]) -> Iterator[Event]:
        """Yields what happens; `start` returns the network as the protocol starts with it."""
        for number, rate in enumerate(self.protocol.rates):
            if number:
                self.run.begin_at(rate, start())
            yield from self._trial(rate, self.first_step + number * self.protocol.steps)
            if self.stopped_at is not None:
                return

    def take_chosen(self) -> dict[str, Any]:
        """Puts the chosen weights into the network and returns their validation scores."""
        chosen = self._chosen().chosen
        if chosen.weights is not None:
            self.run.take(chosen.weights)
        return chosen.summary

    def told(self) -> dict[str, Any]:
        """Returns what was tried and what was chosen, as JSON."""
        chosen = self._chosen()
        tried = [{"learning_rate": trial.rate, **trial.chosen.told()} for trial in self.finished]
        return {
            "learning_rates": tried,
            "checkpoint": {
                "rule": self.protocol.checkpoint,
                "learning_rate": chosen.rate,
                "step": chosen.chosen.step,
                "last": chosen.last.told(),
                "best": chosen.best.told(),
            },
        }

    def _chosen(self) -> Trial:
        return max(self.finished, key=lambda trial: trial.chosen.miou)

    def _trial(self, rate: float, before: int) -> Iterator[Event]:
        protocol, run = self.protocol, self.run
        name = protocol.name if len(protocol.rates) == 1 else f"{protocol.name}@{rate:g}"
        best: Reached | None = None
        for step in range(1, protocol.steps + 1):
            loss, done = run.optimize(step - 1), before + step
            if step == 1 or step % max(1, protocol.steps // METRIC_POINTS) == 0:
                yield Metrics(step=done, values={f"{name}/loss": loss}, seconds_left=self.clock.seconds_left(done))
            if step % protocol.evaluate_every == 0 or step == protocol.steps:
                scores = evaluate(
                    run.task, "validation", run.logits, evaluation=run.config.evaluation, show=VALIDATION_PREDICTIONS
                )
                yield Metrics(step=done, values=_validation_metrics(name, scores))
                yield from save_predictions(
                    scores, self.folder, protocol=protocol.name, acquisition=run.task.dates[-1], step=done, final=False
                )
                reached = Reached(step, scores.summary(), None)
                if best is None or reached.miou > best.miou:
                    best = Reached(step, reached.summary, run.weights() if protocol.checkpoint == "best" else None)
            if self.should_stop():
                self.stopped_at = done
                return
        assert best is not None  # the last step is evaluated
        last = Reached(step, reached.summary, run.weights() if len(protocol.rates) > 1 else None)
        self.finished.append(Trial(rate, last, best, best if protocol.checkpoint == "best" else last))


def _validation_metrics(name: str, scores: SplitScores) -> dict[str, float]:
    summary = scores.summary()
    values = {f"{name}/miou": summary["miou"]}
    values |= {f"{name}/iou/{each}": value for each, value in summary["iou"].items()}
    return {key: value for key, value in values.items() if value is not None}
