import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pairlab.experiment.evaluation import Evaluation
from pairlab.scenes.scene import Pixels, Scene
from pairlab.segmentation import inference
from pairlab.segmentation.inference import Prediction, predict, predict_by_windows, window_starts

SMALL = Evaluation(window=64, overlap=0.25)


def scene(name: str, height: int, width: int) -> Scene:
    return Scene(name=name, split="test", event="e", acquisitions=("pre", "post"), height=height, width=width)


def picture(height: int, width: int, seed: int = 0) -> Pixels:
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(1, height, width, 3), dtype=np.uint8)


def read(which: Scene) -> Pixels:
    return picture(which.height, which.width, seed=sum(map(ord, which.name)))


def pixelwise(images: Pixels) -> Tensor:
    """Returns logits that each pixel has by itself, whatever lies around it."""
    values = torch.from_numpy(images[:, -1].astype(np.float32)).permute(0, 3, 1, 2) / 64
    return torch.cat([values, values.sum(dim=1, keepdim=True) / 3], dim=1)


def convolutions(seed: int = 0) -> Callable[[Pixels], Tensor]:
    """Returns a small network of random weights that sees 10 pixels in each direction."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Sequential(nn.Conv2d(3, 8, 11, padding=5), nn.ReLU(), nn.Conv2d(8, 3, 11, padding=5))

    def logits(images: Pixels) -> Tensor:
        with torch.no_grad():
            found: Tensor = layers(torch.from_numpy(images[:, -1].astype(np.float32)).permute(0, 3, 1, 2) / 255)
        return 20 * found

    return logits


def same(one: Prediction, other: Prediction) -> bool:
    return np.array_equal(one.classes, other.classes) and np.array_equal(one.probabilities, other.probabilities)


@given(side=st.integers(64, 3000), overlap=st.floats(0, 0.9), window=st.sampled_from([32, 64, 512]))
def test_windows_cover_a_side_evenly_and_end_with_it(side: int, overlap: float, window: int) -> None:
    window = min(window, side)
    starts = window_starts(side, window, overlap)
    assert (starts[0], starts[-1]) == (0, side - window)
    steps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(1 <= step <= max(1, math.floor(window * (1 - overlap))) for step in steps)
    assert not steps or max(steps) - min(steps) <= 1


def test_a_tile_of_xbd_has_nine_windows_by_default() -> None:
    assert window_starts(1024, Evaluation().window_size, Evaluation().overlap) == [0, 256, 512]
    assert window_starts(512, 512, 0.25) == [0]


@pytest.mark.parametrize(("height", "width"), [(200, 150), (64, 200), (100, 64), (40, 300), (65, 65)])
def test_what_needs_no_surroundings_is_the_same_by_windows_and_whole(height: int, width: int) -> None:
    image = picture(height, width)
    found = predict_by_windows(image, pixelwise, SMALL)
    whole = pixelwise(image[None])[0].softmax(dim=0).numpy()
    assert found.probabilities.shape == (4, height, width)
    np.testing.assert_allclose(found.probabilities, whole, atol=1e-5)
    assert (found.classes == whole.argmax(axis=0)).mean() > 0.999
    np.testing.assert_allclose(found.probabilities.sum(axis=0), 1, atol=1e-5)


def test_windows_see_less_than_the_scene_and_hide_it_in_their_middle() -> None:
    """Edges of windows, where padding is seen in place of the surroundings, weigh little where windows overlap."""
    image, logits = picture(256, 256), convolutions()
    whole = logits(image[None])[0].softmax(dim=0).numpy()

    def mean_error(overlap: float) -> float:
        found = predict_by_windows(image, logits, Evaluation(window=64, overlap=overlap))
        return float(np.abs(found.probabilities - whole).mean())

    assert mean_error(0.5) < 0.5 * mean_error(0.25) < 0.5 * mean_error(0.0)


def test_a_prediction_does_not_depend_on_how_much_fits_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [scene("a", 150, 130), scene("b", 150, 130), scene("c", 96, 200), scene("d", 150, 130)]
    logits = convolutions()
    together = list(predict(scenes, read, logits, SMALL))
    monkeypatch.setattr(inference, "PIXELS_PER_BATCH", 1)
    for each, expected in zip(scenes, together, strict=True):
        (alone,) = predict([each], read, logits, SMALL)
        assert same(alone, expected)


def test_scenes_that_fit_in_the_window_are_predicted_whole_and_together() -> None:
    asked = []

    def logits(images: Pixels) -> Tensor:
        asked.append(images.shape)
        return pixelwise(images)

    scenes = [scene("a", 64, 64), scene("b", 64, 64), scene("c", 50, 60), scene("d", 65, 64)]
    found = list(predict(scenes, read, logits, SMALL))
    assert asked == [(2, 1, 64, 64, 3), (1, 1, 64, 64, 3), (1, 1, 64, 64, 3), (1, 1, 64, 64, 3)]
    assert [each.classes.shape for each in found] == [(64, 64), (64, 64), (50, 60), (65, 64)]
    expected = pixelwise(np.stack([read(each) for each in scenes[:2]])).argmax(dim=1).numpy()
    assert np.array_equal(np.stack([each.classes for each in found[:2]]), expected)


def test_windows_come_one_at_a_time_whatever_the_scene_measures() -> None:
    asked = []

    def logits(images: Pixels) -> Tensor:
        asked.append(images.shape)
        return pixelwise(images)

    predict_by_windows(picture(1024, 1024), logits, Evaluation())
    assert asked == [(1, 1, 512, 512, 3)] * 9
