"""Distances of embeddings: 0 between equal images, large where something is new, and weights from all three places."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from pairlab.checkpoint import CheckpointError, SavedFile, save_weights
from pairlab.embedding_distance import FeatureEncoder, Pretrained, WeightsError, build_encoder
from pairlab.experiment.change_scores import EmbeddingDistance
from pairlab.experiment.network import Network
from pairlab.networks import NetworkError, build_network
from pairlab.scenes.bands import default_bands
from pairlab.scenes.scene import RGB, Bands, BoolArray, Pixels

CPU = torch.device("cpu")
SMALL = "tu-resnet10t"


def random_encoder(bands: Bands = RGB, name: str = SMALL) -> FeatureEncoder:
    score = EmbeddingDistance(encoder=name, weights="random")
    return build_encoder(score, bands=bands, pretrained=None, device=CPU)


def images(height: int, width: int, *, bands: int = 3, dtype: type = np.uint8, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 255, (height, width, bands)).astype(dtype)


def everywhere(image: Pixels) -> BoolArray:
    return np.ones(image.shape[:2], dtype=bool)


@pytest.mark.parametrize(("bands", "dtype"), [(1, np.uint8), (3, np.uint8), (4, np.uint16), (13, np.float32)])
def test_equal_images_have_distance_0_and_others_more(bands: int, dtype: type) -> None:
    limits = replace(default_bands(bands, dtype), high=(255.0,) * bands)
    encoder = random_encoder(limits)
    first = images(100, 130, bands=bands, dtype=dtype)
    found = encoder.distances(first, first.copy(), valid=everywhere(first))
    assert found.shape == (3, 4)
    assert found.dtype == np.float32
    assert (found == 0).all()
    other = encoder.distances(first, first[::-1].copy(), valid=everywhere(first))
    assert ((other > 0) & (other <= 2)).all()
    np.testing.assert_allclose(encoder.distances(first[::-1].copy(), first, valid=everywhere(first)), other, atol=1e-6)


def test_what_is_new_is_far_away() -> None:
    first = images(256, 256)
    last = first.copy()
    last[96:160, 32:96] = 255 - last[96:160, 32:96] // 4
    found = random_encoder().distances(first, last, valid=everywhere(first))
    near = found[2:6, 0:4]  # the encoder sees around each square
    assert found.max() == near.max()
    assert near.mean() > 3 * found[:, 5:].mean()


def test_distances_are_the_cosines_of_the_deepest_features() -> None:
    encoder = random_encoder()
    first, last = images(64, 96), images(64, 96, seed=1)
    with torch.inference_mode():
        batch = torch.from_numpy(np.stack([first, last])).permute(0, 3, 1, 2).float() / 255
        a, b = encoder.module((batch - 0.5) / 0.25)[-1]
    expected = 1 - torch.nn.functional.cosine_similarity(a, b, dim=0)
    np.testing.assert_allclose(encoder.distances(first, last, valid=everywhere(first)), expected, atol=1e-5)


def test_large_scenes_are_seen_in_tiles() -> None:
    encoder = random_encoder()
    first, last = images(640, 1090), images(640, 1090, seed=1)
    found = encoder.distances(first, last, valid=everywhere(first))
    assert found.shape == (20, 34)
    tile = encoder.distances(first[:576, :576], last[:576, :576], valid=everywhere(first[:576, :576]))
    np.testing.assert_allclose(found[:16, :16], tile[:16, :16], atol=1e-5)
    right = encoder.distances(first[448:, 960:1088], last[448:, 960:1088], valid=everywhere(first[448:, 960:1088]))
    np.testing.assert_allclose(found[16:, 32:], right[2:, 2:], atol=1e-5)


def test_pixels_without_data_are_not_seen() -> None:
    encoder = random_encoder()
    first, last = images(96, 96), images(96, 96, seed=1)
    valid = everywhere(first)
    valid[:40, :70] = False
    expected = encoder.distances(first, last, valid=valid)
    assert np.isnan(expected).tolist() == [[True, True, False], [False] * 3, [False] * 3]
    first[:40, :70], last[:40, :70] = 0, 255
    np.testing.assert_array_equal(encoder.distances(first, last, valid=valid), expected)
    wide = default_bands(2, np.float32)
    first, last = (images(64, 64, bands=2, dtype=np.float32, seed=seed) for seed in (0, 1))
    first[5, 5, 1] = np.nan
    assert np.isfinite(random_encoder(wide).distances(first, last, valid=everywhere(first))).all()


@pytest.mark.parametrize("side", [20, 32])
def test_scenes_smaller_than_a_square_have_none(side: int) -> None:
    first = images(side, 90)
    assert random_encoder().distances(first, first, valid=everywhere(first)).shape == (side // 32, 2)


def test_random_weights_are_the_same_every_time_and_draw_from_nobody_elses_randomness() -> None:
    torch.manual_seed(1)
    first = random_encoder().module.state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    second = random_encoder().module.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_encoder_of_a_pretraining_is_taken_with_its_network(tmp_path: Path) -> None:
    config = Network(encoder=SMALL, decoder_channels=64)
    network = build_network(config, seed=5)
    sha256 = save_weights(tmp_path / "weights.safetensors", network)
    pretrained = Pretrained(config, SavedFile(tmp_path / "weights.safetensors", sha256))
    score = EmbeddingDistance(encoder="resnet152", weights="b" * 64)  # the pretraining has its own
    encoder = build_encoder(score, bands=RGB, pretrained=pretrained, device=CPU)
    expected = network.encoder.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in encoder.module.state_dict().items())
    first = images(64, 64)
    assert encoder.distances(first, images(64, 64, seed=1), valid=everywhere(first)).min() > 0
    with pytest.raises(CheckpointError, match="do not fit the network"):
        build_encoder(score, bands=default_bands(4, np.uint8), pretrained=pretrained, device=CPU)
    with pytest.raises(WeightsError, match="no finished pretraining with this key has weights here"):
        build_encoder(score, bands=RGB, pretrained=None, device=CPU)


@pytest.mark.parametrize("weights", ["random", "published"])
@pytest.mark.parametrize("name", ["nothing", "tu-nothing"])
def test_unknown_encoders_are_refused(name: str, weights: str) -> None:
    with pytest.raises(NetworkError, match=f"has no encoder '{name}'"):
        build_encoder(EmbeddingDistance(encoder=name, weights=weights), bands=RGB, pretrained=None, device=CPU)


def test_encoders_without_published_weights_are_refused() -> None:
    bare = "ecaresnext26t_32x4d"
    assert not timm.models.is_model_pretrained(bare)
    with pytest.raises(WeightsError, match=f"nobody has published weights of encoder 'tu-{bare}'"):
        build_encoder(EmbeddingDistance(encoder=f"tu-{bare}"), bands=RGB, pretrained=None, device=CPU)


DISTANCE = """
import sys, numpy as np, torch
from pairlab.embedding_distance import build_encoder
from pairlab.experiment.change_scores import EmbeddingDistance
from pairlab.scenes.scene import RGB
encoder = build_encoder(EmbeddingDistance(encoder=sys.argv[1]), bands=RGB, pretrained=None, device=torch.device("cpu"))
pair = [np.random.default_rng(seed).integers(1, 255, (64, 64, 3)).astype(np.uint8) for seed in (0, 1)]
print(*encoder.distances(*pair, valid=np.ones((64, 64), dtype=bool)).ravel(), encoder.mean.ravel().tolist()[0])
"""


def offline(home: Path, encoder: str) -> subprocess.CompletedProcess[str]:
    """Runs in a process whose cache of downloads is `home`, without any network."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DISTANCE, encoder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize(
    ("encoder", "place"), [("tu-resnet10t", "timm/resnet10t.c3_in1k"), ("resnet18", "smp-hub/resnet18.imagenet")]
)
def test_a_download_that_fails_says_what_was_tried_and_what_to_do(tmp_path: Path, encoder: str, place: str) -> None:
    failed = offline(tmp_path, encoder)
    assert failed.returncode == 1
    (sentence,) = (line for line in failed.stderr.splitlines() if line.startswith("pairlab.embedding_distance"))
    assert f"WeightsError: the published weights of encoder {encoder!r} could not be loaded: {place}" in sentence
    assert "HF_HOME" in sentence
    assert "take weights random, or the key of a finished pretraining" in sentence


def test_published_weights_are_taken_from_the_cache(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = timm.create_model("resnet10t", pretrained=False)
    snapshot = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k" / "snapshots" / "0123456789"
    snapshot.mkdir(parents=True)
    save_file(model.state_dict(), snapshot / "model.safetensors")
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("0123456789")
    found = offline(tmp_path, "tu-resnet10t")
    assert found.returncode == 0, found.stderr
    *distances, mean = map(float, found.stdout.split())
    assert mean == pytest.approx(0.485)
    pair = [np.random.default_rng(seed).integers(1, 255, (64, 64, 3)) for seed in (0, 1)]
    batch = torch.from_numpy(np.stack(pair)).permute(0, 3, 1, 2).float() / 255
    shift, scale = (torch.tensor(model.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.inference_mode():
        a, b = model.eval().forward_features((batch - shift) / scale)
    expected = 1 - torch.nn.functional.cosine_similarity(a, b, dim=0)
    np.testing.assert_allclose(distances, expected.ravel(), atol=1e-5)
