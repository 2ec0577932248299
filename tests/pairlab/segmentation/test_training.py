"""What validation scenes choose, and that test scenes choose nothing."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from pairlab.events import Event, Finished, Metrics, Saved, Started
from pairlab.networks import DenseNetwork
from pairlab.precision import best_precision
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import Pixels, Scene
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.segmentation.evaluation import evaluate
from pairlab.segmentation.protocol_run import ProtocolRun
from pairlab.segmentation.starting_network import starting_network
from pairlab.segmentation.task import Task
from pairlab.segmentation.training import Clock, Training
from tests.pairlab.training_jobs import DATASET, run, segment_job

PROTOCOLS = ("linear_probe", "small_decoder", "fine_tuning")


def protocol(name: str, **changes: object) -> dict[str, object]:
    return {"name": name, "steps": 4, "evaluate_every": 1, "batch_size": 4, **changes}


def results_of(events: list[Event]) -> dict[str, Any]:
    last = events[-1]
    assert isinstance(last, Finished)
    found: dict[str, Any] = last.results["protocols"]
    return found


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_rate_of_the_highest_validation_miou_is_tested(name: str, tmp_path: Path) -> None:
    rates = (1e-6, 3e-2)
    job = segment_job(protocols=[protocol(name, learning_rates=rates)])
    events = list(run(job, tmp_path))
    assert isinstance(events[0], Started)
    assert events[0].total_steps == 8
    found = results_of(events)[name]
    tried = found["learning_rates"]
    assert [each["learning_rate"] for each in tried] == list(rates)
    chosen = max(tried, key=lambda each: each["miou"])
    assert found["checkpoint"]["learning_rate"] == chosen["learning_rate"]
    assert found["validation"]["miou"] == chosen["miou"] == found["checkpoint"]["last"]["miou"]
    alone = segment_job(protocols=[protocol(name, learning_rate=chosen["learning_rate"])])
    assert results_of(list(run(alone, tmp_path / "alone")))[name]["test"]["confusion"] == found["test"]["confusion"]
    watched = [event.values for event in events if isinstance(event, Metrics)]
    assert {key.partition("/")[0] for values in watched for key in values} == {f"{name}@1e-06", f"{name}@0.03"}


def test_test_scenes_are_read_once_whatever_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[tuple[str, str]] = Counter()
    image = SyntheticSource.image

    def counted(self: SyntheticSource, scene: Scene, acquisition: str, *, state: str | None = None) -> Pixels:
        read[scene.name, acquisition] += 1
        return image(self, scene, acquisition, state=state)

    job = segment_job(
        labels={"train_chips": 8, "input": "difference"},
        protocols=[protocol("small_decoder", learning_rates=[1e-3, 1e-2], checkpoint="best")],
    )
    source = SyntheticSource(DATASET.config, draw=job.seed)  # type: ignore[arg-type]
    index = build_index(source)
    monkeypatch.setattr(SyntheticSource, "image", counted)
    monkeypatch.setattr("tests.pairlab.training_jobs.build_index", lambda _: index)
    events = list(run(job, tmp_path))
    assert isinstance(events[-1], Finished)
    tested = {each: count for each, count in read.items() if each[0].startswith("test")}
    assert tested == {(f"test-{number:06d}", date): 1 for number in range(6) for date in ("pre", "post")}
    assert all(count == 8 for each, count in read.items() if each[0].startswith("validation"))
    shown = [event for event in events if isinstance(event, Saved) and event.kind == "prediction"]
    assert {event.details["split"] for event in shown if not event.details["final"]} == {"validation"}


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("rule", ["last", "best"])
def test_the_declared_rule_says_which_weights_are_tested(name: str, rule: str, tmp_path: Path) -> None:
    job = segment_job(protocols=[protocol(name, checkpoint=rule, learning_rate=0.3, steps=6)])
    source = SyntheticSource(DATASET.config, draw=job.seed)  # type: ignore[arg-type]
    task = Task.prepare(job, source, build_index(source).chips(job.chip_size))

    def start() -> DenseNetwork:
        return starting_network(job, 3, None, None)[0]

    trained = ProtocolRun(job, job.protocols[0], task, start(), best_precision(torch.device("cpu")))
    training = Training(trained, tmp_path, first_step=0, clock=Clock(6), should_stop=lambda: False)
    curve = [
        event.values[f"{name}/miou"]
        for event in training.trials(start)
        if isinstance(event, Metrics) and f"{name}/miou" in event.values
    ]
    told = training.told()["checkpoint"]
    best = curve.index(max(curve)) + 1
    assert told["rule"] == rule
    assert told["last"] == {"step": 6, "miou": curve[-1]}
    assert told["best"] == {"step": best, "miou": max(curve)}
    assert told["step"] == (best if rule == "best" else 6)
    summary = training.take_chosen()
    again = evaluate(task, "validation", trained.logits, evaluation=job.evaluation, show=0)
    assert again.summary() == summary
    assert summary["miou"] == (max(curve) if rule == "best" else curve[-1])


def test_a_stop_during_a_search_ends_the_job(tmp_path: Path) -> None:
    job = segment_job(protocols=[protocol("linear_probe", learning_rates=[1e-3, 1e-2])])
    stops = iter([False] * 5 + [True])
    events = list(run(job, tmp_path, should_stop=lambda: next(stops)))
    assert isinstance(events[-1], Finished)
    assert (events[-1].step, events[-1].stopped) == (6, True)


@pytest.mark.parametrize("name", ["linear_probe", "small_decoder"])
def test_a_frozen_network_is_the_same_afterwards(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and batch-norm statistics of a pretrained network, from the first step to the test."""
    job = segment_job(protocols=[protocol(name, learning_rates=[1e-3, 0.1], checkpoint="best")], transfer="encoder")
    runs: list[tuple[ProtocolRun, dict[str, torch.Tensor]]] = []
    make = ProtocolRun.__init__

    def kept(self: ProtocolRun, *args: Any) -> None:  # noqa: ANN401
        make(self, *args)
        runs.append((self, {key: value.clone() for key, value in self.features.network.state_dict().items()}))

    monkeypatch.setattr(ProtocolRun, "__init__", kept)
    assert results_of(list(run(job, tmp_path)))
    ((found, before),) = runs
    assert all(torch.equal(value, before[key]) for key, value in found.features.network.state_dict().items())
