import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pairlab.checkpoint import CheckpointError, SavedFile, load_checkpoint
from pairlab.engine.divergence import DivergedError
from pairlab.engine.run import Run
from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.jobs import PretrainJob
from pairlab.networks import build_network
from pairlab.pairing.cell_scores import ACROSS, AFTER, BEFORE, CellScores, mean_per_cell
from pairlab.pairing.change_scores import cva
from pairlab.pairing.refusal import PairingRefused
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.views.batches import PairBatch
from tests.pairlab.training_jobs import pretrain_job, run


def saved(events: list[Event], kind: str) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved) and event.kind == kind]


def losses(events: list[Event]) -> dict[int, float]:
    return {event.step: event.values["loss"] for event in events if isinstance(event, Metrics)}


def results(events: list[Event]) -> Mapping[str, Any]:
    """Returns the results of a whole run, which tell of the pairs what its beginning told."""
    begun, ended = events[0], events[-1]
    assert isinstance(begun, Started)
    assert isinstance(ended, Finished)
    told = begun.facts.keys() & ended.results.keys()
    assert {"pairs", "realised_noise", "filtered", "exposure_matched", "transductive", "warnings"} <= told
    assert {key: begun.facts[key] for key in told} == {key: ended.results[key] for key in told}
    assert json.loads(json.dumps(ended.results)) == ended.results
    return ended.results


def only(pairing: dict[str, object], **changes: object) -> PretrainJob:
    """Returns the short pretraining of an experiment whose one arm pairs like that."""
    training = {"steps": 5, "batch_size": 4, "warmup_steps": 2, "checkpoint_every": 2}
    arms = {"only": {"pairing": {"policy": "temporal", **pairing}}}
    return pretrain_job(**{"arms": arms, "reference": "only", "pretraining": training} | changes)


@pytest.mark.parametrize(
    "method",
    [
        {"name": "pixel_infonce"},
        {"name": "pixel_infonce", "matching": "feature"},
        {"name": "pixel_infonce", "change_weight": {"scale": 0.5}},
        {"name": "simclr", "hidden_dim": 32},
    ],
    ids=["geometric", "feature", "change_weight", "simclr"],
)
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


@pytest.mark.parametrize(
    "method",
    [
        {"name": "simclr", "hidden_dim": 32},
        {"name": "vicreg", "hidden_dim": 32, "embedding_dim": 16},
        {"name": "barlow_twins", "hidden_dim": 32, "embedding_dim": 16},
        {"name": "simsiam", "embedding_dim": 32, "predictor_dim": 8},
        {"name": "byol", "hidden_dim": 32, "embedding_dim": 16},
        {"name": "moco", "hidden_dim": 32, "embedding_dim": 16, "queue_size": 12},
        {"name": "densecl", "hidden_dim": 32, "embedding_dim": 16, "queue_size": 12, "dense_warmup_steps": 1},
        {"name": "pixpro", "hidden_dim": 32, "embedding_dim": 16},
        {"name": "vicregl", "hidden_dim": 32, "embedding_dim": 16, "local_dim": 8},
        {"name": "seco", "hidden_dim": 32, "embedding_dim": 16, "queue_size": 12},
    ],
    ids=lambda method: str(method["name"]),
)
def test_every_method_resumes_bit_for_bit_with_all_that_it_carries(tmp_path: Path, method: dict[str, object]) -> None:
    training = {"steps": 4, "batch_size": 4, "warmup_steps": 1, "checkpoint_every": 4}
    job = pretrain_job(method=method, pretraining=training)
    whole = list(run(job, tmp_path / "whole"))
    calls = iter([False, True])
    stopped = list(run(job, tmp_path / "stopped", should_stop=lambda: next(calls)))
    (last,) = saved(stopped, "checkpoint")
    assert last.step == 2
    resumed = list(run(job, tmp_path / "resumed", start=SavedFile(last.path, last.sha256)))
    for kind in ("checkpoint", "weights"):
        (expected,), (found,) = saved(whole, kind), saved(resumed, kind)
        assert (found.step, found.sha256) == (4, expected.sha256)
    assert losses(resumed).items() <= losses(whole).items()
    network = build_network(job.network, seed=job.seed).state_dict()
    assert load_file(saved(resumed, "weights")[0].path).keys() == network.keys()


def test_neither_gradient_nor_optimizer_moves_a_momentum_copy(tmp_path: Path) -> None:
    training = {"steps": 2, "batch_size": 4, "warmup_steps": 0, "weight_decay": 1.0}
    job = pretrain_job(method={"name": "byol", "momentum": 1.0}, pretraining=training)
    (saved_at_the_end,) = saved(list(run(job, tmp_path)), "checkpoint")
    state = load_checkpoint(saved_at_the_end.path, sha256=saved_at_the_end.sha256).state["trained"]
    for name, weight in build_network(job.network, seed=job.seed).encoder.named_parameters():
        assert torch.equal(state[f"objective.target.network.pyramid.encoder.{name}"], weight)
        assert not torch.equal(state[f"network.encoder.{name}"], weight)


def test_views_rendered_beside_the_steps_change_no_bit_also_behind_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, threads, rendering = pretrain_job(), torch.get_num_threads(), set[str]()
    render = Run.views

    def noted(self: Run, batch: PairBatch) -> torch.Tensor:
        rendering.add(threading.current_thread().name.partition("_")[0])
        return render(self, batch)

    monkeypatch.setattr(Run, "views", noted)
    torch.set_num_threads(1)
    try:
        monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
        in_turn = saved(list(run(job, tmp_path / "turn")), "weights")[0]
        assert rendering == {"MainThread"}
        monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
        calls = iter([False, True])
        stopped = list(run(job, tmp_path / "stopped", should_stop=lambda: next(calls, True)))
        (last,) = saved(stopped, "checkpoint")
        beside = list(run(job, tmp_path / "on", start=SavedFile(last.path, last.sha256)))
    finally:
        torch.set_num_threads(threads)
    assert rendering == {"MainThread", "rendering"}
    assert saved(beside, "weights")[0].sha256 == in_turn.sha256


def test_equal_jobs_give_equal_weights_and_other_seeds_others(tmp_path: Path) -> None:
    first, again, other = (
        saved(list(run(pretrain_job(seeds=[seed]), tmp_path / name)), "weights")[0]
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first.sha256 == again.sha256 != other.sha256


def test_any_number_of_loader_workers_gives_the_same_weights_also_behind_a_stop(tmp_path: Path) -> None:
    noise = {"rate": 0.25, "control": "masked", "mismatch_rate": 0.25, "shift_px": 2.0}
    job = only(
        {"pairs": 20, "noise": noise}, method={"name": "pixel_infonce", "change_weight": {"scale": 1.0}}, seeds=[1]
    )
    alone, together = (list(run(job, tmp_path / str(count), loader_workers=count)) for count in (1, 4))
    assert saved(alone, "weights")[0].sha256 == saved(together, "weights")[0].sha256
    assert losses(alone) == losses(together)
    last = saved(together, "checkpoint")[0]
    resumed = list(run(job, tmp_path / "on", start=SavedFile(last.path, last.sha256), loader_workers=3))
    assert saved(resumed, "weights")[0].sha256 == saved(alone, "weights")[0].sha256


def test_mismatched_pairs_are_told_apart_from_noisy_ones(tmp_path: Path) -> None:
    job = only({"pairs": 20, "noise": {"rate": 0.5, "mismatch_rate": 0.25, "shift_px": 1.5}})
    found = results(list(run(job, tmp_path)))
    assert (found["realised_noise"], found["realised_mismatch"]) == (0.5, 0.25)
    assert (found["filtered"], found["exposure_matched"], found["transductive"]) == (None, True, False)


def test_a_filter_lowers_the_pairs_and_not_the_steps(tmp_path: Path) -> None:
    job = only({"pairs": 20, "noise": {"rate": 0.5}, "filter": "oracle"})
    events = list(run(job, tmp_path))
    found = results(events)
    assert found["filtered"] == {"drawn": 20, "thrown_away": 10, "noisy_thrown_away": 10, "threshold": None}
    assert (found["pairs"], found["realised_noise"], found["exposure_matched"]) == (10, 0.0, False)
    assert events[-1].step == 5
    assert sorted(losses(events)) == [1, 2, 3, 4, 5]


def test_a_filter_by_change_score_takes_the_scores_it_is_given(tmp_path: Path) -> None:
    job = only(
        {
            "pairs": 20,
            "noise": {"rate": 0.5},
            "filter": {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.7},
        }
    )
    found = results(list(run(job, tmp_path, scores=cva_scores(job))))
    filtered = found["filtered"]
    assert filtered["drawn"] == 20
    assert 0 < filtered["thrown_away"] < 18
    assert filtered["noisy_thrown_away"] <= filtered["thrown_away"]
    assert filtered["threshold"] > 0
    assert found["pairs"] == 20 - filtered["thrown_away"]
    with pytest.raises(PairingRefused, match="score"):
        list(run(job, tmp_path / "without"))


def cva_scores(job: PretrainJob) -> CellScores:
    assert isinstance(job.dataset.config, SyntheticDataset)
    source = SyntheticSource(job.dataset.config, draw=job.seed)
    valid = np.ones((64, 64), dtype=bool)
    values = [
        [
            mean_per_cell(
                cva(source.image(scene, "pre", state=before), source.image(scene, "post", state=after), valid=valid)
            ).ravel()
            for scene in source.scenes
        ]
        for before, after in (("pre", "post"), ("pre", "pre"), ("post", "post"))
    ]
    return CellScores(
        scenes=tuple(scene.name for scene in source.scenes),
        cells=np.full((len(source.scenes), 2), 2, dtype=np.int32),
        variants=(ACROSS, BEFORE, AFTER),
        values=np.array(values, dtype=np.float32).reshape(3, -1),
        seconds=0.0,
    )


def test_a_transductive_run_sees_every_split_and_says_so(tmp_path: Path) -> None:
    job = only({"pairs": 58}, transductive=True)
    events = list(run(job, tmp_path))
    assert results(events)["transductive"] is True
    assert isinstance(events[0], Started)
    assert events[0].facts["pool"]["chips"] == 48 + 4 + 6
    with pytest.raises(PairingRefused, match="48"):
        list(run(only({"pairs": 58}), tmp_path / "train"))


def test_a_run_tells_how_long_it_waited_for_batches(tmp_path: Path) -> None:
    events = list(run(only({"pairs": 20}), tmp_path))
    shares = [event.values["waiting_share"] for event in events if isinstance(event, Metrics)]
    assert len(shares) == 5
    assert all(0 <= share <= 1 for share in shares)
    assert shares[0] > 0  # the first batch is waited for by everyone
    assert 0 < results(events)["waiting_share"] < 1


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
