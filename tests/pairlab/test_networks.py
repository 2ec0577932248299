import pytest
import torch

from pairlab.experiment.network import Network
from pairlab.networks import GlobalProjection, LinearHead, NetworkError, PixelProjection, build_network


@pytest.mark.parametrize("decoder", ["fpn", "unet"])
def test_features_are_dense_and_have_the_named_channels(decoder: str) -> None:
    network = build_network(Network.model_validate({"decoder": decoder, "decoder_channels": 64}), seed=0)
    features = network(torch.rand(2, 3, 64, 64))
    assert features.shape[:2] == (2, network.channels)
    assert PixelProjection(network.channels, embedding_dim=8)(features, grid=16).shape == (2, 8, 16, 16)
    assert GlobalProjection(network.channels, hidden_dim=16, embedding_dim=8)(features).shape == (2, 8)
    assert LinearHead(network.channels, 3)(features, size=(64, 64)).shape == (2, 3, 64, 64)


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
    build_network(Network(), seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_encoder_is_named_with_a_remedy() -> None:
    with pytest.raises(NetworkError, match=r"no encoder 'tu-resnot18' for decoder 'fpn'.*from timm begin"):
        build_network(Network(encoder="tu-resnot18"), seed=0)
