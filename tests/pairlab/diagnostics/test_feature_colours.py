import numpy as np
import pytest

from pairlab.diagnostics.feature_colours import DEVIATION, colour_features


def features(seed: int, *, images: int = 2, channels: int = 8, cells: int = 12) -> np.ndarray:
    """Smooth features of unequal spread, the same over nearby cells."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(images, channels, 4, 4)) * (0.5 ** np.arange(channels))[None, :, None, None]
    return (np.kron(coarse, np.ones((cells // 4, cells // 4))) + 0.3).astype(np.float32)


def centred(pixels: np.ndarray) -> np.ndarray:
    return (pixels.reshape(-1, 3) / 255 - 0.5) / DEVIATION


def test_the_directions_are_the_principal_ones_of_unit_features() -> None:
    given = features(0)
    found = colour_features(given)
    cells = given.transpose(0, 2, 3, 1).reshape(-1, 8).astype(np.float64)
    cells /= np.linalg.norm(cells, axis=1, keepdims=True)
    cells -= cells.mean(axis=0)
    left, singular, _ = np.linalg.svd(cells, full_matrices=False)
    assert found.explained == pytest.approx(singular[:3] ** 2 / (singular**2).sum(), rel=1e-6)
    assert found.pixels.shape == (2, 12, 12, 3)
    scores = left[:, :3] * np.sqrt(len(cells))  # unit spread
    inside = (np.abs(scores) < 2.4).all(axis=1)  # what is drawn without clipping
    assert inside.mean() > 0.9
    shown = centred(found.pixels)[inside]
    for direction in range(3):
        assert np.abs(np.corrcoef(shown[:, direction], scores[inside, direction])[0, 1]) > 0.999
        assert np.abs(shown[:, direction]) == pytest.approx(np.abs(scores[inside, direction]), abs=0.02)


def test_the_longer_tail_is_bright_whatever_the_sign_of_a_direction() -> None:
    scores = centred(colour_features(features(1)).pixels)
    assert ((scores**3).sum(axis=0) > -0.2 * len(scores)).all()


def test_equal_features_keep_their_colours() -> None:
    before = colour_features(features(2)).pixels
    again = colour_features(features(2), before=before).pixels
    assert np.abs(again.astype(int) - before).max() <= 3


def test_a_rotation_of_the_features_changes_no_colour() -> None:
    given = features(3)
    rotation = np.linalg.qr(np.random.default_rng(9).normal(size=(8, 8)))[0]
    turned = np.einsum("ichw,cd->idhw", given, rotation).astype(np.float32)
    before = colour_features(given).pixels
    after = colour_features(turned, before=before).pixels
    assert np.abs(after.astype(int) - before).max() <= 3


def test_colours_are_turned_towards_those_of_the_map_before() -> None:
    before = colour_features(features(4)).pixels
    mirrored = before[..., [2, 0, 1]]  # the same map in other colours
    alone = colour_features(features(4)).pixels
    aligned = colour_features(features(4), before=mirrored).pixels
    assert np.abs(aligned.astype(int) - mirrored).mean() < 3 < np.abs(alone.astype(int) - mirrored).mean()


def test_features_that_are_all_alike_are_grey() -> None:
    noise = np.random.default_rng(5).normal(size=(2, 8, 12, 12)) * 1e-5
    found = colour_features((1 + noise).astype(np.float32))
    assert np.abs(found.pixels.astype(int) - 128).max() <= 3
    assert colour_features(np.zeros((1, 4, 3, 3), dtype=np.float32)).explained == (0.0, 0.0, 0.0)


def test_noise_behind_a_single_direction_stays_pale() -> None:
    rng = np.random.default_rng(6)
    ramp = np.linspace(-1, 1, 144).reshape(1, 1, 12, 12) * np.eye(8)[0][None, :, None, None]
    given = (np.eye(8)[1][None, :, None, None] + 0.3 * ramp + 1e-3 * rng.normal(size=(1, 8, 12, 12))).astype(np.float32)
    spread = colour_features(given).pixels.reshape(-1, 3).std(axis=0)
    assert spread[0] > 40
    assert spread[2] < 10
