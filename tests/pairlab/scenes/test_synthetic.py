import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.scenes.measuring import build_index
from pairlab.scenes.scene import SceneError, SceneSource
from pairlab.scenes.synthetic import SyntheticSource
from tests.pairlab.scenes.synthetic_scenes import plain_scenes

CONFIG = SyntheticDataset(train=40, validation=4, test=6)

share = st.floats(0, 1)
bounds = st.tuples(share, share).map(lambda pair: tuple(sorted(pair)))
any_knobs = st.fixed_dictionaries(
    {},
    optional={
        "size": st.sampled_from([64, 96]),
        "object_classes": st.integers(1, 8),
        "texture_scale": st.floats(0.75, 4),
        "separability": share,
        "illumination": share,
        "colour": share,
        "haze": share,
        "season": share,
        "blur": share,
        "sensor_noise": share,
        "parallax_px": st.floats(0, 4),
        "misregistration_px": st.floats(0, 4),
        "change_rate": share,
        "change_extent": bounds,
        "change_where": st.sampled_from(["objects", "regions"]),
        "label_noise": share,
    },
)


def test_it_is_what_every_dataset_is() -> None:
    source: SceneSource = SyntheticSource(CONFIG)
    table = build_index(source).table
    assert table.object_classes == ("intact", "damaged")
    assert sorted(table.columns) == ["colour_difference", "haze_difference", "light_difference"]
    assert table.objects.sum(axis=1).min() >= 1
    damaged = table.objects[:, 1] > 0
    assert np.array_equal(damaged, table.changed_pixels > 0)


def test_scenes_are_the_same_in_another_process_and_order() -> None:
    source = SyntheticSource(CONFIG, draw=3)
    scene = source.scenes[7]
    source.image(source.scenes[1], "post")
    here = sha256(source.image(scene, "post").tobytes()).hexdigest()
    code = (
        "from hashlib import sha256\n"
        "from pairlab.experiment.datasets import SyntheticDataset\n"
        "from pairlab.scenes.synthetic import SyntheticSource\n"
        "source = SyntheticSource(SyntheticDataset(train=40, validation=4, test=6), draw=3)\n"
        "print(sha256(source.image(source.scenes[7], 'post').tobytes()).hexdigest())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert here == elsewhere


def test_scenes_are_the_same_on_an_older_processor(tmp_path: Path) -> None:
    """NumPy and OpenCV take other code for every generation of processors; here they are told to take the oldest."""
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from tests.pairlab.scenes.test_synthetic import rendered\n"
        "np.savez(sys.argv[1], **rendered())"
    )
    numpy = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    opencv = [name.lstrip("*") for name in cv2.getCPUFeaturesLine().split() if name.startswith("*")]
    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(numpy),
        "OPENCV_CPU_DISABLE": ",".join(opencv),
    }
    path = tmp_path / "older.npz"
    subprocess.run([sys.executable, "-c", code, path], check=True, env=environment, stderr=subprocess.DEVNULL)
    here, older = rendered(), np.load(path)
    assert np.array_equal(here["labels"], older["labels"])
    off = np.abs(here["images"].astype(int) - older["images"])
    assert off.max() <= 1
    assert (off > 0).mean() < 1e-4


def rendered() -> dict[str, np.ndarray]:
    """Returns labels and images of scenes that have everything in them."""
    knobs = {
        "season": 1.0,
        "blur": 0.5,
        "parallax_px": 3.0,
        "misregistration_px": 2.0,
        "class_weights": (1.0, 0.3, 2.0),
    }
    source = SyntheticSource(SyntheticDataset(knobs={**knobs, "label_noise": 0.3, "change_where": "regions"}))
    shown = [(scene, acquisition) for scene in source.scenes[:40] for acquisition in scene.acquisitions]
    labels = [source.mask(*each, "object_states") for each in shown]
    labels += [source.change(scene).changed.view(np.uint8) for scene in source.scenes[:40]]
    return {"labels": np.stack(labels), "images": np.stack([source.image(*each) for each in shown])}


def test_draws_and_scenes_differ() -> None:
    one, two = SyntheticSource(CONFIG, draw=0), SyntheticSource(CONFIG, draw=1)
    assert not np.array_equal(one.image(one.scenes[0], "pre"), two.image(two.scenes[0], "pre"))
    assert not np.array_equal(one.image(one.scenes[0], "pre"), one.image(one.scenes[1], "pre"))
    train, test = one.scenes[0], next(scene for scene in one.scenes if scene.split == "test")
    assert not np.array_equal(one.image(train, "pre"), one.image(test, "pre"))


@settings(max_examples=60, deadline=None)
@given(any_knobs, st.integers(0, 2**40))
def test_rerendering_changes_the_changed_objects_alone(knobs: dict[str, object], draw: int) -> None:
    """Same scene and nuisance without the change, whatever the knobs: blur alone carries it a few pixels farther."""
    source = SyntheticSource(SyntheticDataset(knobs=knobs, train=3, validation=1, test=1), draw=draw)
    separability = source.knobs.separability
    reach = np.ones((17, 17), np.uint8)
    for scene in source.scenes[:3]:
        after, without = source.image(scene, "post"), source.image(scene, "post", state="pre")
        differs = (after != without).any(axis=2)
        changed = source.change(scene).changed
        near = cv2.dilate(changed.astype(np.uint8), reach) > 0 if source.knobs.blur else changed
        assert not differs[~near].any()
        if separability == 0 or not changed.any():
            assert not differs.any()
        elif separability > 0.2 and source.knobs.haze < 0.9 and source.knobs.blur < 0.3:
            assert differs[changed].mean() > 0.5
        # And the other way round: the first acquisition's light and place, with the damage.
        assert np.array_equal(source.image(scene, "pre", state="pre"), source.image(scene, "pre"))


@settings(max_examples=40, deadline=None)
@given(any_knobs, st.integers(0, 2**40))
def test_every_label_says_the_same(knobs: dict[str, object], draw: int) -> None:
    source = SyntheticSource(SyntheticDataset(knobs=knobs, train=2, validation=1, test=1), draw=draw)
    size = source.knobs.size
    for scene in source.scenes:
        maps = source.change(scene)
        facts = source.label_facts(scene)
        assert maps.valid.all()
        assert not maps.unknown.any()
        for acquisition in scene.acquisitions:
            states = source.mask(scene, acquisition, "intact_damaged")
            kinds = source.mask(scene, acquisition, "object_states")
            assert np.array_equal(source.mask(scene, acquisition, "building") == 1, states > 0)
            assert np.array_equal((kinds > 0) & (kinds % 2 == 0), states == 2)
            assert kinds.max() < len(source.classes("object_states"))
            drawn = np.zeros((size, size), np.uint8)
            for outline in source.outlines(scene, acquisition):
                cv2.fillConvexPoly(drawn, outline.rings[0], 1 + source.object_classes.index(outline.kind))
            assert (drawn != states).mean() < 0.01  # the frame's edge, see _moved_owner
            json.dumps(source.metadata(scene, acquisition), allow_nan=False)
            assert not source.no_data(source.image(scene, acquisition)).any()
        if scene.split != "train":
            assert not (source.mask(scene, "pre", "intact_damaged") == 2).any()
            assert np.array_equal(source.mask(scene, "post", "intact_damaged") == 2, maps.changed)
        assert len(facts.objects.kind) == len(source.outlines(scene, "post"))


@pytest.mark.parametrize(
    ("knobs", "seen"),
    [
        ({"object_classes": 7}, "places"),
        ({"class_weights": (1.0, 2.0, 3.0)}, "places"),
        ({"texture_scale": 2.0}, "places"),
        ({"separability": 0.3}, "first image"),
        ({"change_rate": 0.2}, "first image"),
        ({"change_extent": (0.0, 0.1)}, "first image"),
        ({"change_where": "regions"}, "first image"),
        ({"label_noise": 0.5}, "first image"),
        ({"parallax_px": 2.0}, "first image"),
        ({"misregistration_px": 2.0}, "first image"),
    ],
)
def test_a_knob_that_is_turned_leaves_the_rest_as_it_was(knobs: dict[str, object], seen: str) -> None:
    one, other = SyntheticSource(CONFIG), SyntheticSource(SyntheticDataset(knobs=knobs, train=40))
    for scene in one.scenes[:20]:
        assert np.array_equal(one.mask(scene, "pre", "building"), other.mask(scene, "pre", "building"))
        if seen == "first image":
            assert np.array_equal(one.image(scene, "pre"), other.image(scene, "pre"))


@settings(max_examples=30, deadline=None)
@given(any_knobs, st.sampled_from(["illumination", "colour", "haze", "season", "blur", "sensor_noise"]), share)
def test_a_nuisance_moves_no_label(knobs: dict[str, object], name: str, strength: float) -> None:
    one = SyntheticSource(SyntheticDataset(knobs={**knobs, name: 0.0}, train=2))
    other = SyntheticSource(SyntheticDataset(knobs={**knobs, name: strength}, train=2))
    for scene in one.scenes[:2]:
        for acquisition in scene.acquisitions:
            mask = one.mask(scene, acquisition, "object_states")
            assert np.array_equal(mask, other.mask(scene, acquisition, "object_states"))
        assert np.array_equal(one.change(scene).changed, other.change(scene).changed)


def test_nuisance_tells_the_acquisitions_apart_without_any_change() -> None:
    source = SyntheticSource(CONFIG)
    scene = source.scenes[0]
    before, after = source.image(scene, "pre"), source.image(scene, "post", state="pre")
    assert np.abs(before.astype(int) - after).mean() > 5


@pytest.mark.parametrize("separability", [0.25, 1.0])
def test_states_share_colour_and_contrast(separability: float) -> None:
    source = plain_scenes(150, separability=separability)
    means: list[float] = []
    deviations: list[float] = []
    for scene in source.scenes[:150]:
        changed = source.change(scene).changed
        if changed.sum() >= 60:
            intact = source.image(scene, "post", state="pre")[changed].astype(float)
            damaged = source.image(scene, "post")[changed].astype(float)
            means.append(damaged.mean() - intact.mean())
            deviations.append(damaged.std() / intact.std())
    assert abs(np.mean(means)) < 1.5
    assert np.mean(deviations) == pytest.approx(1.0, abs=0.05)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    source = SyntheticSource(CONFIG)
    with pytest.raises(SceneError, match="no acquisition 'during'; synthetic scenes have: pre, post"):
        source.image(source.scenes[0], "during")
    with pytest.raises(SceneError, match="no label scheme 'damage_levels'"):
        source.classes("damage_levels")


def test_layouts_are_kept_within_bounds() -> None:
    source = SyntheticSource(SyntheticDataset(preset="regions", knobs={"size": 512}, train=400))
    for scene in source.scenes[:400]:
        source.change(scene)
    assert source.kept_bytes <= 64 << 20
