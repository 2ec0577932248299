"""What stands where, what changes and what labels tell is as the knobs ask, measured in masks and pixels."""

from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.synthetic_scenes import CROWDED, SyntheticScenes
from pairlab.scenes.scene import Scene
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.scenes.synthetic_scenes import plain_scenes


def object_masks(source: SyntheticSource, scene: Scene, acquisition: str) -> list[np.ndarray]:
    """Returns where each object is: no two touch, so that they are the mask's connected parts."""
    mask = source.mask(scene, acquisition, "building")
    count, parts = cv2.connectedComponents(mask, connectivity=8)
    return [parts == number for number in range(1, count)]


@pytest.mark.parametrize(("size", "objects"), [(64, (1, 1)), (64, (2, 5)), (64, (7, 7)), (128, (10, 20))])
def test_as_many_objects_as_asked_for(size: int, objects: tuple[int, int]) -> None:
    source = plain_scenes(100, size=size, objects=objects)
    counts = [len(object_masks(source, scene, "pre")) for scene in source.scenes[:100]]
    assert max(counts) <= objects[1]
    assert np.mean(counts) == pytest.approx(np.mean(objects), rel=0.05)


@settings(max_examples=25, deadline=None)
@given(size=st.sampled_from([32, 64, 96]), low=st.integers(4, 12), more=st.integers(0, 10), draw=st.integers(0, 99))
def test_the_most_objects_that_the_model_allows_find_a_place(size: int, low: int, more: int, draw: int) -> None:
    sides = (low, low + more)
    most = max(1, int(CROWDED * size**2 / (sum(sides) / 2 + 4) ** 2))
    config = SyntheticDataset(knobs={"size": size, "object_size": sides, "objects": (most, most)}, train=10)
    knobs = config.scenes.model_copy(update={"placement_tries": SyntheticScenes().placement_tries}).model_dump()
    source = SyntheticSource(SyntheticDataset(knobs=knobs, train=10), draw=draw)
    counts = [len(object_masks(source, scene, "pre")) for scene in source.scenes[:10]]
    assert np.mean(counts) >= 0.8 * most - 0.2


def test_objects_are_as_large_as_asked_for() -> None:
    source = plain_scenes(100, size=128, objects=(2, 6), object_size=(12, 30))
    sides = []
    for scene in source.scenes[:100]:
        for each in object_masks(source, scene, "pre"):
            rows, cols = np.nonzero(each)
            if rows.min() > 0 and cols.min() > 0 and rows.max() < 127 and cols.max() < 127:
                sides += cv2.minAreaRect(np.stack([cols, rows], axis=1).astype(np.int32))[1]
    assert min(sides) > 10.5
    assert max(sides) < 31.5
    assert np.mean(sides) == pytest.approx(21, abs=1)


@pytest.mark.parametrize("weights", [(), (8.0, 1.0, 1.0), (1.0, 2.0, 3.0)])
def test_classes_come_as_often_as_weighted(weights: tuple[float, ...]) -> None:
    source = plain_scenes(300, class_weights=weights)
    counts = np.zeros(3)
    for scene in source.scenes[:300]:
        states = source.mask(scene, "pre", "object_states")
        for each in object_masks(source, scene, "pre"):
            counts[(np.bincount(states[each]).argmax() - 1) // 2] += 1
    asked = np.array(weights or (1.0, 1.0, 1.0))
    assert counts / counts.sum() == pytest.approx(asked / asked.sum(), abs=0.04)


@pytest.mark.parametrize("classes", [1, 8])
def test_as_many_classes_as_asked_for(classes: int) -> None:
    source = plain_scenes(60, object_classes=classes)
    seen = np.unique([source.mask(scene, "pre", "object_states") for scene in source.scenes])
    assert seen.tolist() == [0, *range(1, 2 * classes + 1, 2)]
    assert len(source.classes("object_states")) == 2 * classes + 1


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.5])
def test_textures_are_as_coarse_as_asked_for(scale: float) -> None:
    source = plain_scenes(12, size=128, objects=(1, 1), object_size=(80, 80), object_classes=1, texture_scale=scale)
    periods = []
    for scene in source.scenes[:12]:
        where = source.mask(scene, "pre", "building") == 1
        brightness = source.image(scene, "pre").mean(axis=2)
        brightness = np.where(where, brightness - brightness[where].mean(), 0.0)
        spectrum = np.abs(np.fft.rfft2(brightness, s=(1024, 1024)))
        down, across = np.unravel_index(spectrum.argmax(), spectrum.shape)
        periods.append(1024 / np.hypot(min(down, 1024 - down), across))
    assert np.mean(periods) == pytest.approx(5.0 * scale, rel=0.05)


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("separability", [0.0, 0.1, 0.25, 1.0])
def test_damage_is_as_visible_as_asked_for(separability: float, scale: float) -> None:
    """A stripe of period p displaced by a normal of deviation d keeps exp(-½(2πd/p)²) of its correlation."""
    knobs = {"object_classes": 1, "change_rate": 1.0, "objects": (1, 1), "object_size": (30, 30)}
    source = plain_scenes(60, separability=separability, texture_scale=scale, **knobs)
    kept = []
    for scene in source.scenes[:60]:
        where = source.change(scene).changed
        intact, damaged = (source.image(scene, "post", state=state)[where].mean(axis=1) for state in ("pre", "post"))
        kept.append(np.corrcoef(intact, damaged)[0, 1])
    expected = np.exp(-0.5 * (2 * np.pi * 3.0 * separability / 5.0) ** 2)
    assert np.mean(kept) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("where", ["objects", "regions"])
def test_scenes_change_as_often_as_asked_for(rate: float, where: str) -> None:
    source = plain_scenes(400, change_rate=rate, change_where=where)
    changed = [source.change(scene).changed.any() for scene in source.scenes[:400]]
    assert np.mean(changed) == pytest.approx(rate, abs=0.06 if 0 < rate < 1 else 0)


@pytest.mark.parametrize("extent", [(0.1, 0.1), (0.4, 0.6), (1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("where", ["objects", "regions"])
def test_as_much_changes_as_asked_for(extent: tuple[float, float], where: str) -> None:
    knobs = {"size": 128, "objects": (20, 28), "change_rate": 1.0}
    source = plain_scenes(60, change_extent=extent, change_where=where, **knobs)
    shares = []
    for scene in source.scenes[:60]:
        maps = source.change(scene)
        # What is rendered: pixels that damage makes other than they are without it.
        differs = (source.image(scene, "post") != source.image(scene, "post", state="pre")).any(axis=2)
        assert not differs[~maps.changed].any()
        assert differs[maps.changed].mean() > 0.9
        shares.append(maps.changed.sum() / maps.objects.sum())
    assert min(shares) >= extent[0] - 0.06
    assert max(shares) <= extent[1] + 0.06
    assert np.mean(shares) == pytest.approx(np.mean(extent), abs=0.05 if extent[0] < extent[1] else 0.03)
    if extent == (0.0, 1.0):
        assert np.histogram(shares, bins=3, range=(0, 1))[0].min() > 10


def test_regions_change_whole() -> None:
    """Some circle holds every object that changed and none that did not."""
    source = plain_scenes(40, size=128, objects=(16, 28), change_where="regions")
    grid = np.stack(np.meshgrid(np.arange(128), np.arange(128), indexing="ij"), axis=-1)
    told_apart = 0
    for scene in source.scenes[:40]:
        changed = source.change(scene).changed
        centres: dict[bool, list[np.ndarray]] = {True: [], False: []}
        for each in object_masks(source, scene, "post"):
            centres[bool(changed[each].all())].append(np.argwhere(each).mean(axis=0))
            assert changed[each].all() or not changed[each].any()
        if centres[True] and centres[False]:
            farthest, nearest = (
                reduce([np.linalg.norm(grid - centre, axis=-1) for centre in centres[state]])
                for state, reduce in ((True, np.maximum.reduce), (False, np.minimum.reduce))
            )
            assert (farthest <= nearest + 2).any()  # objects cut by the frame have their middle elsewhere
            told_apart += 1
    assert told_apart > 20


def test_objects_changing_one_by_one_are_scattered() -> None:
    def spread(where: str) -> float:
        source = plain_scenes(40, size=128, objects=(16, 28), change_where=where, change_rate=1.0)
        distances = []
        for scene in source.scenes[:40]:
            changed = source.change(scene).changed
            middles = [
                np.argwhere(each).mean(axis=0) for each in object_masks(source, scene, "post") if changed[each].all()
            ]
            distances += [np.linalg.norm(one - other) for one, other in combinations(middles, 2)]
        return float(np.mean(distances))

    assert spread("objects") > 1.15 * spread("regions")


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_labels_are_wrong_as_often_as_asked_for_and_in_training_alone(noise: float) -> None:
    config = SyntheticDataset(knobs={"label_noise": noise}, train=200, validation=20, test=20)
    noisy, true = SyntheticSource(config), SyntheticSource(SyntheticDataset(train=200, validation=20, test=20))
    for scene in true.scenes[200:]:
        for acquisition in scene.acquisitions:
            told = noisy.mask(scene, acquisition, "intact_damaged")
            assert np.array_equal(told, true.mask(scene, acquisition, "intact_damaged"))
    flipped = []
    for scene in true.scenes[:200]:
        assert np.array_equal(noisy.change(scene).changed, true.change(scene).changed)
        assert np.array_equal(noisy.image(scene, "post"), true.image(scene, "post"))
        assert np.array_equal(noisy.mask(scene, "post", "building"), true.mask(scene, "post", "building"))
        for acquisition in scene.acquisitions:
            told, is_so = (source.mask(scene, acquisition, "intact_damaged") for source in (noisy, true))
            wrong = [told[each] != is_so[each] for each in object_masks(true, scene, acquisition)]
            assert all(each.all() or not each.any() for each in wrong)
            flipped += [bool(each.all()) for each in wrong]
        facts = noisy.label_facts(scene)
        kinds = facts.objects.kind
        assert [outline.kind == "damaged" for outline in noisy.outlines(scene, "post")] == (kinds == 1).tolist()
        assert facts.attributes["flipped_labels"] == sum(flipped[-2 * len(kinds) :])
    assert np.mean(flipped) == pytest.approx(noise, abs=0.035)


def test_the_change_lies_where_the_last_acquisition_shows_it() -> None:
    source = plain_scenes(40, parallax_px=3.0, misregistration_px=3.0, change_rate=1.0)
    moved = 0
    for scene in source.scenes[:40]:
        maps = source.change(scene)
        assert np.array_equal(maps.changed, source.mask(scene, "post", "intact_damaged") == 2)
        either = [source.mask(scene, acquisition, "building") == 1 for acquisition in scene.acquisitions]
        assert np.array_equal(maps.objects, either[0] | either[1])
        moved += (maps.objects & ~maps.changed & ~either[1]).any()
    assert moved > 20
