import math

import pytest
import torch

from pairlab.engine.divergence import DivergedError, check_all_finite, check_finite, gradient_norm
from tests.pairlab.training_jobs import pretrain_job


def test_the_norm_is_that_of_all_gradients_together() -> None:
    gradients = [torch.tensor([[3.0, 4.0]]), torch.tensor([12.0])]
    assert float(gradient_norm(gradients)) == pytest.approx(13.0)
    for bad in (math.nan, math.inf):
        assert not math.isfinite(float(gradient_norm([*gradients, torch.tensor([1.0, bad])])))


@pytest.mark.parametrize(
    ("method", "remedy"),
    [
        ({"name": "simclr"}, r"raise method.temperature \(0.2\)"),
        ({"name": "moco"}, r"raise method.temperature \(0.2\)"),
        ({"name": "vicreg"}, r"invariance_weight 25, variance_weight 25, covariance_weight 1"),
        ({"name": "barlow_twins"}, r"lower method.redundancy_weight \(0.02\)"),
    ],
    ids=["simclr", "moco", "vicreg", "barlow_twins"],
)
def test_advice_is_of_the_method(method: dict[str, object], remedy: str) -> None:
    with pytest.raises(DivergedError, match=rf"the loss became nan at step 7: lower pretraining.*{remedy}"):
        check_finite("loss", math.nan, pretrain_job(method=method), step=7)


def test_a_method_without_a_temperature_is_told_of_rate_and_warm_up_alone() -> None:
    training = {"steps": 1000, "warmup_steps": 5, "batch_size": 64, "learning_rate": 0.5, "scale_learning_rate": True}
    with pytest.raises(DivergedError) as told:
        check_finite("gradient", math.inf, pretrain_job(method={"name": "byol"}, pretraining=training), step=1)
    assert str(told.value).startswith(
        "the gradient became inf at step 1: lower pretraining.learning_rate (0.5), which scale_learning_rate multiplies"
        " by 0.25, or raise pretraining.warmup_steps (5); the last checkpoint is intact"
    )


def test_a_weight_that_is_not_finite_is_found_among_all_kinds_of_state() -> None:
    state = [torch.ones(3), torch.tensor(5), torch.ones(2, dtype=torch.bfloat16)]
    check_all_finite(state, pretrain_job(), step=3)
    with pytest.raises(DivergedError, match="the weights became nan at step 3"):
        check_all_finite([*state, torch.tensor([0.0, math.inf])], pretrain_job(), step=3)
