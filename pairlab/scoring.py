"""The loop of a score job: how much two images of each scene differ, kept per square; resumes behind its last part.

Scenes are worked on in parts, each kept in a file of its own, so that a run that was stopped or killed goes on behind
the last whole part and nothing half-done is ever read.
"""

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pairlab.embedding_distance import Pretrained, build_encoder
from pairlab.events import Event, Finished, Metrics, Started
from pairlab.experiment.change_scores import ChangeScore, Cva, EmbeddingDistance
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import ScoreJob
from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores, Variant, mean_per_cell
from pairlab.pairing.change_scores import cva, irmad
from pairlab.pairing.score_file import ScoreError, ScoreFiles, read_scores, write_scores
from pairlab.scenes.index import CELL, SceneTable
from pairlab.scenes.scene import Bands, BoolArray, Pixels, Scene, SceneError, SceneSource

LEAST_PART, MOST_PARTS = 8, 512
"""Scenes of a part, at least; parts of a dataset, at most, as far as that goes."""
STOP_SECONDS = 0.25
"""How often a stop is asked for while scenes are worked on."""

Compare = Callable[[Pixels, Pixels, BoolArray], NDArray[np.float32]]
"""Returns the score per whole square of CELL pixels of two images and their valid pixels; NaN where there is none."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """What was found of one scene."""

    values: NDArray[np.float32]
    """Shape (variants, squares)."""
    seconds: float
    """What reading two images and comparing the first with the last took."""
    problem: str | None = None
    """Why the scene could not be read."""


def score_dataset(
    config: ScoreJob,
    source: SceneSource,
    table: SceneTable,
    *,
    files: ScoreFiles,
    weights: Pretrained | None,
    should_stop: Callable[[], bool],
    device: torch.device,
    threads: int | None = None,
) -> Iterator[Event]:
    """Yields what happens while all scenes get a score, from `Started` to `Finished`; a step is a scene.

    Synthetic scenes are also compared without their change in both images, and with it in both. A scene that cannot be
    read, or has nowhere data in both images, gets NaN and is counted.

    Args:
        config: the job.
        source: the dataset, as the job's draw has it.
        table: of its index: the scenes that get scores.
        files: where to write.
        weights: of the pretraining that an embedding distance names; None otherwise, or where it is not there.
        should_stop: asked all the time; True ends the run, and a later one goes on behind the last whole part.
        device: where encoders compute.
        threads: scenes that are worked on at once; None is one per core. An encoder takes one scene at a time.

    Metrics: `scenes_per_s` of this run, and `without_score`, the scenes so far that have none.

    Results: `seconds`, what reading the images and comparing the first with the last took with all threads (not the
    other comparisons of synthetic scenes), `scenes`, `without_score`, and `problem`, why the first of them has none.

    Raises:
        NetworkError, WeightsError, CheckpointError: the encoder cannot be had.
        ScoreError: no scene has a score.
    """
    known = read_scores(files.path)
    if known is not None and known.scenes == tuple(scene.name for scene in table.scenes):
        yield Started(step=len(table), total_steps=len(table), facts={"scenes": len(table)})
        yield Finished(step=len(table), results=_results(known, problem=None))
        return
    compare = _comparison(config.score, table.bands, weights, device)
    by_encoder = isinstance(config.score, EmbeddingDistance)
    at_once = 1 if by_encoder else threads or len(os.sched_getaffinity(0))
    run = _Run(config, source, table, files, compare, at_once)
    facts = {"scenes": len(table), "threads": at_once, **({"device": str(device)} if by_encoder else {})}
    yield Started(step=run.step, total_steps=len(table), facts=facts)
    with _one_opencv_thread(), ThreadPoolExecutor(at_once) as pool:
        whole = yield from run.work(pool, should_stop)
    if not whole:
        yield Finished(step=run.step, results={}, stopped=True)
        return
    scores = CellScores.joined([run.parts[number] for number in sorted(run.parts)])
    if without_score(scores) == len(table):
        shutil.rmtree(files.parts, ignore_errors=True)  # so that a retry looks again
        why = run.problem or f"none has a square of {CELL} pixels with enough data in both images"
        raise ScoreError(f"none of the {len(table)} scenes of dataset {config.dataset.name!r} has a score: {why}")
    write_scores(scores, files.path, scratch=files.parts)
    shutil.rmtree(files.parts, ignore_errors=True)
    yield Finished(step=len(table), results=_results(scores, problem=run.problem))


def without_score(scores: CellScores) -> int:
    """Returns how many scenes have no score in any of their squares."""
    squares = scores.cells.astype(np.int64).prod(axis=1)
    owners = np.repeat(np.arange(len(squares)), squares)
    found = np.bincount(owners[~np.isnan(scores.values[0])], minlength=len(squares))
    return int(np.count_nonzero(found == 0))


class _Run:
    """One run of the job over all parts."""

    def __init__(
        self,
        config: ScoreJob,
        source: SceneSource,
        table: SceneTable,
        files: ScoreFiles,
        compare: Compare,
        at_once: int,
    ) -> None:
        size = max(LEAST_PART, -(-len(table) // MOST_PARTS))
        self._source, self._files, self._compare, self._at_once = source, files, compare, at_once
        self._scenes = [table.scenes[start : start + size] for start in range(0, len(table), size)]
        synthetic = isinstance(config.dataset.config, SyntheticDataset)
        self._variants: tuple[Variant, ...] = (ACROSS, BEFORE, AFTER) if synthetic else (ACROSS,)
        self.parts: dict[int, CellScores] = dict(self._kept())
        self.step = sum(len(part.scenes) for part in self.parts.values())
        self.total = len(table)
        self.problem: str | None = None
        """Why the first scene that could not be read could not."""

    def work(self, pool: ThreadPoolExecutor, should_stop: Callable[[], bool]) -> Generator[Event, None, bool]:
        """Yields metrics part by part; returns False where it was asked to stop."""
        missing = [number for number in range(len(self._scenes)) if number not in self.parts]
        ahead = iter([scene for number in missing for scene in self._scenes[number]])
        waiting: deque[Future[_Scored]] = deque()
        before, began = self.step, time.perf_counter()
        try:
            for number in missing:
                found: list[_Scored] = []
                while len(found) < len(self._scenes[number]):
                    fresh = islice(ahead, 2 * self._at_once - len(waiting))
                    waiting.extend(pool.submit(self._score, scene) for scene in fresh)
                    if should_stop():
                        return False
                    wait([waiting[0]], STOP_SECONDS)
                    if waiting[0].done():
                        found.append(waiting.popleft().result())
                self._keep(number, found)
                speed = (self.step - before) / (time.perf_counter() - began)
                missed = sum(map(without_score, self.parts.values()))
                values = {"scenes_per_s": speed, "without_score": float(missed)}
                yield Metrics(step=self.step, values=values, seconds_left=(self.total - self.step) / speed)
        finally:
            for future in waiting:
                future.cancel()
        return True

    def _keep(self, number: int, found: Sequence[_Scored]) -> None:
        scenes = self._scenes[number]
        part = CellScores(
            scenes=tuple(scene.name for scene in scenes),
            cells=np.array([(scene.height // CELL, scene.width // CELL) for scene in scenes], dtype=np.int32),
            variants=self._variants,
            values=np.concatenate([each.values for each in found], axis=1),
            seconds=sum(each.seconds for each in found) / self._at_once,
        )
        write_scores(part, self._files.part(number))
        self.parts[number] = part
        self.step += len(scenes)
        self.problem = self.problem or next((each.problem for each in found if each.problem), None)

    def _score(self, scene: Scene) -> _Scored:
        first, last = scene.acquisitions[0], scene.acquisitions[-1]
        began = time.perf_counter()
        try:
            images: dict[tuple[str, str | None], Pixels] = {
                (name, None): self._source.image(scene, name) for name in (first, last)
            }
            found = {ACROSS: self._compared(images[first, None], images[last, None])}
            seconds = time.perf_counter() - began
            if BEFORE in self._variants:
                intact = self._source.image(scene, last, state=first)
                found[BEFORE] = self._compared(images[first, None], intact)
                changed = self._source.image(scene, first, state=last)
                found[AFTER] = self._compared(changed, images[last, None])
        except SceneError as error:
            squares = (scene.height // CELL) * (scene.width // CELL)
            missing = np.full((len(self._variants), squares), np.nan, dtype=np.float32)
            return _Scored(missing, time.perf_counter() - began, problem=str(error))
        return _Scored(np.stack([found[variant] for variant in self._variants]), seconds)

    def _compared(self, first: Pixels, last: Pixels) -> NDArray[np.float32]:
        """Returns the scores of two images square by square, shape (squares,)."""
        valid = ~(self._source.no_data(first) | self._source.no_data(last))
        return self._compare(first, last, valid).ravel()

    def _kept(self) -> Iterator[tuple[int, CellScores]]:
        """Yields what earlier runs made of the parts, as far as they were cut alike."""
        for number, scenes in enumerate(self._scenes):
            part, names = read_scores(self._files.part(number)), tuple(scene.name for scene in scenes)
            if part is not None and (part.scenes, part.variants) == (names, self._variants):
                yield number, part


def _comparison(score: ChangeScore, bands: Bands, weights: Pretrained | None, device: torch.device) -> Compare:
    if isinstance(score, EmbeddingDistance):
        encoder = build_encoder(score, bands=bands, pretrained=weights, device=device)
        return lambda first, last, valid: encoder.distances(first, last, valid=valid)
    if isinstance(score, Cva):
        return lambda first, last, valid: mean_per_cell(cva(first, last, valid=valid))
    return lambda first, last, valid: mean_per_cell(irmad(first, last, valid=valid, iterations=score.iterations))


def _results(scores: CellScores, *, problem: str | None) -> dict[str, Any]:
    return {
        "seconds": scores.seconds,
        "scenes": len(scores.scenes),
        "without_score": without_score(scores),
        "problem": problem,
    }


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Lets each thread have a scene of its own."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
