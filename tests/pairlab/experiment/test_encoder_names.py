import pytest
import timm

from pairlab.encoder_list import installed_encoders
from pairlab.experiment.encoder_names import encoders_like, is_listed, listed_encoders
from pairlab.experiment.network import Network


def test_the_list_is_what_the_libraries_have() -> None:
    installed = installed_encoders()
    if installed.versions != listed_encoders().versions:
        pytest.skip(f"installed are {installed.versions}: `python -m pairlab.encoder_list` writes the list anew")
    assert listed_encoders() == installed


@pytest.mark.parametrize(
    "encoder",
    [
        Network().encoder,
        "resnet18",
        "mit_b4",
        "tu-resnet18",
        "timm-resnet18",
        "tu-resnet18.a1_in1k",
        "tu-vit_base_patch16",
    ],
)
def test_a_name_that_the_worker_would_take_is_listed(encoder: str) -> None:
    prefix, _, name = encoder.partition("-")
    assert is_listed(encoder) == (prefix not in ("tu", "timm") or timm.is_model(name))


@pytest.mark.parametrize(
    ("encoder", "nearest"),
    [("tu-resnet10x", "tu-resnet10t"), ("resnet17", "resnet18"), ("convnext_tiny", "tu-convnext_tiny")],
)
def test_a_mistyped_name_is_not_listed_and_the_nearest_are_named(encoder: str, nearest: str) -> None:
    assert not is_listed(encoder)
    assert nearest in encoders_like(encoder)


def test_what_looks_like_nothing_has_no_nearest() -> None:
    assert encoders_like("q" * 40) == []
