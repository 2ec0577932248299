import pytest
import segmentation_models_pytorch as smp
import torch
from _pytest.mark.structures import ParameterSet
from torch import nn
from torch.nn import functional

from pairlab.decoders import STRIDES
from pairlab.experiment.network import LEAST_CHIP, Network
from pairlab.networks import (
    DenseNetwork,
    EncoderPyramid,
    LinearHead,
    NetworkError,
    PixelProjection,
    build_network,
    joined,
    on_grid,
    perceptron,
    pooled,
)

SMALL = ("resnet18", "tu-resnet10t", "tu-convnext_atto", "mobilenet_v2", "efficientnet-b0")
CHANNELS = {"fpn": 32, "unet": 4, "unetplusplus": 4, "manet": 4, "linknet": 32, "pan": 8}
"""Of features at decoder_channels 64, where they are not 64."""


def built(encoder: str, decoder: str, *, bands: int = 3, size: int | None = None) -> DenseNetwork:
    config = Network.model_validate({"encoder": encoder, "decoder": decoder, "decoder_channels": 64})
    return build_network(config, seed=0, bands=bands, size=size)


def grid() -> list[ParameterSet]:
    """Every decoder on every encoder, with 1, 3 and 13 bands by turns; each decoder and encoder is quick once."""
    pairs = [
        (encoder, decoder)
        for decoder in STRIDES
        for encoder in (*SMALL, "tu-vit_tiny_patch16_224")
        if (decoder == "dpt") >= encoder.startswith("tu-vit") and not (decoder == "dpt" and encoder[:3] != "tu-")
    ]
    quick = {("mobilenet_v2", "fpn"), ("efficientnet-b0", "upernet"), ("resnet18", "unet"), ("tu-convnext_atto", "pan")}
    return [
        pytest.param(
            *pair,
            (1, 3, 13)[number % 3],
            marks=() if pair in quick or pair[0] in ("tu-resnet10t", "tu-vit_tiny_patch16_224") else pytest.mark.slow,
        )
        for number, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(("encoder", "decoder", "bands"), grid())
def test_every_decoder_learns_on_every_encoder(encoder: str, decoder: str, bands: int) -> None:
    size = LEAST_CHIP.get(decoder, 64)
    network = built(encoder, decoder, bands=bands, size=size)
    features = network(torch.rand(2, bands, size, size, generator=torch.Generator().manual_seed(1)))
    channels = CHANNELS.get(decoder, 64)
    assert (network.channels, network.stride) == (channels, STRIDES[decoder])
    assert features.shape == (2, channels, size // network.stride, size // network.stride)
    assert PixelProjection(channels, embedding_dim=8)(features, grid=size // 4).shape == (2, 8, size // 4, size // 4)
    assert LinearHead(channels, 3)(features, size=(size, size)).shape == (2, 3, size, size)
    torch.autograd.backward(features.square().mean())
    first = next(module for module in network.encoder.modules() if isinstance(module, nn.Conv2d))
    assert first.weight.shape[1] == bands
    assert first.weight.grad is not None
    assert first.weight.grad.abs().sum() > 0


def test_a_network_that_was_tried_is_the_same_network() -> None:
    untried, tried = built("tu-resnet10t", "fpn").state_dict(), built("tu-resnet10t", "fpn", size=64)
    assert tried.training
    assert all(torch.equal(untried[name], value) for name, value in tried.state_dict().items())


def test_weights_depend_on_the_seed_alone() -> None:
    first = build_network(Network(), seed=1)
    torch.rand(5)
    again, other = build_network(Network(), seed=1), build_network(Network(), seed=2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_network(Network(), seed=1, size=64)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("encoder", "alike"),
    [("tu-resnot18", "tu-resnet18"), ("resnet17", "resnet18"), ("convnext_atto", "tu-convnext_atto")],
)
def test_an_unknown_encoder_is_named_with_names_like_it(encoder: str, alike: str) -> None:
    with pytest.raises(NetworkError, match=rf"no encoder '{encoder}'; did you mean .*\b{alike}\b.*from timm begin"):
        built(encoder, "fpn")


def test_an_encoder_like_no_other_has_no_suggestion() -> None:
    with pytest.raises(NetworkError, match=r"no encoder 'q+'\. Names from timm begin with 'tu-'"):
        built("q" * 40, "fpn")


@pytest.mark.parametrize(
    ("encoder", "decoder", "why"),
    [
        ("tu-vit_tiny_patch16_224", "unet", "Unsupported model downsampling pattern"),
        ("resnet18", "dpt", "Only Timm encoders are supported for DPT"),
    ],
)
def test_a_pair_that_does_not_go_together_says_why(encoder: str, decoder: str, why: str) -> None:
    with pytest.raises(
        NetworkError, match=rf"'{encoder}' does not go with decoder '{decoder}' \(.*{why}.*take another"
    ):
        built(encoder, decoder)


@pytest.mark.parametrize(("encoder", "decoder"), [("resnet18", "pan"), ("tu-vit_small_patch14_dinov2", "dpt")])
def test_chips_that_do_not_fit_are_refused_with_their_size(encoder: str, decoder: str) -> None:
    with pytest.raises(NetworkError, match=r"does not take images of 64 × 64 pixels \(.*raise chip_size"):
        built(encoder, decoder, size=64)


def test_coarse_features_are_interpolated_onto_the_grid_and_fine_ones_averaged() -> None:
    ramp = torch.arange(4.0).repeat(1, 1, 4, 1)
    expected = [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]
    torch.testing.assert_close(on_grid(ramp, 8)[0, 0, 3], torch.tensor(expected))
    torch.testing.assert_close(on_grid(ramp, 2)[0, 0, 0], torch.tensor([0.5, 2.5]))
    assert on_grid(ramp, 4) is ramp


@pytest.mark.parametrize(
    ("encoder", "channels"),
    [("resnet18", [64, 64, 128, 256, 512]), ("tu-convnext_atto", [40, 80, 160, 320])],
)
def test_the_pyramid_of_an_encoder_is_its_own_features_from_stride_four_on(encoder: str, channels: list[int]) -> None:
    network = built(encoder, "unet", bands=4).eval()
    pyramid = EncoderPyramid(network, bands=4, size=64).eval()
    images = torch.rand(2, 4, 64, 64, generator=torch.Generator().manual_seed(2))
    levels = pyramid(images)
    assert pyramid.channels == sum(channels)
    assert [tuple(level.shape[1:]) for level in levels[-4:]] == [
        (width, 64 // stride, 64 // stride) for width, stride in zip(channels[-4:], (4, 8, 16, 32), strict=True)
    ]
    own = smp.encoders.get_encoder(encoder, in_channels=4, weights=None).eval()
    own.load_state_dict(network.encoder.state_dict())
    expected = own(images)
    torch.testing.assert_close(levels[-1], expected[-1])
    if encoder == "resnet18":
        torch.testing.assert_close(levels[0], functional.avg_pool2d(expected[1], 2))
    together = joined(levels)
    assert together.shape == (2, sum(channels), 16, 16)
    torch.testing.assert_close(
        together[:, -channels[-1] :], functional.interpolate(expected[-1], scale_factor=8, mode="bilinear")
    )


def test_a_head_is_scaled_by_the_channels_of_all_levels() -> None:
    generator = torch.Generator().manual_seed(3)
    fine = 3 + 2 * torch.randn(4, 5, 16, 16, generator=generator)
    coarse = 0.5 * torch.randn(4, 2, 8, 8, generator=generator)
    head = LinearHead(7, 3)
    head.standardise([fine, coarse])
    assert head.mean.shape == head.deviation.shape == (1, 7, 1, 1)
    torch.testing.assert_close(head.mean.flatten()[:5], fine.transpose(0, 1).flatten(1).mean(1))
    torch.testing.assert_close(head.deviation.flatten()[5:], coarse.transpose(0, 1).flatten(1).std(1) + 1e-5)


def test_a_perceptron_that_normalises_its_input_sees_neither_scale_nor_offset_of_a_channel() -> None:
    rows = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    scaled = rows * torch.tensor([1.0, 10.0, 100.0]) + torch.tensor([0.0, 50.0, -7.0])
    head = perceptron(3, 8, 2, normalise_input=True, normalise_hidden=False)
    torch.testing.assert_close(head(scaled), head(rows), atol=1e-4, rtol=1e-4)
    assert [type(each) for each in head] == [nn.BatchNorm1d, nn.Linear, nn.ReLU, nn.Linear]
    assert len(list(head.parameters())) == 4
    assert not list(head[0].buffers())


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_pooled_features_are_means_over_positions_and_their_gradient_lies_as_they_do(
    memory_format: torch.memory_format,
) -> None:
    features = torch.randn(3, 5, 7, 6, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    weights = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(pooled(features), features.mean(dim=(2, 3)))
    # As an encoder's layers see it: the gradient of a level, on its way to be added to that of the next layer.
    seen: list[torch.Tensor] = []
    level = features * 1.0
    level.register_hook(seen.append)  # type: ignore[no-untyped-call]
    torch.autograd.backward((pooled(level) * weights).sum())
    (gradient,) = seen
    torch.testing.assert_close(gradient, (weights / 42)[:, :, None, None].expand(3, 5, 7, 6))
    assert gradient.is_contiguous(memory_format=memory_format)
