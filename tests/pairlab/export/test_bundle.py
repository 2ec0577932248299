import ast
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch import Tensor, nn

from pairlab.experiment.jobs import AnyJob, JobConfig
from pairlab.experiment.yaml_text import parse_yaml
from pairlab.export.card import Score
from pairlab.export.encoder import SAME_KEYS_IN_TIMM
from tests.pairlab.export.exported import executed, exported

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(8))
CALLS = re.compile(r"`(encoder\.(?:timm|smp)\.safetensors)` loads with `strict=True` into `(.+?\))`")


def built(expression: str) -> nn.Module:
    """Evaluates a call of the card, of timm or segmentation-models-pytorch with literals alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = eval(compile(ast.parse(expression, mode="eval"), "card", "eval"), {"timm": timm, "smp": smp})
    assert isinstance(module, nn.Module)
    return module.eval()


def flat(features: Any) -> list[Tensor]:  # noqa: ANN401
    """Returns the levels of an encoder, without the image and without levels of no channels."""
    levels = features[0] if isinstance(features, tuple) else features
    return [level for level in levels if level.shape[1] and level.shape[-2:] != IMAGES.shape[-2:]]


@pytest.mark.parametrize(
    ("encoder", "decoder", "bands", "in_timm"),
    [
        ("resnet18", "fpn", 3, True),
        ("resnet18", "pspnet", 4, True),
        ("resnet18", "deeplabv3", 3, True),
        ("tu-resnet10t", "fpn", 13, True),
        ("tu-resnet10t", "pspnet", 3, True),
        ("tu-resnet18", "unet", 1, True),
        ("tu-convnext_atto", "upernet", 3, True),
        ("tu-convnext_atto", "deeplabv3plus", 3, True),
        ("tu-resnet10t", "dpt", 3, True),
        ("tu-vit_tiny_patch16_224", "dpt", 3, True),
        ("mobilenet_v2", "fpn", 3, False),
        ("efficientnet-b0", "linknet", 2, False),
        pytest.param("resnet50", "fpn", 3, True, marks=pytest.mark.slow),
    ],
)
def test_both_libraries_load_the_encoder_strictly_and_see_the_same_features(
    tmp_path: Path, encoder: str, decoder: str, bands: int, in_timm: bool
) -> None:
    _, network = exported(tmp_path, encoder=encoder, decoder=decoder, bands=bands)
    folder = tmp_path / "export"
    card = (folder / "README.md").read_text()
    calls = dict(CALLS.findall(card))
    assert set(calls) == {"encoder.smp.safetensors"} | ({"encoder.timm.safetensors"} if in_timm else set())
    assert ("no file for timm" in card) != in_timm
    images = IMAGES[:, [band % 3 for band in range(bands)]]
    network.eval()
    with torch.no_grad():
        expected = flat(network.encoder(images))
        for name, call in calls.items():
            module = built(call)
            module.load_state_dict(load_file(folder / name), strict=True)
            if name == "encoder.timm.safetensors" and "without the dilation" in card:
                found, wanted = flat(module(images))[:3], expected[:3]  # down to stride 8 nothing is dilated
            elif name == "encoder.timm.safetensors" and decoder == "dpt":
                last = module.forward_intermediates(images, intermediates_only=True)[-1]  # type: ignore[operator]
                found, wanted = [last], expected[-1:]
            else:
                found = flat(module(images))
                # timm leaves the shallower layers' levels out where the network does not use the deepest ones.
                wanted = expected[-len(found) :] if len(found) < len(expected) else expected
                found = found[: len(wanted)]
            assert found
            for one, other in zip(found, wanted, strict=True):
                torch.testing.assert_close(one, other)
    whole = re.search(r"encoder and decoder for `(.+)`; load", card)
    assert whole is not None
    model = built(whole[1])
    missing, unexpected = model.load_state_dict(load_file(folder / "model.smp.safetensors"), strict=False)
    assert not unexpected
    assert all(key.startswith("segmentation_head.") for key in missing)
    assert torch.equal(
        model.state_dict()["encoder." + next(iter(network.encoder.state_dict()))],
        next(iter(network.encoder.state_dict().values())),
    )


@pytest.mark.parametrize(
    ("encoder", "decoder", "shapes"),
    [
        ("tu-resnet10t", "fpn", [(1, 64, 32, 32), (1, 64, 16, 16), (1, 128, 8, 8), (1, 256, 4, 4), (1, 512, 2, 2)]),
        (
            "mobilenet_v2",
            "fpn",
            [(1, 3, 64, 64), (1, 16, 32, 32), (1, 24, 16, 16), (1, 32, 8, 8), (1, 96, 4, 4), (1, 1280, 2, 2)],
        ),
    ],
)
def test_the_snippet_gets_features_in_a_fresh_interpreter(
    tmp_path: Path, encoder: str, decoder: str, shapes: list[tuple[int, ...]]
) -> None:
    exported(tmp_path, encoder=encoder, decoder=decoder)
    run = executed(tmp_path / "export" / "load.py")
    assert run.returncode == 0, run.stderr
    assert ast.literal_eval(run.stdout) == shapes


def test_the_configuration_loads_back_and_the_card_tells_what_is_known(tmp_path: Path) -> None:
    score = Score(experiment="pipe | line", arm="half", seed=4, protocol="linear_probe", miou=0.61234, labels="8 chips")
    config, _ = exported(
        tmp_path,
        encoder="tu-resnet10t",
        scores=[score],
        pairs=20,
        realised_noise=0.5,
        realised_mismatch=0.0,
        final_loss=1.23456,
    )
    job: TypeAdapter[AnyJob] = TypeAdapter(JobConfig)
    assert job.validate_python(parse_yaml((tmp_path / "export" / "config.yaml").read_text())) == config
    card = (tmp_path / "export" / "README.md").read_text()
    for said in (
        "Made by PairLab 0.1.0; key of the pretraining `" + "a" * 64,
        "| dataset | tiny (synthetic) |",
        "| fingerprint of its content | `" + "0" * 64,
        "| method | pixel_infonce |",
        "| network | tu-resnet10t with decoder fpn (64 channels) |",
        "| initial weights | random weights |",
        "| training | 12 steps of 4 pairs, adamw",
        "| realised noise | 50.0 % |",
        "| realised mismatch | 0.0 % |",
        "| final loss | 1.235 |",
        "| red | 0 | 255 |",
        "| pipe \\| line | half | 4 | linear probe | 8 chips | 61.23 |",
        "carry no rights of others",
    ):
        assert said in card, said


def test_every_encoder_that_is_said_to_have_the_keys_of_timm_has_them() -> None:
    for ours, theirs in SAME_KEYS_IN_TIMM.items():
        with torch.device("meta"):
            mine = smp.encoders.get_encoder(ours, weights=None).state_dict()
            timms = timm.create_model(theirs, features_only=True).state_dict()
        assert {key: value.shape for key, value in mine.items()} == {
            key: value.shape for key, value in timms.items()
        }, ours
