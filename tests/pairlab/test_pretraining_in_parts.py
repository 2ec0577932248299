"""A run whose steps go through the network in parts, on one process: it ends the same however often it is stopped."""

from pathlib import Path

import pytest

from pairlab.checkpoint import SavedFile
from pairlab.events import Event, Finished, Metrics, Saved
from pairlab.experiment.jobs import PretrainJob
from tests.pairlab.training_jobs import pretrain_job, run

METHODS = [
    {"name": "pixel_infonce"},
    {"name": "moco", "hidden_dim": 32, "embedding_dim": 16, "queue_size": 15},
    {"name": "byol", "hidden_dim": 32, "embedding_dim": 16},
]


def in_parts(method: dict[str, object], decoder: str = "fpn") -> PretrainJob:
    """Returns a short pretraining whose two parts are unequal."""
    training = {"steps": 5, "batch_size": 5, "parts": 2, "warmup_steps": 1, "checkpoint_every": 2}
    network = {"decoder": decoder, "decoder_channels": 64}
    return pretrain_job(method=method, pretraining=training, network=network)


def saved(events: list[Event], kind: str) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved) and event.kind == kind]


def losses(events: list[Event]) -> dict[int, float]:
    return {event.step: event.values["loss"] for event in events if isinstance(event, Metrics)}


def assert_ends_as(whole: list[Event], resumed: list[Event]) -> None:
    """Checks that weights, optimizer and all that the method carries are the same bit for bit."""
    for kind in ("checkpoint", "weights"):
        expected, found = saved(whole, kind)[-1], saved(resumed, kind)[-1]
        assert (found.step, found.sha256) == (5, expected.sha256)
    assert losses(resumed).items() <= losses(whole).items()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method["name"]))
def test_a_paused_run_in_parts_ends_bit_for_bit_as_one_that_was_not(tmp_path: Path, method: dict[str, object]) -> None:
    job = in_parts(method)
    whole = list(run(job, tmp_path / "whole", map_moments=0))
    calls = iter([False, False, True])
    paused = list(run(job, tmp_path / "paused", map_moments=0, should_stop=lambda: next(calls)))
    assert isinstance(paused[-1], Finished)
    assert paused[-1].stopped
    last = saved(paused, "checkpoint")[-1]
    assert last.step == 3
    assert_ends_as(whole, list(run(job, tmp_path / "resumed", map_moments=0, start=SavedFile(last.path, last.sha256))))


def test_a_killed_run_in_parts_goes_on_from_its_checkpoint_with_the_same_dropout(tmp_path: Path) -> None:
    job = in_parts({"name": "simclr", "hidden_dim": 32}, decoder="pspnet")  # whose layers drop features at random
    whole = list(run(job, tmp_path / "whole", map_moments=0))
    killed = run(job, tmp_path / "killed", map_moments=0)
    last = next(event for event in killed if isinstance(event, Saved) and event.kind == "checkpoint")
    next(killed)  # it is lost after the checkpoint, amid what follows
    killed.close()  # type: ignore[attr-defined]
    assert last.step == 2
    assert_ends_as(whole, list(run(job, tmp_path / "resumed", map_moments=0, start=SavedFile(last.path, last.sha256))))
