import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from pairlab.experiment.protocols import Loss
from pairlab.scenes.scene import IGNORE
from pairlab.segmentation import SegmentationError
from pairlab.segmentation.loss import build_loss, weights_of

CPU = torch.device("cpu")
CLASSES = ("background", "intact", "damaged")
PIXELS = np.array([600, 300, 100], dtype=np.int64)
LOSSES: tuple[Loss, ...] = ("cross_entropy", "focal", "dice", "cross_entropy_dice")


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 8, 8, generator=generator), torch.randint(0, 3, (2, 8, 8), generator=generator)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 3.0]])
def test_unlabelled_pixels_neither_count_nor_move_anything(loss: Loss, weights: list[float] | None) -> None:
    logits, target = batch()
    target[:, :, 5:] = IGNORE
    criterion = build_loss(loss, weights, device=CPU)
    logits.requires_grad_()
    value = criterion(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[..., :5].abs().sum() > 0
    assert gradient[..., 5:].abs().max() == 0
    moved = logits.detach().clone()
    moved[..., 5:] += 10
    assert criterion(moved, target) == pytest.approx(float(value.detach()), abs=1e-6)
    assert criterion(logits.detach()[..., :5], target[..., :5]) == pytest.approx(float(value.detach()), abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_right_answer_costs_less_than_a_wrong_one(loss: Loss) -> None:
    _, target = batch()
    right = 20.0 * functional.one_hot(target, 3).permute(0, 3, 1, 2).float() - 10  # sure of each class and its absence
    criterion = build_loss(loss, None, device=CPU)
    assert float(criterion(right, target)) < 0.01 < float(criterion(right.roll(1, dims=1), target))


def test_cross_entropy_weighs_pixels_as_torch_does() -> None:
    logits, target = batch()
    target[0, 0] = IGNORE
    weighed = build_loss("cross_entropy", [0.5, 1.0, 3.0], device=CPU)(logits, target)
    expected = functional.cross_entropy(logits, target, weight=torch.tensor([0.5, 1.0, 3.0]), ignore_index=IGNORE)
    assert float(weighed) == pytest.approx(float(expected))
    both = build_loss("cross_entropy_dice", [0.5, 1.0, 3.0], device=CPU)(logits, target)
    assert float(both) == pytest.approx(
        float(expected) + float(build_loss("dice", [0.5, 1.0, 3.0], device=CPU)(logits, target))
    )


def test_focal_loss_looks_away_from_what_is_right_already() -> None:
    """γ = 2: a pixel right with probability 0.9 counts (1 − 0.9)² as much as in cross-entropy."""
    sure = math.log(9.0)  # sigmoid 0.9
    logits = torch.tensor([sure, -sure]).reshape(1, 2, 1, 1)
    focal = build_loss("focal", None, device=CPU)(logits, torch.zeros(1, 1, 1, dtype=torch.long))
    assert float(focal) == pytest.approx(0.1**2 * -math.log(0.9), rel=1e-4)


def test_dice_loss_is_one_less_the_f1_of_soft_predictions() -> None:
    target = torch.tensor([[[0, 0], [1, 1]]])
    logits = torch.zeros(1, 2, 2, 2)  # probability 0.5 everywhere: intersection 1, both sums 2 + 2
    assert float(build_loss("dice", None, device=CPU)(logits, target)) == pytest.approx(1 - 2 * 1 / (2 + 2))


def test_balanced_weights_make_classes_count_alike() -> None:
    weights = weights_of("balanced", CLASSES, PIXELS)
    assert weights is not None
    assert (np.array(weights) * PIXELS).tolist() == pytest.approx([1000 / 3] * 3)
    assert weights_of("balanced", CLASSES, np.array([600, 400, 0])) == pytest.approx([1000 / 1200, 1000 / 800, 1.0])
    assert weights_of("equal", CLASSES, PIXELS) is None


def test_weights_by_name_leave_the_others_at_one_and_must_name_classes() -> None:
    assert weights_of({"damaged": 4.0}, CLASSES, PIXELS) == [1.0, 1.0, 4.0]
    with pytest.raises(
        SegmentationError,
        match=r"'damage', which is no class; did you mean 'damaged'\? The classes are: background, in",
    ):
        weights_of({"damage": 4.0}, CLASSES, PIXELS)
