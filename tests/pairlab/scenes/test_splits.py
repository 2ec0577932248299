import pytest

from pairlab.experiment.protocols import Splits
from pairlab.scenes.scene import Scene, SceneError
from pairlab.scenes.splits import assign_splits


def scenes(*, validation: int = 1) -> list[Scene]:
    counts = [("flood", "train", 10), ("fire", "train", 6), ("quake", "test", 4), ("quake", "validation", validation)]
    return [
        Scene(f"{event}-{split}-{number}", split, event, ("pre", "post"), height=64, width=64)
        for event, split, count in counts
        for number in range(count)
    ]


def test_the_datasets_own_splits_are_the_default() -> None:
    assert assign_splits(scenes(), Splits()) == {scene.name: scene.split for scene in scenes()}


def test_events_are_held_out_whole_and_others_validate() -> None:
    assigned = assign_splits(scenes(), Splits(test_events=("fire",), validation_share=0.2))
    assert {name for name, split in assigned.items() if split == "test"} == {f"fire-train-{n}" for n in range(6)}
    assert sum(split == "validation" for split in assigned.values()) == 3
    assert set(assigned) == {scene.name for scene in scenes()}


def test_the_draw_depends_on_the_seed_alone() -> None:
    splits = Splits(test_events=("fire",), seed=1)
    assert assign_splits(scenes(), splits) == assign_splits(list(reversed(scenes())), splits)
    assert assign_splits(scenes(), splits) != assign_splits(scenes(), Splits(test_events=("fire",), seed=2))


def test_an_unknown_event_names_the_known_ones() -> None:
    with pytest.raises(SceneError, match="no event 'storm'; the dataset has: fire, flood, quake"):
        assign_splits(scenes(), Splits(test_events=("storm",)))


def test_an_empty_split_is_refused_with_the_counts() -> None:
    with pytest.raises(SceneError, match=r"no scenes for validation \(16 train, 0 validation, 4 test\)"):
        assign_splits(scenes(validation=0), Splits())
