import math

import pytest
import torch
from torch import Tensor, nn

from pairlab.engine.optimisation import build_optimizer, learning_rate, set_learning_rate
from pairlab.experiment.methods import SimSiam
from pairlab.experiment.training import Pretraining
from pairlab.objectives.simsiam import SimSiamObjective


def rates(**fields: object) -> list[float]:
    training = Pretraining.model_validate({"steps": 100, "warmup_steps": 10, "learning_rate": 1.0, **fields})
    return [learning_rate(step, training) for step in range(training.steps)]


def layers() -> nn.Sequential:
    torch.manual_seed(3)
    made = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv1d(1, 2, kernel_size=3))
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made


def draw_gradients(module: nn.Module, step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return [parameter.grad.clone() for parameter in module.parameters() if parameter.grad is not None]


def test_the_learning_rate_warms_up_and_decays_to_zero() -> None:
    cosine = rates()
    assert cosine[0] == pytest.approx(0.1)
    assert cosine[9] == pytest.approx(1.0)
    assert cosine[10] == pytest.approx(1.0)
    assert cosine[55] == pytest.approx(0.5)
    assert cosine[10:] == sorted(cosine[10:], reverse=True)
    assert cosine[-1] < 0.001


def test_milestones_divide_by_ten_at_three_and_four_fifths_of_the_run() -> None:
    stepped = rates(schedule="milestones")
    assert stepped[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert stepped[10:] == pytest.approx([1.0] * 50 + [0.1] * 20 + [0.01] * 20)


def test_a_constant_rate_is_one_after_the_warm_up() -> None:
    assert rates(schedule="constant") == pytest.approx([0.1 * (step + 1) for step in range(10)] + [1.0] * 90)


def test_a_rate_for_256_images_is_scaled_to_the_batch() -> None:
    assert rates(batch_size=64, scale_learning_rate=True) == pytest.approx([rate / 4 for rate in rates()])


def test_the_predictor_of_simsiam_keeps_its_rate_whatever_the_schedule() -> None:
    objective = SimSiamObjective(SimSiam(embedding_dim=8, predictor_dim=4), channels=6)
    training = Pretraining(steps=100, warmup_steps=10, learning_rate=1.0, optimizer="sgd")
    optimizer = build_optimizer(objective, training, constant=objective.constant_rate())
    predictor = {id(each) for each in objective.predictor.parameters()}
    projector = {id(each) for each in objective.projector.parameters()}

    def rates_of(wanted: set[int]) -> list[float]:
        return [group["lr"] for group in optimizer.param_groups if wanted & {id(each) for each in group["params"]}]

    set_learning_rate(optimizer, 0, training)
    assert rates_of(predictor) == rates_of(projector) == [pytest.approx(0.1)]
    set_learning_rate(optimizer, 55, training)
    assert rates_of(predictor) == [1.0]
    assert rates_of(projector) == [pytest.approx(0.5)]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_lars_is_the_papers(weight_decay: float) -> None:
    """Against You et al., 2017, algorithm 1, number by number in float64; the rate multiplies what momentum gathers."""
    training = Pretraining(
        optimizer="lars", momentum=0.9, weight_decay=weight_decay, schedule="constant", warmup_steps=0
    )
    module = layers().double()
    optimizer = build_optimizer(module, training)
    weights = [parameter.detach().clone().flatten().tolist() for parameter in module.parameters()]
    velocities = [[0.0] * len(each) for each in weights]
    for step in range(3):
        gradients = draw_gradients(module, step)
        optimizer.step()
        for index, (gradient, parameter) in enumerate(zip(gradients, module.parameters(), strict=True)):
            w, g = weights[index], gradient.flatten().tolist()
            ratio, decay = 1.0, 0.0
            if parameter.ndim > 1:  # neither a bias nor of a norm
                length, slope = (math.sqrt(sum(number**2 for number in numbers)) for numbers in (w, g))
                ratio, decay = 0.001 * length / (slope + weight_decay * length), weight_decay
            for place in range(len(w)):
                velocities[index][place] = 0.9 * velocities[index][place] + ratio * (g[place] + decay * w[place])
                w[place] -= training.learning_rate * velocities[index][place]
            torch.testing.assert_close(parameter.detach().flatten(), torch.tensor(w, dtype=torch.float64))


def test_sgd_gathers_momentum_and_decays_every_weight() -> None:
    training = Pretraining(optimizer="sgd", momentum=0.5, weight_decay=0.1, schedule="constant", warmup_steps=0)
    module = layers().double()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer = build_optimizer(module, training)
    velocities = [torch.zeros_like(each) for each in before]
    for step in range(3):
        gradients = draw_gradients(module, step)
        optimizer.step()
        velocities = [0.5 * v + g + 0.1 * w for v, g, w in zip(velocities, gradients, before, strict=True)]
        before = [w - training.learning_rate * v for w, v in zip(before, velocities, strict=True)]
    for expected, parameter in zip(before, module.parameters(), strict=True):
        torch.testing.assert_close(parameter.detach(), expected)


def test_adamw_takes_a_step_of_the_rate_at_first_and_decays_every_weight() -> None:
    training = Pretraining(optimizer="adamw", weight_decay=0.1, learning_rate=0.01, schedule="constant", warmup_steps=0)
    module = layers().double()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer = build_optimizer(module, training)
    gradients = draw_gradients(module, 0)
    optimizer.step()
    for w, g, parameter in zip(before, gradients, module.parameters(), strict=True):
        # The first step's corrected moments are g and g², whose ratio is the sign.
        torch.testing.assert_close(
            parameter.detach(), w * (1 - 0.01 * 0.1) - 0.01 * g / (g.abs() + 1e-8), rtol=1e-6, atol=0
        )


def test_parameters_that_need_no_gradient_are_left_alone() -> None:
    module = layers()
    module[0].requires_grad_(False)
    optimizer = build_optimizer(module, Pretraining(optimizer="lars", weight_decay=1.0))
    held = {id(each) for group in optimizer.param_groups for each in group["params"]}
    assert held == {id(each) for each in (*module[1].parameters(), *module[2].parameters())}
