"""Which scenes train, validate and test; no scene is in two splits."""

from collections.abc import Sequence

import numpy as np

from pairlab.experiment.protocols import Splits
from pairlab.scenes.scene import Scene, SceneError

SPLITS = ("train", "validation", "test")


def assign_splits(scenes: Sequence[Scene], splits: Splits) -> dict[str, str]:
    """Returns scene name → train, validation or test.

    Without `test_events` these are the dataset's own splits. With them, scenes of those events test, and of the other
    scenes, whatever their own split, a share drawn by `splits.seed` validates.

    Raises:
        SceneError: an event the dataset does not have, or a split without scenes.
    """
    if not splits.test_events:
        assigned = {scene.name: scene.split for scene in scenes}
        _check_filled(
            assigned, remedy="name splits.test_events to hold whole events out, for example one of: ", scenes=scenes
        )
        return assigned
    events = {scene.event for scene in scenes}
    for event in splits.test_events:
        if event not in events:
            raise SceneError(f"splits.test_events: no event {event!r}; the dataset has: {', '.join(sorted(events))}")
    others = sorted(scene.name for scene in scenes if scene.event not in splits.test_events)
    order = np.random.default_rng([splits.seed, len(others)]).permutation(len(others))
    held = {others[position] for position in order[: round(splits.validation_share * len(others))]}
    assigned = {
        scene.name: "test" if scene.event in splits.test_events else "validation" if scene.name in held else "train"
        for scene in scenes
    }
    _check_filled(assigned, remedy="choose other events or another validation_share; events: ", scenes=scenes)
    return assigned


def _check_filled(assigned: dict[str, str], *, remedy: str, scenes: Sequence[Scene]) -> None:
    counts = {split: sum(1 for value in assigned.values() if value == split) for split in SPLITS}
    empty = [split for split, count in counts.items() if count == 0]
    if empty:
        found = ", ".join(f"{count} {split}" for split, count in counts.items())
        events = ", ".join(sorted({scene.event for scene in scenes}))
        raise SceneError(f"no scenes for {' and '.join(empty)} ({found}): {remedy}{events}")
