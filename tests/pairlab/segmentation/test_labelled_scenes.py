import numpy as np
import pytest

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.protocols import Labels
from pairlab.scenes.index import ChipIndex
from pairlab.scenes.measuring import build_index
from pairlab.scenes.synthetic import SyntheticSource
from pairlab.segmentation import SegmentationError
from pairlab.segmentation.labelled_chips import labelled_scenes
from pairlab.segmentation.task import LabelledScenes, Task
from tests.pairlab.training_jobs import segment_job

COMMON, RARE = 0, 2


def world() -> np.ndarray:
    """200 scenes: all show background, half a common class, five a rare one."""
    rng = np.random.default_rng(7)
    present = np.zeros((200, 3), dtype=bool)
    present[:, COMMON] = True
    present[rng.choice(200, 100, replace=False), 1] = True
    present[rng.choice(200, 5, replace=False), RARE] = True
    return present


def test_a_tenth_of_the_scenes_contains_a_hundredth() -> None:
    whole = labelled_scenes(world(), 200, seed=3)
    assert sorted(whole) == list(range(200))
    for count in (1, 2, 20, 77):
        assert labelled_scenes(world(), count, seed=3) == whole[:count]
    assert whole != labelled_scenes(world(), 200, seed=4)


def test_every_class_comes_as_early_as_it_can_and_then_at_its_own_rate() -> None:
    shares = []
    for seed in range(40):
        shown = world()[labelled_scenes(world(), 200, seed=seed)]
        assert shown[0, RARE]
        assert shown[:2].any(axis=0).all()
        shares.append([shown[:count].sum(axis=0) / world().sum(axis=0) for count in (20, 60, 100)])
    for count, of_seeds in zip((20, 60, 100), np.array(shares).swapaxes(0, 1), strict=True):
        assert (of_seeds >= count / 200 - 0.01).all()
        assert (of_seeds.mean(axis=0) <= count / 200 + 1 / 5).all()  # one scene of the rarest class


def test_scenes_of_equal_classes_are_taken_in_the_order_of_the_seed() -> None:
    orders = {tuple(labelled_scenes(np.ones((6, 2), dtype=bool), 6, seed=seed)) for seed in range(10)}
    assert len(orders) > 5


def chips() -> tuple[SyntheticSource, ChipIndex]:
    source = SyntheticSource(SyntheticDataset(train=40, validation=2, test=2))
    return source, build_index(source).chips(32)


def budget(**labels: object) -> Task:
    source, index = chips()
    return Task.prepare(segment_job(labels=labels, chip_size=32), source, index)


def test_a_share_labels_whole_scenes_and_is_a_part_of_a_larger_one() -> None:
    few, more, three = budget(train_share=0.05), budget(train_share=0.25), budget(train_scenes=2)
    per_scene = len(few.targets) // 2
    assert (few.label_scenes, more.label_scenes) == (2, 10)
    assert per_scene * 10 == len(more.targets)
    assert np.array_equal(few.targets, more.targets[: len(few.targets)])
    assert np.array_equal(few.images, three.images)


def test_the_least_share_is_one_scene_and_shares_round_up() -> None:
    assert budget(train_share=0.001).label_scenes == 1
    assert budget(train_share=0.06).label_scenes == 3


def test_more_scenes_than_there_are_is_refused_with_both_numbers() -> None:
    with pytest.raises(SegmentationError, match="asks for 41 labelled scenes; the train split has 40 with labels"):
        budget(train_scenes=41)


def test_the_image_before_is_read_with_the_labels_before() -> None:
    source, index = chips()
    before = Task.prepare(segment_job(labels={"scheme": "building", "input": "pre"}, chip_size=32), source, index)
    scene = before.splits["test"][0]
    assert np.array_equal(before.image(scene), source.image(scene, "pre")[None])
    assert np.array_equal(before.target(scene), source.mask(scene, "pre", "building"))


@pytest.mark.parametrize("seen", ["difference", "concatenation"])
def test_both_dates_are_seen_and_the_later_one_is_labelled(seen: str) -> None:
    source, _ = chips()
    labels = Labels.model_validate({"input": seen})
    scenes = LabelledScenes(source, labels, ("pre", "post"))
    scene = source.scenes[0]
    assert [
        np.array_equal(found, source.image(scene, date))
        for found, date in zip(scenes.image(scene), ("pre", "post"), strict=True)
    ] == [True, True]
    assert np.array_equal(scenes.target(scene), source.mask(scene, "post", "intact_damaged"))
