import hashlib
import os
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from pairlab.checkpoint import SavedFile, save_weights
from pairlab.experiment.initial import FileWeights, HubWeights, JobWeights, RandomWeights
from pairlab.experiment.network import Network
from pairlab.initial_weights import InitialWeightsError, file_of, load_initial
from pairlab.networks import DenseNetwork, build_network

FILE = FileWeights(root="models", path="weights.safetensors")


def network(encoder: str = "resnet18", *, bands: int = 3, seed: int = 0, decoder: str = "fpn") -> DenseNetwork:
    config = Network.model_validate({"encoder": encoder, "decoder": decoder, "decoder_channels": 64})
    return build_network(config, seed=seed, bands=bands)


def saved(folder: Path, tensors: dict[str, Tensor], name: str = "weights.safetensors") -> SavedFile:
    path = folder / name
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    else:
        torch.save(tensors, path)
    return SavedFile(path, hashlib.sha256(path.read_bytes()).hexdigest())


def resnet18(seed: int = 7) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = torchvision.models.resnet18(weights=None)
    return module


def test_torchvision_weights_become_the_encoder_and_the_classifier_is_told_of(tmp_path: Path) -> None:
    theirs = resnet18().state_dict()
    mine, fresh = network(), network()
    told = load_initial(FILE, mine, file=saved(tmp_path, theirs))
    for key, value in mine.encoder.state_dict().items():
        assert torch.equal(value, theirs[key]), key
    for key, value in mine.decoder.state_dict().items():
        assert torch.equal(value, fresh.decoder.state_dict()[key]), key
    assert told == {
        "initial": "encoder of the file weights.safetensors in models",
        "initial_tensors": 120,
        "initial_left_out": "2 (fc.bias, fc.weight)",
    }


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "module.encoder_q.", "model.encoder.", "encoder.model."])
def test_what_wrappers_put_before_the_keys_is_taken_off(tmp_path: Path, prefix: str) -> None:
    theirs = resnet18().state_dict()
    others = {f"module.encoder_k.{key}": torch.zeros_like(value) for key, value in theirs.items()}
    mine = network("tu-resnet18")
    load_initial(FILE, mine, file=saved(tmp_path, {f"{prefix}{key}": value for key, value in theirs.items()} | others))
    assert torch.equal(mine.encoder.state_dict()["model.layer4.1.conv2.weight"], theirs["layer4.1.conv2.weight"])


@pytest.mark.parametrize(
    "encoder", ["tu-convnext_atto", "tu-resnet10t", "tu-efficientnet_b0", "tu-mobilenetv3_small_050"]
)
def test_whole_models_of_timm_become_encoders(tmp_path: Path, encoder: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        whole = timm.create_model(encoder.removeprefix("tu-"))
    mine = network(encoder)
    load_initial(FILE, mine, file=saved(tmp_path, whole.state_dict()))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    whole.eval()
    mine.eval()
    with torch.no_grad():
        last = mine.encoder(images)[-1]
        expected = whole.forward_intermediates(images, intermediates_only=True)[-1]
    torch.testing.assert_close(last, expected)


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "efficientnet-b0"])
def test_names_of_segmentation_models_pytorch_are_known(tmp_path: Path, encoder: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        theirs = smp.Unet(encoder, encoder_weights=None).state_dict()
    mine = network(encoder)
    load_initial(FILE, mine, file=saved(tmp_path, theirs))
    assert all(torch.equal(value, theirs[f"encoder.{key}"]) for key, value in mine.encoder.state_dict().items())


@pytest.mark.parametrize(("bands", "encoder"), [(1, "resnet18"), (4, "resnet18"), (13, "tu-resnet18")])
def test_a_first_convolution_for_rgb_is_adapted_as_timm_does(tmp_path: Path, bands: int, encoder: str) -> None:
    theirs = resnet18().state_dict()
    rgb = theirs["conv1.weight"]
    mine = network(encoder, bands=bands)
    told = load_initial(FILE, mine, file=saved(tmp_path, theirs))
    first = next(value for value in mine.encoder.state_dict().values() if value.ndim == 4)
    expected = (
        rgb.sum(1, keepdim=True)
        if bands == 1
        else torch.stack([rgb[:, band % 3] * (3 / bands) for band in range(bands)], dim=1)
    )
    torch.testing.assert_close(first, expected)
    assert told["initial_adapted"] == "first convolution, from 3 bands"


def test_old_files_without_counters_of_batch_norm_fit(tmp_path: Path) -> None:
    theirs = {key: value for key, value in resnet18().state_dict().items() if "num_batches" not in key}
    mine = network()
    assert load_initial(FILE, mine, file=saved(tmp_path, theirs))["initial_tensors"] == 100
    assert mine.encoder.state_dict()["bn1.num_batches_tracked"] == 0


def test_what_does_not_fit_is_refused_with_numbers_and_keys_and_changes_nothing(tmp_path: Path) -> None:
    theirs = resnet18().state_dict()
    del theirs["layer3.0.conv1.weight"]
    theirs["layer1.0.conv1.weight"] = torch.zeros(64, 64, 1, 1)
    mine, fresh = network(), network()
    said = (
        r"file weights\.safetensors in models does not fit the network's encoder: 118 of its 120 tensors were found, "
        r"1 are missing \(layer3\.0\.conv1\.weight\); 1 have another shape \(layer1\.0\.conv1\.weight is "
        r"\[64, 64, 1, 1\], not \[64, 64, 3, 3\]\)\. There are 121 tensors: "
    )
    with pytest.raises(InitialWeightsError, match=said):
        load_initial(FILE, mine, file=saved(tmp_path, theirs))
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in mine.state_dict().items())


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InitialWeightsError, match=r"0 of its 312 tensors were found, 260 are missing \(features\.0"):
        load_initial(FILE, network("mobilenet_v2"), file=saved(tmp_path, resnet18().state_dict()))


def test_thirteen_bands_are_not_squeezed_into_three(tmp_path: Path) -> None:
    theirs = network(bands=13).encoder.state_dict()
    with pytest.raises(InitialWeightsError, match=r"1 have another shape \(conv1\.weight is \[64, 13, 7, 7\], not"):
        load_initial(FILE, network(), file=saved(tmp_path, dict(theirs)))


@pytest.mark.parametrize("container", [(), ("state_dict",), ("model",), ("network", "state_dict")])
def test_pytorch_files_are_read_wherever_the_weights_are_in_them(tmp_path: Path, container: tuple[str, ...]) -> None:
    theirs = resnet18().state_dict()
    content: dict[str, object] = dict(theirs)
    for name in reversed(container):
        content = {name: content, "epoch": 3}
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    mine = network()
    load_initial(FILE, mine, file=SavedFile(path))
    assert torch.equal(mine.encoder.state_dict()["conv1.weight"], theirs["conv1.weight"])


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize("content", [{"state_dict": _Code()}, resnet18()])
def test_code_in_a_pytorch_file_is_never_run(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(InitialWeightsError, match=r"holds more than tensors.*never run here: save its state_dict"):
        load_initial(FILE, network(), file=SavedFile(path))


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {"step": 1}}])
def test_a_pytorch_file_without_weights_says_where_they_were_looked_for(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(InitialWeightsError, match=r"holds no tensors by name.*state_dict, state_dict_ema"):
        load_initial(FILE, network(), file=SavedFile(path))


def test_a_changed_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    file = saved(tmp_path, resnet18().state_dict())
    with pytest.raises(InitialWeightsError, match=rf"has changed since it was chosen.*{file.sha256}.*{'0' * 64} was"):
        load_initial(FILE, network(), file=SavedFile(file.path, "0" * 64))
    file.path.write_bytes(file.path.read_bytes()[:1000])
    with pytest.raises(InitialWeightsError, match="no whole safetensors file"):
        load_initial(FILE, network(), file=SavedFile(file.path))
    file.path.unlink()
    with pytest.raises(InitialWeightsError, match="cannot be read: No such file"):
        load_initial(FILE, network(), file=SavedFile(file.path))


def test_an_earlier_pretraining_hands_on_encoder_and_decoder_or_the_encoder_alone(tmp_path: Path) -> None:
    earlier, fresh = network(seed=5), network(seed=1)
    path = tmp_path / "weights.safetensors"
    file = SavedFile(path, save_weights(path, earlier))
    both, encoder, adapted = network(seed=1), network(seed=1), network(seed=1, bands=4)
    load_initial(JobWeights(key="a" * 64), both, file=file)
    assert all(torch.equal(value, earlier.state_dict()[key]) for key, value in both.state_dict().items())
    load_initial(JobWeights(key="a" * 64, part="encoder"), encoder, file=file)
    for key, value in encoder.state_dict().items():
        origin = earlier if key.startswith("encoder.") else fresh
        assert torch.equal(value, origin.state_dict()[key])
    load_initial(JobWeights(key="a" * 64), adapted, file=file)
    assert torch.equal(adapted.decoder.state_dict()["p5.weight"], earlier.decoder.state_dict()["p5.weight"])
    with pytest.raises(InitialWeightsError, match=r"does not fit the network's decoder: 0 of its \d+ tensors"):
        load_initial(JobWeights(key="a" * 64), network(decoder="deeplabv3"), file=file)
    with pytest.raises(InitialWeightsError, match="has no weights here"):
        load_initial(JobWeights(key="a" * 64), network(), file=None)


def test_random_weights_leave_the_network_alone() -> None:
    mine, fresh = network(), network()
    assert load_initial(RandomWeights(), mine, file=None) == {"initial": "random weights"}
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in mine.state_dict().items())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet18.a9_in1k", r"no published weights 'resnet18\.a9_in1k'; there are .*resnet18\.a1_in1k"),
        ("resnet10t.c3_in", r"no published weights 'resnet10t\.c3_in'; there are resnet10t\.c3_in1k"),
        ("zzz", r"no published weights 'zzz'.*has the tag of its weights behind a dot"),
    ],
)
def test_a_name_without_published_weights_is_told_with_those_like_it(name: str, said: str) -> None:
    with pytest.raises(InitialWeightsError, match=said):
        load_initial(HubWeights(name=name), network(), file=None)


def test_without_the_network_the_hub_is_named_with_what_to_do_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InitialWeightsError) as caught:
        load_initial(HubWeights(name="resnet10t.c3_in1k"), network("tu-resnet10t"), file=None)
    said = str(caught.value)
    assert said.startswith("initial: the weights resnet10t.c3_in1k could not be loaded: huggingface.co was asked, and")
    assert said.endswith("download the file elsewhere, put it into a data root and take initial source `file`")


def test_a_file_lies_below_a_known_data_root_and_no_link_leads_out_of_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.safetensors").touch()
    (root / "inside.safetensors").touch()
    (root / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    roots = {"models": root}
    inside = FileWeights(root="models", path="inside.safetensors", sha256="1" * 64)
    assert file_of(roots, inside) == SavedFile(root / "inside.safetensors", "1" * 64)
    with pytest.raises(InitialWeightsError, match=r"'link\.safetensors' leads out of its data root"):
        file_of(roots, FileWeights(root="models", path="link.safetensors"))
    with pytest.raises(InitialWeightsError, match=r"no data root 'other' \(known: models\)"):
        file_of(roots, FileWeights(root="other", path="inside.safetensors"))
