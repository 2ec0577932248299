"""Group norm as decoders have it, without PyTorch's slow way through channels-last memory on a CPU."""

import torch
from torch import Tensor, nn


class QuickGroupNorm(nn.GroupNorm):
    """Group norm with the parameters, keys and values of torch's.

    On a CPU, torch 2.14 normalises bfloat16 that lies channels-last 15 to 70 times more slowly than what lies channel
    by channel, forward and backward: 12 % of a step of resnet18 with FPN. Two copies cost a tenth of that.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Returns features (images, channels, height, width) normalised within each group of channels of an image."""
        last = features.device.type == "cpu" and features.is_contiguous(memory_format=torch.channels_last)
        if not last or features.is_contiguous():
            return super().forward(features)
        return super().forward(features.contiguous()).contiguous(memory_format=torch.channels_last)


def with_quick_group_norms(module: nn.Module) -> nn.Module:
    """Returns the module with every group norm in it exchanged for a quick one that holds the same parameters."""
    for name, child in module.named_children():
        if type(child) is nn.GroupNorm:
            quick = QuickGroupNorm(child.num_groups, child.num_channels, eps=child.eps, affine=child.affine)
            quick.weight, quick.bias = child.weight, child.bias
            setattr(module, name, quick)
        else:
            with_quick_group_norms(child)
    return module
