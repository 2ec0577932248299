"""What a run starts from, and what segmentation takes over: by the weights themselves."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pairlab.checkpoint import CheckpointError, SavedFile, save_weights
from pairlab.engine.run import Run
from pairlab.events import Event, Finished, Metrics, Started
from pairlab.experiment.initial import JobWeights, RandomWeights
from pairlab.experiment.jobs import PretrainJob, SegmentJob
from pairlab.initial_weights import InitialWeightsError
from pairlab.networks import DenseNetwork, build_network
from pairlab.pretraining import pretrain
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.segmentation.starting_network import starting_network
from tests.pairlab.training_jobs import DATASET, pretrain_job, run, segment_job

START = JobWeights(key="c" * 64)
ENCODER = JobWeights(key="c" * 64, part="encoder")


@pytest.fixture
def earlier(tmp_path: Path) -> tuple[DenseNetwork, SavedFile]:
    network = build_network(segment_job().network, seed=77)
    path = tmp_path / "earlier.safetensors"
    return network, SavedFile(path, save_weights(path, network))


def same(network: DenseNetwork, other: DenseNetwork, part: str) -> bool:
    mine, theirs = (getattr(each, part).state_dict() for each in (network, other))
    return all(torch.equal(mine[key], theirs[key]) for key in theirs)


def started(job: SegmentJob, weights: SavedFile | None, initial: SavedFile | None) -> DenseNetwork:
    network, _ = starting_network(job, 3, weights, initial)
    return network


@pytest.mark.parametrize("transfer", ["encoder", "encoder_decoder"])
def test_a_pretraining_hands_on_what_transfer_says(transfer: str, earlier: tuple[DenseNetwork, SavedFile]) -> None:
    job = segment_job(transfer=transfer)
    network, fresh = started(job, earlier[1], None), build_network(job.network, seed=job.seed)
    assert same(network, earlier[0], "encoder")
    assert same(network, earlier[0], "decoder") == (transfer == "encoder_decoder")
    assert same(network, fresh, "decoder") == (transfer == "encoder")


@pytest.mark.parametrize(
    ("transfer", "start", "decoder"),
    [("encoder_decoder", START, True), ("encoder_decoder", ENCODER, False), ("encoder", START, False)],
)
def test_a_baseline_of_initial_weights_starts_from_them(
    transfer: str, start: JobWeights, decoder: bool, earlier: tuple[DenseNetwork, SavedFile]
) -> None:
    job = segment_job(transfer=transfer).model_copy(update={"initial": start})
    network = started(job, None, earlier[1])
    assert same(network, earlier[0], "encoder")
    assert same(network, earlier[0], "decoder") == decoder


def test_random_initialisation_stays_random(earlier: tuple[DenseNetwork, SavedFile]) -> None:
    job = segment_job()
    assert job.initial == RandomWeights()
    network = started(job, None, None)
    assert same(network, build_network(job.network, seed=job.seed), "encoder")
    assert not same(network, earlier[0], "encoder")


def probe_losses(job: SegmentJob, folder: Path, start: SavedFile | None) -> list[float]:
    events = run(job, folder, start=start)
    return [
        event.values["linear_probe/loss"]
        for event in events
        if isinstance(event, Metrics) and "linear_probe/loss" in event.values
    ]


def test_with_the_encoder_alone_the_probe_stands_on_the_encoder_and_not_on_a_decoder(
    tmp_path: Path, earlier: tuple[DenseNetwork, SavedFile]
) -> None:
    """A decoder of other weights changes nothing that the probe sees; an encoder of others does."""
    with torch.no_grad():
        other = build_network(segment_job().network, seed=77)
        for weight in other.decoder.parameters():
            weight.mul_(-3)
    path = tmp_path / "other.safetensors"
    elsewhere = SavedFile(path, save_weights(path, other))
    protocols = [{"name": "linear_probe", "steps": 2, "evaluate_every": 2, "batch_size": 4}]
    encoder, both = segment_job(transfer="encoder", protocols=protocols), segment_job(protocols=protocols)
    assert probe_losses(encoder, tmp_path / "a", earlier[1]) == probe_losses(encoder, tmp_path / "b", elsewhere)
    assert probe_losses(both, tmp_path / "c", earlier[1]) != probe_losses(both, tmp_path / "d", elsewhere)
    assert probe_losses(encoder, tmp_path / "e", None) != probe_losses(encoder, tmp_path / "a", earlier[1])


def test_a_segmentation_tells_what_it_started_from(tmp_path: Path, earlier: tuple[DenseNetwork, SavedFile]) -> None:
    def facts(job: SegmentJob, start: SavedFile | None) -> dict[str, Any]:
        first = next(iter(run(job, tmp_path, start=start)))
        assert isinstance(first, Started)
        return dict(first.facts)

    assert facts(segment_job(), None)["initial"] == "random weights"
    assert facts(segment_job(transfer="encoder"), earlier[1])["transfer"] == "encoder"


def pretraining(job: PretrainJob, folder: Path, initial: SavedFile | None, **options: Any) -> list[Event]:  # noqa: ANN401
    source = SyntheticSource(DATASET.config, draw=job.seed)  # type: ignore[arg-type]
    index = build_index(source).chips(job.chip_size)
    folder.mkdir(exist_ok=True)
    given = {"resume": None, "should_stop": lambda: False, "device": torch.device("cpu"), "loader_workers": 1}
    return list(pretrain(job, source, index, folder=folder, initial=initial, **{**given, **options}))


def test_a_pretraining_starts_from_initial_weights_and_its_momentum_copy_too(
    tmp_path: Path, earlier: tuple[DenseNetwork, SavedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pretrain_job(method={"name": "byol"}).model_copy(update={"initial": START})
    begun: list[Run] = []

    def stop_before_the_first_step(self: Run, *_: object, **__: object) -> None:
        begun.append(self)
        raise InitialWeightsError("far enough")

    monkeypatch.setattr(Run, "optimize", stop_before_the_first_step)
    with pytest.raises(InitialWeightsError, match="far enough"):
        pretraining(job, tmp_path / "p", earlier[1])
    assert same(begun[0].network, earlier[0], "encoder")
    assert same(begun[0].network, earlier[0], "decoder")
    copied = dict(begun[0].objective.named_parameters())
    key, weight = next((key, weight) for key, weight in copied.items() if key.endswith("encoder.model.conv1.0.weight"))
    assert torch.equal(weight, earlier[0].state_dict()["encoder.model.conv1.0.weight"]), key


def test_a_run_that_goes_on_needs_the_initial_file_no_more(
    tmp_path: Path, earlier: tuple[DenseNetwork, SavedFile]
) -> None:
    job = pretrain_job().model_copy(update={"initial": START})
    whole = pretraining(job, tmp_path / "a", earlier[1])
    assert isinstance(whole[0], Started)
    assert whole[0].facts["initial"] == "encoder and decoder of the pretraining cccccccc"
    stops = iter([False] * 4 + [True] * 20)
    part = pretraining(job, tmp_path / "b", earlier[1], should_stop=lambda: next(stops))
    checkpoint = next(event for event in reversed(part) if getattr(event, "kind", None) == "checkpoint")
    resumed = pretraining(job, tmp_path / "c", None, resume=SavedFile(checkpoint.path, checkpoint.sha256))  # type: ignore[union-attr]
    last, again = whole[-1], resumed[-1]
    assert isinstance(last, Finished)
    assert isinstance(again, Finished)
    assert last.results["final_loss"] == again.results["final_loss"]
    with pytest.raises(InitialWeightsError, match="has no weights here"):
        pretraining(job, tmp_path / "d", None)


def test_weights_of_another_network_are_refused(earlier: tuple[DenseNetwork, SavedFile]) -> None:
    job = segment_job(network={"encoder": "resnet18", "decoder_channels": 64}, transfer="encoder")
    with pytest.raises(InitialWeightsError, match="pretraining it starts from does not fit the network's encoder"):
        started(job, earlier[1], None)
    with pytest.raises(CheckpointError, match="do not fit the network"):
        started(segment_job(network={"encoder": "resnet18", "decoder_channels": 64}), earlier[1], None)
