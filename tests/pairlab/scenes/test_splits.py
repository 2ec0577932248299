import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pairlab.experiment.protocols import Splits
from pairlab.scenes.scene import Scene, SceneError
from pairlab.scenes.splits import assign_splits

Place = tuple[float, float]


def scene(name: str, event: str, split: str = "train", *, location: Place | None = None) -> Scene:
    return Scene(name, split, event, ("pre", "post"), height=64, width=64, location=location)


def scenes(*, validation: int = 1) -> list[Scene]:
    counts = [("flood", "train", 10), ("fire", "train", 6), ("quake", "test", 4), ("quake", "validation", validation)]
    return [
        scene(f"{event}-{split}-{number}", event, split) for event, split, count in counts for number in range(count)
    ]


def town(
    side: int, *, event: str = "flood", tile: float = 500.0, corner: Place = (-9_527_400.0, 3_357_876.0)
) -> list[Scene]:
    """Returns side × side tiles that adjoin."""
    return [
        scene(f"{event}-{row:03d}-{column:03d}", event, location=(corner[0] + column * tile, corner[1] - row * tile))
        for row in range(side)
        for column in range(side)
    ]


def shares(assigned: dict[str, str], names: Sequence[str]) -> dict[str, float]:
    counts = Counter(assigned[name] for name in names)
    return {split: counts[split] / len(names) for split in ("train", "validation", "test")}


def test_the_datasets_own_splits_are_the_default() -> None:
    assert assign_splits(scenes(), Splits()) == {scene.name: scene.split for scene in scenes()}


def test_events_are_held_out_whole_and_others_validate() -> None:
    for splits in (
        Splits(test_events=("fire",), validation_share=0.2),
        Splits(by="events", test_events=("fire",), validation_share=0.2),
    ):
        assigned = assign_splits(scenes(), splits)
        assert {name for name, split in assigned.items() if split == "test"} == {f"fire-train-{n}" for n in range(6)}
        assert sum(split == "validation" for split in assigned.values()) == 3
        assert set(assigned) == {scene.name for scene in scenes()}


def test_random_splits_take_their_shares_of_every_event() -> None:
    many = [
        scene(f"{event}-{number}", event)
        for event, count in (("a", 100), ("b", 40), ("c", 10))
        for number in range(count)
    ]
    assigned = assign_splits(many, Splits(by="random", test_share=0.2, validation_share=0.1))
    for event, (train, validation, test) in {"a": (70, 10, 20), "b": (28, 4, 8), "c": (7, 1, 2)}.items():
        counts = Counter(split for name, split in assigned.items() if name.startswith(event))
        assert counts == {"train": train, "validation": validation, "test": test}


ANY = st.builds(
    Splits,
    by=st.sampled_from(["random", "blocks"]),
    test_share=st.floats(0.05, 0.5),
    validation_share=st.floats(0.05, 0.4),
    block_metres=st.sampled_from([500.0, 1200.0, 2000.0]),
    seed=st.integers(0, 2**32 - 1),
) | st.builds(
    Splits,
    by=st.just("events"),
    test_events=st.sampled_from([("a",), ("b",), ("a", "c")]),
    validation_share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
)


@st.composite
def datasets(draw: st.DrawFn) -> list[Scene]:
    found = []
    for event in "abcd":
        metres = st.floats(0, 8000)
        place = st.none() | st.tuples(metres, metres) if event != "d" else st.tuples(metres, metres)
        for number, location in enumerate(draw(st.lists(place, min_size=4, max_size=25))):
            found.append(
                scene(f"{event}_{number:08d}", event, draw(st.sampled_from(["train", "test"])), location=location)
            )
    return found


@settings(deadline=None, max_examples=150)
@given(datasets(), ANY, st.randoms())
def test_every_scene_is_in_exactly_one_split_whatever_the_order(
    dataset: list[Scene], splits: Splits, random: Random
) -> None:
    try:
        assigned = assign_splits(dataset, splits)
    except SceneError:  # so few blocks that a split is empty
        assume(False)
    assert set(assigned) == {each.name for each in dataset}
    assert set(assigned.values()) == {"train", "validation", "test"}
    shuffled = list(dataset)
    random.shuffle(shuffled)
    assert assign_splits(shuffled, splits) == assigned


@settings(deadline=None, max_examples=60)
@given(
    side=st.integers(6, 24),
    seed=st.integers(0, 10_000),
    test_share=st.floats(0.1, 0.4),
    validation_share=st.floats(0.1, 0.4),
    block_metres=st.sampled_from([700.0, 1000.0, 1500.0]),
)
def test_blocks_stay_whole_and_meet_their_shares(
    side: int, seed: int, test_share: float, validation_share: float, block_metres: float
) -> None:
    tiles = [*town(side), *town(side, event="quake", corner=(1e6, 2e6))]
    splits = Splits(
        by="blocks", seed=seed, test_share=test_share, validation_share=validation_share, block_metres=block_metres
    )
    assigned = assign_splits(tiles, splits)
    blocks: dict[tuple[float, float], list[Scene]] = {}
    for tile in tiles:
        x, y = tile.location or (np.nan, np.nan)
        blocks.setdefault((x // block_metres, y // block_metres), []).append(tile)
    for members in blocks.values():
        assert len({assigned[tile.name] for tile in members}) == 1
    for event in ("flood", "quake"):
        names = [tile.name for tile in tiles if tile.event == event]
        largest = max(len(members) for members in blocks.values() if members[0].event == event)
        realised = shares(assigned, names)
        assert abs(realised["test"] - test_share) * len(names) <= largest / 2 + 1e-6
        assert abs(realised["test"] + realised["validation"] - test_share - validation_share) * len(names) <= (
            largest / 2 + 1e-6
        )


def test_blocks_leave_fewer_neighbours_in_other_splits() -> None:
    tiles = town(40)

    def apart(splits: Splits) -> float:
        assigned = assign_splits(tiles, splits)
        sides = [(f"flood-{r:03d}-{c:03d}", f"flood-{r:03d}-{c + 1:03d}") for r in range(40) for c in range(39)]
        return sum(assigned[one] != assigned[other] for one, other in sides) / len(sides)

    assert apart(Splits(by="random")) > 0.5
    assert apart(Splits(by="blocks", block_metres=4000.0)) < 0.1


def test_ground_that_two_events_show_is_never_in_two_splits() -> None:
    """Two fires of one region: each tile of the second covers the ground of one of the first."""
    both = [*town(12, event="first"), *town(12, event="second")]
    for seed in range(20):
        assigned = assign_splits(both, Splits(by="blocks", seed=seed, block_metres=1000.0))
        for row in range(12):
            for column in range(12):
                assert assigned[f"first-{row:03d}-{column:03d}"] == assigned[f"second-{row:03d}-{column:03d}"]


def test_a_tile_without_a_place_trains() -> None:
    tiles = [*town(8), *(scene(f"flood-empty-{number}", "flood") for number in range(30))]
    assigned = assign_splits(tiles, Splits(by="blocks"))
    assert {assigned[f"flood-empty-{number}"] for number in range(30)} == {"train"}
    without = assign_splits(town(8), Splits(by="blocks"))
    assert {name: split for name, split in assigned.items() if "empty" not in name} == without


def test_blocks_need_places() -> None:
    with pytest.raises(
        SceneError, match=r"splits\.by blocks needs the scenes' places, and this dataset has none: take"
    ):
        assign_splits(scenes(), Splits(by="blocks"))


@pytest.mark.parametrize("splits", [Splits(by="random"), Splits(by="blocks"), Splits(by="events", test_events=("c",))])
def test_the_draw_depends_on_the_seed_alone(splits: Splits) -> None:
    dataset = [*town(9, event="a"), *town(8, event="b", corner=(0, 0)), *town(3, event="c", corner=(-1e6, -1e6))]
    drawn = [assign_splits(dataset, splits.model_copy(update={"seed": seed})) for seed in range(5)]
    assert len({tuple(sorted(each.items())) for each in drawn}) == 5
    assert assign_splits(list(reversed(dataset)), splits) == assign_splits(dataset, splits)


def test_the_scenes_of_one_event_do_not_move_those_of_another() -> None:
    one, both = town(9), [*town(9), *town(7, event="fire", corner=(0, 0))]
    for splits in (Splits(by="random", seed=3), Splits(by="blocks", seed=3)):
        assert assign_splits(one, splits).items() <= assign_splits(both, splits).items()


def test_the_same_scenes_are_drawn_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "draw.py"
    script.write_text(
        "import json\n"
        "from pairlab.experiment.protocols import Splits\n"
        "from pairlab.scenes.splits import assign_splits\n"
        "from tests.pairlab.scenes.test_splits import town\n"
        "print(json.dumps([assign_splits(town(12), Splits(by=by, seed=1)) for by in ('random', 'blocks')]))\n"
    )
    expected = [assign_splits(town(12), Splits(by=by, seed=1)) for by in ("random", "blocks")]
    for hash_seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[3],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        assert json.loads(found.stdout) == expected


def test_known_draws_stay_as_they_are() -> None:
    """Another order would give old experiments other scenes under the same seed."""
    letters = {"train": "r", "validation": "v", "test": "e"}
    for splits, expected in (
        (Splits(by="random", seed=7, test_share=0.3, validation_share=0.3), "evrrrvevevervrerrevr"),
        (
            Splits(by="blocks", seed=7, test_share=0.3, validation_share=0.3, block_metres=1000.0),
            "veevveevvrrrvrrrrree",
        ),
        (Splits(test_events=("quake",), seed=7, validation_share=0.3), "vrrrrrvrvrvrrrvreeee"),
    ):
        assigned = assign_splits([*town(4), *town(2, event="quake", corner=(0, 0))], splits)
        assert "".join(letters[assigned[name]] for name in sorted(assigned)) == expected


def test_an_unknown_event_names_the_known_ones() -> None:
    with pytest.raises(SceneError, match="no event 'storm'; the dataset has: fire, flood, quake"):
        assign_splits(scenes(), Splits(test_events=("storm",)))


def test_an_empty_split_is_refused_with_the_counts() -> None:
    with pytest.raises(SceneError, match=r"no scenes for validation \(16 train, 0 validation, 4 test\): let splits.by"):
        assign_splits(scenes(validation=0), Splits())
    with pytest.raises(SceneError, match=r"no scenes for test \(2 train, 1 validation, 0 test\): choose other shares"):
        assign_splits(scenes()[:3], Splits(by="random", test_share=0.05, validation_share=0.4))
    with pytest.raises(SceneError, match=r"\): choose other shares or a smaller splits\.block_metres; events: flood"):
        assign_splits(town(3), Splits(by="blocks"))
