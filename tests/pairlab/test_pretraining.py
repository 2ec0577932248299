from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pairlab.checkpoint import CheckpointError, SavedFile
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.methods import Pretraining
from pairlab.networks import build_network
from pairlab.pairing.drawing import PairingRefused
from pairlab.pretraining import DivergedError, learning_rate
from tests.pairlab.training_jobs import pretrain_job, run


def saved(events: list[Event], kind: str) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved) and event.kind == kind]


def losses(events: list[Event]) -> dict[int, float]:
    return {event.step: event.values["loss"] for event in events if isinstance(event, Metrics)}


@pytest.mark.parametrize("method", [{"name": "pixel_infonce"}, {"name": "simclr", "hidden_dim": 32}])
def test_a_run_learns_and_tells_what_it_does(tmp_path: Path, method: dict[str, object]) -> None:
    job = pretrain_job(method=method)
    events = list(run(job, tmp_path))
    assert isinstance(events[0], Started)
    assert (events[0].step, events[0].total_steps) == (0, 12)
    assert events[0].facts["realised_noise"] == 0.0
    assert isinstance(events[-1], Finished)
    assert events[-1].results["pairs"] == 20
    curve = losses(events)
    assert sorted(curve) == list(range(1, 13))
    assert min(curve[step] for step in (10, 11, 12)) < curve[1]
    assert [event.step for event in saved(events, "checkpoint")] == [5, 10, 12]
    (weights,) = saved(events, "weights")
    trained, fresh = load_file(weights.path), build_network(job.network, seed=job.seed).state_dict()
    assert trained.keys() == fresh.keys()
    assert not all(torch.equal(trained[key], fresh[key]) for key in trained)


def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    job = pretrain_job()
    whole = list(run(job, tmp_path / "whole"))
    calls = iter([False, False, False, False, False, False, True])
    stopped = list(run(job, tmp_path / "stopped", should_stop=lambda: next(calls)))
    assert isinstance(stopped[-1], Finished)
    assert stopped[-1].stopped
    last = saved(stopped, "checkpoint")[-1]
    assert last.step == 7
    resumed = list(run(job, tmp_path / "resumed", start=SavedFile(last.path, last.sha256)))
    assert isinstance(resumed[0], Started)
    assert resumed[0].step == 7
    expected, actual = (load_file(saved(events, "weights")[0].path) for events in (whole, resumed))
    assert all(torch.equal(expected[key], actual[key]) for key in expected)
    assert losses(resumed).items() <= losses(whole).items()


def test_equal_jobs_give_equal_weights_and_other_seeds_others(tmp_path: Path) -> None:
    first, again, other = (
        saved(list(run(pretrain_job(seeds=[seed]), tmp_path / name)), "weights")[0]
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first.sha256 == again.sha256 != other.sha256


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    job = pretrain_job()
    checkpoint = saved(list(run(job, tmp_path)), "checkpoint")[0]
    content = bytearray(checkpoint.path.read_bytes())
    content[-7] ^= 1
    checkpoint.path.write_bytes(content)
    with pytest.raises(CheckpointError, match=checkpoint.path.name):
        list(run(job, tmp_path / "again", start=SavedFile(checkpoint.path, checkpoint.sha256)))


def test_too_many_pairs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    arms = {"clean": {"pairing": {"policy": "temporal", "pairs": 500}}}
    with pytest.raises(PairingRefused, match="500 pairs need as many chips; the train split has 48"):
        list(run(pretrain_job(arms=arms), tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_diverging_run_names_the_step_and_the_remedy(tmp_path: Path) -> None:
    training = {"steps": 12, "batch_size": 4, "warmup_steps": 0, "learning_rate": 10.0, "weight_decay": 1.0}
    job = pretrain_job(pretraining=training, method={"name": "pixel_infonce", "temperature": 1e-30})
    with pytest.raises(DivergedError, match=r"at step \d+: lower pretraining.learning_rate \(10\)"):
        list(run(job, tmp_path))


def test_the_learning_rate_warms_up_and_decays_to_zero() -> None:
    training = Pretraining(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(step, training) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.001
