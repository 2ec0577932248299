import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.scene_filter import Range, SceneFilter
from pairlab.scenes.filtering import matching
from pairlab.scenes.index import SceneTable
from pairlab.scenes.scene import Attribute, SceneError
from tests.pairlab.scenes.invented_table import CLASSES, EVENTS, SENSORS, SPLITS, invented_table

TABLE = invented_table(400, seed=1)


def naive(table: SceneTable, wanted: SceneFilter) -> list[int]:
    """The same rules, scene by scene, in plain Python."""
    return [row for row in range(len(table)) if _passes(table, row, wanted)]


def _passes(table: SceneTable, row: int, wanted: SceneFilter) -> bool:
    scene = table.scenes[row]
    valid, objects, changed = (int(getattr(table, f"{name}_pixels")[row]) for name in ("valid", "object", "changed"))
    shares = {
        "change_share": changed / max(valid, 1),
        "object_change_share": changed / max(objects, 1),
        "no_data_share": 1 - valid / (scene.height * scene.width),
        "offset": math.hypot(*table.offset[row].tolist()) if table.offset_confidence[row] >= 0.1 else math.nan,
    }
    return (
        (not wanted.events or scene.event in wanted.events)
        and (not wanted.splits or scene.split in wanted.splits)
        and all(_within(value, getattr(wanted, name)) for name, value in shares.items())
        and (not wanted.objects or any(table.objects[row, CLASSES.index(kind)] > 0 for kind in wanted.objects))
        and all(_holds(table.columns[name][row], allowed) for name, allowed in wanted.where.items())
        and wanted.name.casefold() in scene.name.casefold()
        and (not wanted.only or scene.name in wanted.only)
        and scene.name not in wanted.without
    )


def _within(value: float, ends: Range | None) -> bool:
    return ends is None or ends[0] <= value <= ends[1]


def _holds(value: Attribute, allowed: tuple[str, ...] | Range) -> bool:
    if isinstance(value, float) and isinstance(allowed[0], float):
        return allowed[0] <= value <= float(allowed[-1])
    return value in allowed


def ranges(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.floats(low, high, allow_nan=False)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


names = st.lists(st.sampled_from([scene.name for scene in TABLE.scenes] + ["nothing"]), max_size=5).map(tuple)
filters = st.builds(
    SceneFilter,
    events=st.lists(st.sampled_from([*EVENTS, "nowhere"]), max_size=2).map(tuple),
    splits=st.lists(st.sampled_from(SPLITS), max_size=2).map(tuple),
    change_share=st.none() | ranges(0, 1),
    object_change_share=st.none() | ranges(0, 1),
    no_data_share=st.none() | ranges(0, 1),
    offset=st.none() | ranges(0, 10),
    objects=st.lists(st.sampled_from(CLASSES), max_size=2).map(tuple),
    where=st.fixed_dictionaries(
        {},
        optional={
            "sensor": st.lists(st.sampled_from([*SENSORS, "Z"]), min_size=1, max_size=2).map(tuple),
            "angle": ranges(0, 40),
            "empty": ranges(-1e300, 1e300),
        },
    ),
    name=st.sampled_from(["", "SCENE-0001", "7", "nothing"]),
    only=names,
    without=names,
)


@settings(max_examples=300, deadline=None)
@given(filters)
def test_a_scene_passes_where_everything_holds(wanted: SceneFilter) -> None:
    assert matching(TABLE, wanted).tolist() == naive(TABLE, wanted)


def test_an_empty_filter_lets_all_scenes_pass() -> None:
    np.testing.assert_array_equal(matching(TABLE, SceneFilter()), np.arange(len(TABLE)))


def test_scenes_without_a_value_pass_no_range() -> None:
    everything = (-1e308, 1e308)
    for wanted in (SceneFilter(where={"empty": everything}), SceneFilter(where={"angle": everything})):
        rows = matching(TABLE, wanted)
        assert not any(np.isnan(TABLE.columns[name][rows]).any() for name in wanted.where)
    assert len(matching(TABLE, SceneFilter(offset=(0.0, 1e308)))) == np.count_nonzero(TABLE.offset_confidence >= 0.1)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"where": {"colour": ("red",)}}, "no column 'colour'; there are: sensor, angle, a=b, empty"),
        ({"where": {"angle": ("10",)}}, "column 'angle' holds numbers"),
        ({"where": {"sensor": (1.0, 2.0)}}, "column 'sensor' holds texts"),
        ({"objects": ("tree",)}, "no object class 'tree'; there are: no-damage, destroyed"),
    ],
)
def test_what_the_dataset_cannot_have_is_refused(wanted: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SceneError, match=sentence):
        matching(TABLE, SceneFilter.model_validate(wanted))


def test_a_dataset_without_columns_or_objects_says_so() -> None:
    bare = replace(TABLE, columns={}, object_classes=(), objects=np.zeros((len(TABLE), 0), np.int32))
    with pytest.raises(SceneError, match="the dataset has none"):
        matching(bare, SceneFilter(where={"a": ("b",)}))
    with pytest.raises(SceneError, match="has no labelled objects"):
        matching(bare, SceneFilter(objects=("a",)))
