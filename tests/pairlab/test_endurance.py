"""Whatever happens to a run, no finished step is lost and no bad number gets into a checkpoint."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from pairlab.checkpoint import CheckpointError, SavedFile, load_checkpoint
from pairlab.engine import run as run_module
from pairlab.engine.divergence import DivergedError
from pairlab.engine.run import Run
from pairlab.engine.team import ALONE
from pairlab.events import Event, Saved
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import PretrainJob
from pairlab.pairing.job_pairs import pairs_of
from pairlab.precision import Precision
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.training_jobs import pretrain_job, run

CPU = torch.device("cpu")
FLOAT16 = Precision(CPU, torch.float16, torch.channels_last)


def saved(events: list[Event], kind: str) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved) and event.kind == kind]


def short_job(**training: object) -> PretrainJob:
    fields = {"steps": 4, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 2}
    return pretrain_job(pretraining={**fields, **training}, method={"name": "simclr", "hidden_dim": 32})


def run_of(job: PretrainJob, *, checkpoint: Saved | None = None) -> Run:
    assert isinstance(job.dataset.config, SyntheticDataset)
    source = SyntheticSource(job.dataset.config, draw=job.seed)
    pairs = pairs_of(job, build_index(source).chips(job.chip_size), scores=None)
    state = None if checkpoint is None else load_checkpoint(checkpoint.path, sha256=checkpoint.sha256)
    return Run(job, source, pairs, device=CPU, team=ALONE, checkpoint=state)


def take(run: Run) -> run_module.Figures:
    batch = run.batches.batch(run.step)
    return run.optimize(batch, run.views(batch))


def weights(run: Run) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in run.trained.parameters()]


@pytest.mark.parametrize(
    "training",
    [
        {"optimizer": "sgd", "schedule": "milestones", "momentum": 0.9},
        {"optimizer": "lars", "schedule": "constant", "learning_rate": 4.8, "scale_learning_rate": True},
        {"optimizer": "adamw", "precision": "float32"},
    ],
    ids=["sgd", "lars", "adamw in float32"],
)
def test_every_optimizer_resumes_bit_for_bit(tmp_path: Path, training: dict[str, object]) -> None:
    job = short_job(**training)
    whole = list(run(job, tmp_path / "whole"))
    half, end = saved(whole, "checkpoint")
    resumed = list(run(job, tmp_path / "resumed", start=SavedFile(half.path, half.sha256)))
    assert [each.sha256 for each in saved(resumed, "checkpoint")] == [end.sha256]
    assert saved(resumed, "weights")[0].sha256 == saved(whole, "weights")[0].sha256


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_reaches_a_weight() -> None:
    running = run_of(short_job())
    take(running)
    before = weights(running)
    first: Any = next(running.network.parameters())
    first.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([0]), torch.nan))
    with pytest.raises(DivergedError, match=r"the gradient became nan at step 2: lower pretraining\.learning_rate"):
        take(running)
    assert running.step == 1
    assert all(torch.equal(old, new) for old, new in zip(before, weights(running), strict=True))


def test_weights_that_are_not_finite_never_become_a_checkpoint(tmp_path: Path) -> None:
    running = run_of(short_job())
    take(running)
    with torch.no_grad():
        next(running.network.parameters())[0].fill_(torch.inf)
    with pytest.raises(DivergedError, match="the weights became nan at step 1"):
        running.checkpoint(tmp_path)
    assert not list(tmp_path.iterdir())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets no file of this process grow beyond so many bytes, as a disk that fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_ends_the_run_and_leaves_what_was_saved(tmp_path: Path) -> None:
    job = short_job()
    events = run(job, tmp_path)
    first = next(event for event in events if isinstance(event, Saved) and event.kind == "checkpoint")
    with (
        largest_file(first.path.stat().st_size // 2),
        pytest.raises(CheckpointError, match="free some space and resume"),
    ):
        list(events)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {first.path.name}
    resumed = list(run(job, tmp_path / "resumed", start=SavedFile(first.path, first.sha256)))
    whole = list(run(job, tmp_path / "whole"))
    assert saved(resumed, "weights")[0].sha256 == saved(whole, "weights")[0].sha256


def test_a_step_that_overflows_float16_is_left_out_and_the_scale_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        run_module, "chosen_precision", lambda *_: FLOAT16
    )  # a CPU refuses it, and computes it all right
    running = run_of(short_job())
    assert running.scaler.get_scale() == 2.0**16
    running.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = weights(running)
    figures = take(running)
    assert not torch.isfinite(torch.tensor(figures.gradient_norm))
    assert torch.isfinite(torch.tensor(figures.loss))
    assert all(torch.equal(old, new) for old, new in zip(before, weights(running), strict=True))
    assert (running.step, running.scaler.get_scale()) == (1, 2.0**39)
    running.scaler.update(2.0**10)
    assert 0 < take(running).gradient_norm < 1000
    assert not all(torch.equal(old, new) for old, new in zip(before, weights(running), strict=True))

    checkpoint = running.checkpoint(tmp_path)
    monkeypatch.setattr(run_module, "resumed_precision", lambda *_: FLOAT16)
    resumed = run_of(short_job(), checkpoint=checkpoint)
    assert (resumed.scaler.state_dict(), resumed.step) == (running.scaler.state_dict(), 2)
    assert resumed.scaler.get_scale() == 2.0**10


def test_float16_that_overflows_at_any_scale_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "chosen_precision", lambda *_: FLOAT16)
    running = run_of(short_job())
    running.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**-14)
    first: Any = next(running.network.parameters())
    first.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(DivergedError, match="the gradient became"):
        take(running)


def test_a_run_that_lost_its_float16_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "chosen_precision", lambda *_: FLOAT16)
        checkpoint = run_of(short_job()).checkpoint(tmp_path)
    resumed = run_of(short_job(), checkpoint=checkpoint)
    assert resumed.warnings == [
        "the checkpoint was made in float16, which cpu does not compute in: the run goes on in "
        f"{resumed.precision.name}"
    ]
    assert torch.isfinite(torch.tensor(take(resumed))).all()
