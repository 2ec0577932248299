import os
import threading
import time
from collections.abc import Generator, Iterator

import pytest
import torch
from torch import Tensor

from pairlab.engine.clock import Clock
from pairlab.engine.prefetch import made_beside, with_views
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.pairing.job_pairs import pairs_of
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import RGB
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.views.batches import PairBatch, PairBatches
from pairlab.views.pixels import render_views
from tests.pairlab.training_jobs import pretrain_job

CPU = torch.device("cpu")
STEPS = 6


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of three that the process has, whatever machine it is: the training takes two."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made() -> PairBatches:
    """Batches of coloured chips that are varied in every way."""
    varied = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2, "grayscale": 0.2, "blur": 0.5}
    job = pretrain_job(pretraining={"steps": STEPS, "batch_size": 8, "augmentation": varied})
    assert isinstance(job.dataset.config, SyntheticDataset)
    source = SyntheticSource(job.dataset.config, draw=job.seed)
    pairs = pairs_of(job, build_index(source).chips(job.chip_size))
    return PairBatches(source, pairs, job.pretraining, seed=3, grid=16, points=0)


def render(batch: PairBatch) -> Tensor:
    return render_views(batch.chips, batch.views, batch.factors, bands=RGB, device=CPU)


def rendering_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("rendering")]


def test_views_made_beside_a_step_are_those_made_in_turn_bit_for_bit(made: PairBatches) -> None:
    in_turn = [(batch.step, render(batch)) for batch in made.ahead(0, STEPS)]
    beside = []
    for batch, views in with_views(made.ahead(0, STEPS), render, device=CPU, clock=Clock()):
        assert rendering_threads()
        torch.rand(200, 200) @ torch.rand(200, 200)  # a step, on the training's two threads
        beside.append((batch.step, views))
    assert [step for step, _ in beside] == list(range(STEPS))
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(in_turn, beside, strict=True))
    assert not rendering_threads()


def test_a_training_that_takes_all_cores_renders_in_turn(made: PairBatches) -> None:
    torch.set_num_threads(3)
    seen = {threading.current_thread().name}

    def noting(batch: PairBatch) -> Tensor:
        seen.add(threading.current_thread().name)
        return render(batch)

    assert len(list(with_views(made.ahead(0, STEPS), noting, device=CPU, clock=Clock()))) == STEPS
    assert len(seen) == 1


def test_the_thread_takes_one_core_and_leaves_the_number_of_the_others_alone() -> None:
    found = list(made_beside((each for each in range(3)), lambda _: torch.get_num_threads()))
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (found, later, torch.get_num_threads()) == ([1, 1, 1], [2], 2)


def test_it_stays_one_ahead() -> None:
    begun: list[int] = []
    ahead = made_beside((each for each in range(20)), begun.append)
    for taken in range(1, 6):
        next(ahead)
        time.sleep(0.02)
        assert begun == list(range(taken + 1))
    ahead.close()
    assert not rendering_threads()


def test_what_fails_is_raised_when_its_turn_comes_and_the_batches_are_closed() -> None:
    closed: list[bool] = []

    def numbers() -> Generator[int, None, None]:
        try:
            yield from range(9)
        finally:
            closed.append(True)

    def fragile(number: int) -> int:
        if number == 3:
            raise MemoryError("views do not fit")
        return number

    ahead = made_beside(numbers(), fragile)
    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(MemoryError, match="views do not fit"):
        next(ahead)
    assert closed == [True]
    assert not rendering_threads()


def test_the_clock_counts_what_a_slow_rendering_makes_the_training_wait(made: PairBatches) -> None:
    def slow(batch: PairBatch) -> Tensor:
        time.sleep(0.05)
        return render(batch)

    clock = Clock()
    for _ in with_views(made.ahead(0, STEPS), slow, device=CPU, clock=clock):
        pass
    assert clock.waited >= STEPS * 0.05
    clock = Clock()
    for _ in with_views(made.ahead(0, STEPS), slow, device=CPU, clock=clock):
        time.sleep(0.15)  # the next views are there by then
    assert clock.waited < STEPS * 0.1
