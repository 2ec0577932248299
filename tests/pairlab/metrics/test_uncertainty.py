import numpy as np
import pytest
import torch

from pairlab.metrics import entropy_share


@pytest.mark.parametrize("classes", [2, 5, 9])
def test_it_is_the_entropy_over_the_largest_one(classes: int) -> None:
    scores = torch.randn(classes, 20, 30, generator=torch.Generator().manual_seed(0))
    probabilities = scores.softmax(dim=0)
    entropy = torch.special.entr(probabilities).sum(dim=0) / np.log(classes)
    np.testing.assert_allclose(entropy_share(probabilities.numpy()), entropy.numpy(), atol=1e-5)


def test_certainty_and_an_even_split_are_the_bounds() -> None:
    certain = np.zeros((5, 1, 1), np.float32)
    certain[2] = 1
    assert entropy_share(certain).tolist() == [[0.0]]
    assert entropy_share(np.full((5, 1, 1), 0.2, np.float32)).item() == pytest.approx(1.0)
    assert entropy_share(np.ones((1, 2, 2), np.float32)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
