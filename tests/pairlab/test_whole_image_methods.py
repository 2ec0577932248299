"""Methods of whole images learn from the encoder's levels, and leave the decoder alone."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pairlab.checkpoint import SavedFile
from pairlab.events import Metrics, Saved
from pairlab.experiment.network import Network
from pairlab.networks import DenseNetwork, LinearHead, MapAndLevels, PooledLevels, build_network
from pairlab.segmentation import SegmentationError
from tests.pairlab.training_jobs import experiment, pretrain_job, run, segment_job

WHOLE = {"name": "simclr"}
DENSE = {"name": "pixel_infonce"}


def test_pooled_levels_are_the_means_of_the_encoders_levels() -> None:
    network = build_network(Network(decoder_channels=64), seed=0).eval()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    levels = [level for level in network.encoder(images)[1:] if level.shape[1]]
    found = PooledLevels(network, size=64)
    assert found.channels == sum(level.shape[1] for level in levels)
    expected = torch.cat([level.flatten(2).mean(2) for level in levels], dim=1)
    torch.testing.assert_close(found(images), expected[:, :, None, None])


def test_one_pass_gives_the_decoders_map_and_the_encoders_means() -> None:
    network = build_network(Network(decoder_channels=64), seed=0).eval()
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    learner = MapAndLevels(network, size=64)
    cells, levels = learner.layout.split(learner(images))
    torch.testing.assert_close(cells, network(images))
    torch.testing.assert_close(levels, PooledLevels(network, size=64)(images)[:, :, 0, 0])
    assert learner.layout.level_channels == levels.shape[1]


@pytest.mark.parametrize("name", ["densecl", "vicregl"])
def test_a_method_of_cells_and_images_tells_of_the_decoders_features(tmp_path: Path, name: str) -> None:
    job = pretrain_job(method={"name": name}, pretraining={"steps": 1, "batch_size": 4})
    told = [event.values for event in run(job, tmp_path) if isinstance(event, Metrics)]
    assert all(values["features/rank_share"] <= 1 for values in told)
    assert told


@pytest.mark.parametrize(("method", "moves"), [(WHOLE, False), ({"name": "byol"}, False), (DENSE, True)])
def test_the_decoder_moves_with_dense_methods_alone(tmp_path: Path, method: dict[str, object], moves: bool) -> None:
    job = pretrain_job(method=method, pretraining={"steps": 2, "batch_size": 4, "warmup_steps": 0})
    saved = [event for event in run(job, tmp_path) if isinstance(event, Saved) and event.kind == "weights"]
    before, after = build_network(job.network, seed=job.seed).state_dict(), load_file(saved[0].path)
    moved = {key.partition(".")[0] for key, weight in after.items() if not torch.equal(weight, before[key])}
    assert moved == ({"encoder", "decoder"} if moves else {"encoder"})


def test_segmentation_takes_over_what_every_arm_has_pretrained() -> None:
    arm = {"pairing": {"policy": "temporal", "noise": {"rate": 0.0}, "pairs": 20}}
    mixed = {"a": arm, "b": {**arm, "method": WHOLE}}
    assert experiment(method=DENSE).transferred == "encoder_decoder"
    assert experiment(method=WHOLE).transferred == "encoder"
    assert experiment(method=DENSE, arms=mixed, reference="a").transferred == "encoder"
    assert experiment(method=WHOLE, transfer="encoder_decoder").transferred == "encoder_decoder"
    assert segment_job(method=WHOLE).transfer == "encoder"
    assert segment_job(method=DENSE).transfer == "encoder_decoder"


@pytest.mark.parametrize("pretrained", [False, True])
def test_frozen_networks_are_probed_with_the_statistics_of_the_labelled_chips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretrained: bool
) -> None:
    start = None
    if pretrained:
        job = pretrain_job(method=WHOLE, pretraining={"steps": 3, "batch_size": 4, "warmup_steps": 0})
        saved = [event for event in run(job, tmp_path) if isinstance(event, Saved) and event.kind == "weights"]
        start = SavedFile(saved[0].path, saved[0].sha256)
    seen: list[torch.nn.Module] = []
    standardise = LinearHead.standardise

    def keep(self: LinearHead, levels: list[torch.Tensor]) -> None:
        standardise(self, levels)
        seen.append(self)
        raise SegmentationError("far enough")

    monkeypatch.setattr(LinearHead, "standardise", keep)
    networks: list[DenseNetwork] = []

    def built(config: Network, **options: int) -> DenseNetwork:
        networks.append(build_network(config, **options))
        return networks[-1]

    monkeypatch.setattr("pairlab.segmentation.starting_network.build_network", built)
    probe = segment_job(method=WHOLE).model_copy(update={"pretrain": "0" * 64 if pretrained else None})
    with pytest.raises(SegmentationError, match="far enough"):
        list(run(probe, tmp_path, start=start))
    norms = [each for each in networks[-1].encoder.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert norms
    assert all(int(norm.num_batches_tracked) == 1 for norm in norms)  # type: ignore[arg-type]
    assert all(not torch.equal(norm.running_var, torch.ones_like(norm.running_var)) for norm in norms)  # type: ignore[arg-type]
    assert not any(norm.training for norm in norms)
    assert seen
