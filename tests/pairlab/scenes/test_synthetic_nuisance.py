"""Each nuisance is in the pixels as strongly as its knob asks, and alone.

Every knob has random numbers of its own, so scenes rendered without a nuisance are the very same scenes: the tests
measure it by comparing the two.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pairlab.scenes.offset import estimate_offset
from pairlab.scenes.scene import Scene
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.scenes.synthetic_scenes import STILL, plain_scenes

SCENES = 150
Images = tuple[Scene, str, NDArray[np.float64], NDArray[np.float64]]


def with_and_without(source: SyntheticSource) -> Iterator[Images]:
    """Yields scene, acquisition and its image with the nuisance and without, in [0, 255]."""
    plain = plain_scenes(SCENES, **STILL)
    for scene in source.scenes[:SCENES]:
        for acquisition in scene.acquisitions:
            seen, pure = source.image(scene, acquisition), plain.image(scene, acquisition)
            yield scene, acquisition, seen.astype(np.float64), pure.astype(np.float64)


def usable(*images: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns where no band is clipped or so dark that its ratio says nothing."""
    stacked = np.concatenate(images, axis=2)
    return np.asarray((stacked > 25).all(axis=2) & (stacked < 254).all(axis=2))


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_illumination(strength: float) -> None:
    source = plain_scenes(SCENES, illumination=strength, **STILL)
    logarithms, slopes = [], []
    for scene, acquisition, seen, pure in with_and_without(source):
        where = usable(seen, pure)
        y, x = np.nonzero(where)
        ratio = (seen[where] / pure[where]).mean(axis=1)
        plane = np.stack([np.ones(len(y)), y / 63 - 0.5, x / 63 - 0.5], axis=1)
        (light, down, across), *_ = np.linalg.lstsq(plane, ratio, rcond=None)
        assert light == pytest.approx(source.metadata(scene, acquisition)["light"], rel=0.02)
        logarithms.append(np.log(light))
        slopes += [down / light, across / light]
    assert np.std(logarithms) == pytest.approx(0.35 * strength, rel=0.12)
    assert np.std(slopes) == pytest.approx(0.35 * strength, rel=0.12)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_colour(strength: float) -> None:
    source = plain_scenes(SCENES, colour=strength, **STILL)
    casts = []
    for _, _, seen, pure in with_and_without(source):
        where = usable(seen, pure)
        casts.append(np.log(np.median(seen[where] / pure[where], axis=0)))
    assert np.std(casts) == pytest.approx(0.25 * strength, rel=0.12)
    assert np.mean(casts) == pytest.approx(0.0, abs=0.25 * strength / 6)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_haze(strength: float) -> None:
    source = plain_scenes(SCENES, haze=strength, **STILL)
    veils = []
    for scene, acquisition, seen, pure in with_and_without(source):
        where = usable(seen, pure)
        slope = np.polyfit(pure[where].ravel(), seen[where].ravel(), 1)[0]
        assert 1 - slope == pytest.approx(source.metadata(scene, acquisition)["haze"], abs=0.02)
        veils.append(1 - slope)
    assert np.mean(veils) == pytest.approx(0.3 * strength, rel=0.1)
    assert np.max(veils) == pytest.approx(0.6 * strength, rel=0.05)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_season_is_in_the_ground_alone(strength: float) -> None:
    source = plain_scenes(SCENES, season=strength, **STILL)
    greener, drier = [], []
    for scene, acquisition, seen, pure in with_and_without(source):
        ground = source.mask(scene, acquisition, "building") == 0
        assert np.array_equal(seen[~ground], pure[~ground])
        where = ground & usable(seen, pure)
        difference = (seen - pure)[where] / 255
        # Vegetation moves the bands by (-0.12, 0.16, -0.04), which sum to nothing; drought moves all by 0.12.
        greener.append((difference @ [-0.12, 0.16, -0.04] / (0.12**2 + 0.16**2 + 0.04**2)).mean())
        drier.append((difference.mean(axis=1) / 0.12).mean())
    # Plants cover about half of the ground, and that is what each of the two is spread over.
    assert np.std(greener) == pytest.approx(0.6 * strength * 0.5, rel=0.15)
    assert np.std(drier) == pytest.approx(0.6 * strength * 0.5, rel=0.15)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_blur(strength: float) -> None:
    source = plain_scenes(SCENES, blur=strength, **STILL)
    candidates = np.arange(0.25, 2.3, 0.05)
    drawn = []
    for scene, acquisition, seen, pure in list(with_and_without(source))[:60]:
        errors = [np.abs(cv2.GaussianBlur(pure, (0, 0), float(each)) - seen).mean() for each in candidates]
        told = source.metadata(scene, acquisition)["blur_px"]
        if told > 0.3:
            assert candidates[np.argmin(errors)] == pytest.approx(told, abs=0.06)
        drawn.append(told)
    assert np.mean(drawn) == pytest.approx(strength, rel=0.2)
    assert np.max(drawn) <= 2 * strength


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_sensor_noise(strength: float) -> None:
    source = plain_scenes(SCENES, sensor_noise=strength, **STILL)
    residuals = [(seen - pure)[(pure > 80) & (pure < 175)] for _, _, seen, pure in list(with_and_without(source))[:60]]
    assert np.concatenate(residuals).std() == pytest.approx(0.06 * 255 * strength, rel=0.03)
    assert np.concatenate(residuals).mean() == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("deviation", [1.0, 3.0])
def test_parallax_moves_objects_and_leaves_the_ground(deviation: float) -> None:
    source = plain_scenes(SCENES, parallax_px=deviation, **STILL)
    offsets = []
    for scene in source.scenes[:SCENES]:
        before, after = source.image(scene, "pre"), source.image(scene, "post")
        here, there = (source.mask(scene, acquisition, "building") == 1 for acquisition in scene.acquisitions)
        assert np.array_equal(before[~(here | there)], after[~(here | there)])
        down, across = (int(each) for each in source.metadata(scene, "post")["parallax_px"].split(","))
        rows, cols = np.nonzero(here)
        inside = (rows + down >= 0) & (rows + down < 64) & (cols + across >= 0) & (cols + across < 64)
        rows, cols = rows[inside], cols[inside]
        assert there[rows + down, cols + across].all()
        assert np.array_equal(before[rows, cols], after[rows + down, cols + across])
        offsets += [down, across]
    assert np.std(offsets) == pytest.approx(np.hypot(deviation, 12**-0.5), rel=0.15)
    assert np.mean(offsets) == pytest.approx(0, abs=deviation / 4)


@pytest.mark.parametrize("deviation", [1.0, 4.0])
def test_misregistration_moves_everything(deviation: float) -> None:
    source = plain_scenes(SCENES, misregistration_px=deviation, **STILL)
    told, measured = [], []
    for scene in source.scenes[:SCENES]:
        before, after = source.image(scene, "pre"), source.image(scene, "post")
        down, across = (int(each) for each in source.metadata(scene, "post")["misregistration_px"].split(","))
        one, other = cut(64, down), cut(64, across)
        assert np.array_equal(before[one[0], other[0]], after[one[1], other[1]])
        here, there = (source.mask(scene, acquisition, "object_states") for acquisition in scene.acquisitions)
        assert np.array_equal(here[one[0], other[0]], there[one[1], other[1]])
        told += [down, across]
        measured += list(estimate_offset(before, after)[:2])
    assert np.std(told) == pytest.approx(np.hypot(deviation, 12**-0.5), rel=0.15)
    assert np.median(np.abs(np.subtract(told, measured))) < 0.25


def cut(side: int, step: int) -> tuple[slice, slice]:
    """Returns the rows of an image that another, shifted by `step`, shows too: in the first and in the other."""
    return slice(max(-step, 0), side - max(step, 0)), slice(max(step, 0), side + min(step, 0))


def test_without_nuisance_the_acquisitions_are_one_image() -> None:
    source = plain_scenes(10, **STILL)
    for scene in source.scenes[:10]:
        assert np.array_equal(source.image(scene, "pre"), source.image(scene, "post"))


def test_columns_tell_how_much_the_acquisitions_differ() -> None:
    everything = {"illumination": 0.5, "colour": 0.5, "haze": 0.5, "season": 0.5, "blur": 0.5}
    source = plain_scenes(20, parallax_px=2.0, misregistration_px=2.0, label_noise=0.1, **everything)
    names = [
        *("light_difference", "colour_difference", "haze_difference", "season_difference", "blur_difference_px"),
        *("parallax_px", "misregistration_px", "flipped_labels"),
    ]
    columns = [source.label_facts(scene).attributes for scene in source.scenes]
    assert all(list(each) == names for each in columns)
    scene = source.scenes[3]
    first, last = (source.metadata(scene, acquisition) for acquisition in scene.acquisitions)
    assert columns[3]["haze_difference"] == pytest.approx(abs(first["haze"] - last["haze"]), abs=2e-3)
    assert columns[3]["light_difference"] == pytest.approx(abs(np.log2(last["light"] / first["light"])), abs=1e-2)
    assert not plain_scenes(2).label_facts(source.scenes[0]).attributes
