import pytest
import torch
from torch import Tensor, nn

from pairlab.experiment.network import Network
from pairlab.group_norm import QuickGroupNorm, with_quick_group_norms
from pairlab.networks import build_network


def by_hand(features: Tensor, groups: int, weight: Tensor, bias: Tensor) -> Tensor:
    """Wu and He, 2018, eq. 1 and 2, one group at a time, in float64."""
    result = torch.empty_like(features, dtype=torch.float64)
    width = features.shape[1] // groups
    for image in range(len(features)):
        for group in range(groups):
            channels = slice(group * width, (group + 1) * width)
            values = features[image, channels].double()
            deviation = ((values - values.mean()) ** 2).mean().add(1e-5).sqrt()
            result[image, channels] = (values - values.mean()) / deviation
    return result * weight.double()[:, None, None] + bias.double()[:, None, None]


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_it_normalises_as_the_equation_says_and_keeps_the_memory_format(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    norm = QuickGroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    features = (3 * torch.randn(2, 8, 5, 6) + 1).contiguous(memory_format=memory_format)
    normalised = norm(features)
    assert normalised.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(normalised.double(), by_hand(features, 4, norm.weight, norm.bias), rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_torchs_own() -> None:
    torch.manual_seed(0)
    plain, quick = nn.GroupNorm(4, 8).double(), QuickGroupNorm(4, 8).double()
    features = torch.randn(2, 8, 5, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    towards = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    gradients = []
    for norm in (plain, quick):
        given = features.clone(memory_format=torch.preserve_format).requires_grad_()
        gradients.append(torch.autograd.grad((norm(given) * towards).sum(), [given, norm.weight, norm.bias]))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_norms_of_a_module_are_exchanged_wherever_they_lie_and_keep_their_parameters() -> None:
    inner = nn.Sequential(nn.GroupNorm(2, 8, eps=0.1), nn.ReLU())
    module = nn.Sequential(nn.Conv2d(3, 8, 1), inner)
    before = dict(module.named_parameters())
    assert with_quick_group_norms(module) is module
    norm = inner[0]
    assert isinstance(norm, QuickGroupNorm)
    assert (norm.num_groups, norm.eps) == (2, 0.1)
    assert {name: id(each) for name, each in module.named_parameters()} == {
        name: id(each) for name, each in before.items()
    }


def test_the_networks_have_quick_norms_alone() -> None:
    network = build_network(Network(decoder="fpn"), seed=0)
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    assert norms
    assert all(isinstance(norm, QuickGroupNorm) for norm in norms)
