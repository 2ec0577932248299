"""Optimizers and learning rates of a pretraining run, as the methods' papers have them."""

import math
from collections.abc import Collection

import torch
from timm.optim.lars import Lars
from torch import nn

from pairlab.experiment.training import Pretraining

RATED_FOR = 256
"""Images that the papers give their learning rates for."""
MILESTONES = (0.6, 0.8)
"""Shares of the steps behind which the rate is a tenth and a hundredth: epochs 120 and 160 of 200 in MoCo and SeCo."""
TRUST = 1e-3
"""η of LARS, in the paper (section 5) and in the code of SimCLR, BYOL, VICReg and Barlow Twins."""


def build_optimizer(
    module: nn.Module, training: Pretraining, *, constant: Collection[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Returns the optimizer of all parameters of a module that require a gradient.

    adamw and sgd decay every weight: decoupled from the gradient (Loshchilov and Hutter, 2019, algorithm 2), and as
    part of it, as in MoCo, DenseCL and SimSiam. lars (You et al., 2017, arXiv 1708.03888, algorithm 1, as timm has it)
    multiplies the rate of each layer by

        η ‖w‖ / (‖g‖ + β ‖w‖)

    of its weights w, their gradient g and weight decay β; the rate multiplies what the momentum gathers, as in torch's
    SGD. Biases and the parameters of norms, which are those of one dimension, are neither decayed nor adapted by it
    (SimCLR, appendix B.6; BYOL, section 3.3).

    Args:
        module: what is trained; its parameters keep their order in each group.
        training: optimizer, momentum and weight decay.
        constant: parameters that keep their rate after the warm-up, whatever the schedule.
    """
    kept = {id(parameter) for parameter in constant}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            plain = training.optimizer == "lars" and parameter.ndim <= 1
            groups.setdefault((id(parameter) in kept, plain), []).append(parameter)
    described = [
        {
            "params": parameters,
            "constant": constant,
            "weight_decay": 0.0 if plain else training.weight_decay,
            **({"always_adapt": not plain} if training.optimizer == "lars" else {}),
        }
        for (constant, plain), parameters in groups.items()
    ]
    rate = learning_rate(0, training)
    match training.optimizer:
        case "adamw":
            on_cpu = all(each.device.type == "cpu" for parameters in groups.values() for each in parameters)
            return torch.optim.AdamW(described, lr=rate, fused=on_cpu or None)  # one pass over memory, not seven
        case "sgd":
            return torch.optim.SGD(described, lr=rate, momentum=training.momentum)
        case "lars":
            lars: torch.optim.Optimizer = Lars(described, lr=rate, momentum=training.momentum, trust_coeff=TRUST)
            return lars


def set_learning_rate(optimizer: torch.optim.Optimizer, step: int, training: Pretraining) -> None:
    """Gives every group of an optimizer of `build_optimizer` the rate of a step (from 0)."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, training, constant=group["constant"])


def learning_rate(step: int, training: Pretraining, *, constant: bool = False) -> float:
    """Returns the rate of a step (from 0): linear warm-up, then the schedule, of which `constant` leaves no more.

    cosine is half a cosine to zero at the last step (Loshchilov and Hutter, 2017, arXiv 1608.03983, eq. 5, without
    restarts); milestones divides by ten at each of MILESTONES.
    """
    rate = base_rate(training)
    if step < training.warmup_steps:
        return rate * (step + 1) / training.warmup_steps
    if constant or training.schedule == "constant":
        return rate
    if training.schedule == "milestones":
        return rate * 0.1 ** sum(step >= share * training.steps for share in MILESTONES)
    progress = (step - training.warmup_steps) / max(1, training.steps - training.warmup_steps)
    return rate * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def base_rate(training: Pretraining) -> float:
    """Returns the rate at the end of the warm-up."""
    scale = training.batch_size / RATED_FOR if training.scale_learning_rate else 1.0
    return training.learning_rate * scale
