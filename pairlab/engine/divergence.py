"""A run whose numbers are no longer finite: when that is so, and what its owner can do."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from pairlab.experiment.jobs import PretrainJob
from pairlab.experiment.methods import BarlowTwins, Method, VICReg, VICRegL

SMALLEST_SCALE = 2.0**-13
"""A loss scale below which float16 gradients overflow for reasons of their own; it begins at 2**16."""


class DivergedError(ValueError):
    """A loss, a gradient or a weight is no longer a finite number; the message names the step and what to change."""


def gradient_norm(gradients: Iterable[Tensor]) -> Tensor:
    """Returns the Euclidean norm of all gradients together, a scalar on their device; not finite where one is not."""
    return torch.nn.utils.get_total_norm(list(gradients))


def check_finite(what: str, value: float, config: PretrainJob, *, step: int) -> None:
    """Raises DivergedError where a figure of a step (from 1) is not finite."""
    if not math.isfinite(value):
        raise DivergedError(
            f"the {what} became {value} at step {step}: {advice(config)}; the last checkpoint is intact, and holds "
            "finite weights"
        )


def check_all_finite(state: Iterable[Tensor], config: PretrainJob, *, step: int) -> None:
    """Raises DivergedError where a weight that a checkpoint would hold is not finite."""
    if not all(bool(each.isfinite().all()) for each in state if each.is_floating_point()):
        check_finite("weights", math.nan, config, step=step)


def advice(config: PretrainJob) -> str:
    """Returns what a run that diverged can do about it, by its method and precision."""
    training, method = config.pretraining, config.method
    remedies = [f"lower pretraining.learning_rate ({training.learning_rate:g})"]
    if training.scale_learning_rate:
        remedies[0] += f", which scale_learning_rate multiplies by {training.batch_size / 256:g}"
    if training.warmup_steps < training.steps / 20:
        remedies.append(f"raise pretraining.warmup_steps ({training.warmup_steps})")
    if remedy := _of_the_loss(method):
        remedies.append(remedy)
    if training.precision == "float16":
        remedies.append("take pretraining.precision float32")
    return ", or ".join(remedies)


def _of_the_loss(method: Method) -> str | None:
    match method:
        case VICReg() | VICRegL():
            return (
                f"lower the method's weights (invariance_weight {method.invariance_weight:g}, variance_weight "
                f"{method.variance_weight:g}, covariance_weight {method.covariance_weight:g})"
            )
        case BarlowTwins():
            return f"lower method.redundancy_weight ({method.redundancy_weight:g})"
    temperature = getattr(method, "temperature", None)
    return None if temperature is None else f"raise method.temperature ({temperature:g})"
