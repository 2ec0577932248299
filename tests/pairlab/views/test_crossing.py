import numpy as np
import torch

from pairlab.experiment.training import Augmentation, Pretraining
from pairlab.views.batches import PairBatches
from pairlab.views.crossing import crossed_views
from pairlab.views.pixels import crop
from tests.pairlab.views.known_geometry import ACQUISITION, SCENE, CoordinateScenes, X, Y, pair_list

SOURCE = CoordinateScenes()
PAIRS = 6


def crossed(shift_px: float) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Returns the four quarters of a step as images of coordinates, the displacements, and the positives' factors."""
    pairs = pair_list(SOURCE.scenes, size=32, count=PAIRS, shift_px=shift_px)
    training = Pretraining(batch_size=PAIRS, augmentation=Augmentation(crop_scale=(0.3, 0.5)))
    batch = PairBatches(SOURCE, pairs, training, seed=0, grid=8, points=0).batch(0)
    chips, views, factors = crossed_views(batch.chips, batch.views, batch.factors, shift=batch.shift)
    assert len(chips) == len(views) == len(factors.hue) == 4 * PAIRS
    images = crop(torch.from_numpy(chips).permute(0, 3, 1, 2), views)
    return images.reshape(4, PAIRS, *images.shape[1:]), batch.shift, factors.brightness.reshape(4, PAIRS)


def test_each_image_is_seen_by_both_views() -> None:
    (anchors, positives, other_date, other_light), _, brightness = crossed(0.0)
    middle = np.s_[:, :, 8:24, 8:24]
    # Without a displacement, the crossed views show the same ground as the view they borrow, at the other date.
    for one, other in ((anchors, other_date), (positives, other_light)):
        torch.testing.assert_close(one[middle][:, [X, Y]], other[middle][:, [X, Y]])
        assert torch.equal(one[:, ACQUISITION].round() + other[:, ACQUISITION].round(), torch.ones(PAIRS, 32, 32))
    for one, other in ((anchors, other_light), (positives, other_date)):
        assert torch.equal(one[:, ACQUISITION, 16, 16].round(), other[:, ACQUISITION, 16, 16].round())
        assert torch.equal(one[:, SCENE, 16, 16].round(), other[:, SCENE, 16, 16].round())
    assert (brightness[0] == brightness[2]).all()
    assert (brightness[1] == brightness[3]).all()
    assert not (brightness[0] == brightness[1]).any()


def test_a_displacement_stays_with_the_positives_image() -> None:
    (anchors, positives, other_date, other_light), shift, _ = crossed(2.0)
    down, right = torch.from_numpy(shift.astype(np.float32)).unbind(1)
    centre = np.s_[:, :, 16, 16]
    for true, displaced in ((anchors, other_date), (other_light, positives)):
        inside = ((true[centre][:, [X, Y]] % 32 - 16).abs() < 8).all(dim=1)  # beyond the chip its border is repeated
        assert inside.any()
        torch.testing.assert_close((true - displaced)[centre][inside, X], right[inside], atol=1e-3, rtol=0)
        torch.testing.assert_close((true - displaced)[centre][inside, Y], down[inside], atol=1e-3, rtol=0)


def test_the_first_half_is_as_given() -> None:
    batch = PairBatches(
        SOURCE,
        pair_list(SOURCE.scenes, size=32, count=PAIRS, shift_px=3.0),
        Pretraining(batch_size=PAIRS),
        seed=0,
        grid=8,
        points=0,
    ).batch(0)
    chips, views, factors = crossed_views(batch.chips, batch.views, batch.factors, shift=batch.shift)
    assert np.array_equal(chips[: 2 * PAIRS], batch.chips)
    assert np.array_equal(views[: 2 * PAIRS], batch.views)
    assert np.array_equal(factors.blur[: 2 * PAIRS], batch.factors.blur)
    again = crossed_views(
        np.concatenate([chips[2 * PAIRS : 3 * PAIRS], chips[3 * PAIRS :]]),
        views[2 * PAIRS :],
        batch.factors,
        shift=-batch.shift,
    )
    np.testing.assert_allclose(again[1][2 * PAIRS :], views[: 2 * PAIRS], atol=1e-12)
