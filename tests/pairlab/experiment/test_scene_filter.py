"""The filter as a model; which scenes it lets pass is in scenes/test_filtering."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pairlab.experiment.scene_filter import SceneFilter


def test_the_empty_filter_names_nothing() -> None:
    assert SceneFilter().model_dump(exclude_defaults=True) == {}
    assert SceneFilter().where == {}


@pytest.mark.parametrize("name", ["change_share", "object_change_share", "no_data_share", "offset"])
def test_ranges_rise(name: str) -> None:
    assert getattr(SceneFilter.model_validate({name: (0.25, 0.25)}), name) == (0.25, 0.25)
    with pytest.raises(ValidationError, match=rf"{name} must be \[low, high\], got \[0.5, 0.25\]"):
        SceneFilter.model_validate({name: (0.5, 0.25)})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"splits": ["tier3"]}, "Input should be 'train', 'validation' or 'test'"),
        ({"where": {"sensor": []}}, "where.sensor"),
        ({"where": {"angle": [3.0, 1.0]}}, r"where.angle must be \[low, high\]"),
        ({"where": {"angle": [1.0, 2.0, 3.0]}}, "where.angle"),
        ({"where": {"angle": [1.0, "x"]}}, "where.angle"),
        ({"change_share": [0.1]}, "change_share"),
        ({"change_share": [0.0, float("nan")]}, "change_share"),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"only": ["x"] * 100_001}, "at most 100000 items"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_no_filter_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SceneFilter.model_validate(fields)


TEXTS = st.text(max_size=5).map(str.strip)  # white space around a text does not count, as in all models


@given(st.lists(TEXTS, min_size=1, max_size=3), st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_texts_stay_texts_and_ranges_ranges(texts: list[str], low: float, more: float) -> None:
    wanted = SceneFilter(where={"texts": tuple(texts), "range": (low, low + more)})
    again = SceneFilter.model_validate_json(wanted.model_dump_json())
    assert again == wanted
    assert again.where == {"texts": tuple(texts), "range": (low, low + more)}


def test_numbers_written_as_texts_are_texts() -> None:
    assert SceneFilter(where={"code": ("1", "2")}).where == {"code": ("1", "2")}
