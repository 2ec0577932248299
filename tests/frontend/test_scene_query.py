from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.scene_query import RANGES, SORTS, SceneQuery, is_range, query_of_filter
from frontend.scene_wording import conditions
from pairlab.experiment.scene_filter import SceneFilter

COLUMNS = {"sensor": "text", "gsd": "number", "a": "text", "a=b": "text", "<b>x</b>": "number"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
NUMBERS = st.none() | st.integers(-1000, 1000).map(lambda number: number / 8)
BOUNDS = st.tuples(NUMBERS, NUMBERS).filter(lambda bounds: bounds != (None, None))
SEVERAL = st.lists(TEXTS, max_size=3, unique=True).map(tuple)
SOME = st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(tuple)
WHERE = st.fixed_dictionaries({}, optional={"sensor": SOME, "gsd": BOUNDS, "a=b": SOME, "<b>x</b>": BOUNDS})
KEYS = st.sampled_from([*SORTS, "column/gsd", "column/a=b"])
QUERIES = st.builds(
    SceneQuery,
    events=SEVERAL,
    splits=SEVERAL,
    objects=SEVERAL,
    ranges=st.dictionaries(st.sampled_from(RANGES), BOUNDS),
    where=WHERE,
    name=st.text("ab c", max_size=4),
    flagged=st.none() | st.booleans(),
    sort=st.tuples(st.sampled_from(["", "-"]), KEYS).map("".join),
)


@given(QUERIES)
def test_a_query_comes_back_from_an_address(query: SceneQuery) -> None:
    pairs = [(name, value) for name, values in query.to_params().items() for value in values]
    address = parse_qs(urlencode(pairs), keep_blank_values=True)
    assert SceneQuery.from_params(address, COLUMNS) == query


@given(QUERIES)
def test_dropping_every_condition_leaves_everything_in_the_same_order(query: SceneQuery) -> None:
    dropped = 0
    while listed := list(conditions(query)):
        (_, query), dropped = listed[0], dropped + 1
        assert dropped < 100
    assert not query.restricts
    assert not query.filter_params()


@pytest.mark.parametrize(
    "params",
    [
        {"min_change": ["much"]},
        {"max_offset": ["inf"]},
        {"where": ["gone=1", "sensor", "gsd=a..b"]},
        {"sort": ["size"]},
        {"sort": ["column/gone"]},
        {"flagged": ["maybe"]},
        {"unknown": ["1"]},
    ],
)
def test_what_an_address_says_wrongly_is_left_out(params: dict[str, list[str]]) -> None:
    assert SceneQuery.from_params(params, COLUMNS) == SceneQuery()


def test_a_condition_belongs_to_the_longest_column_that_it_names() -> None:
    query = SceneQuery.from_params({"where": ["a=b=c", "a=c", "gsd=2"]}, COLUMNS)
    assert query.where == {"a=b": ("c",), "a": ("c",), "gsd": (2.0, 2.0)}


def test_ranges_and_texts_are_told_apart() -> None:
    assert is_range((None, 2.0))
    assert not is_range(("a", "b"))
    assert not is_range(())


def test_a_range_without_ends_and_a_column_without_texts_are_no_conditions() -> None:
    query = SceneQuery(ranges={"change": (0.1, None)}, where={"sensor": ("x",), "gsd": (1.0, None)})
    assert query.with_range("change", (None, None)).ranges == {}
    assert query.with_condition("sensor", ()).where == {"gsd": (1.0, None)}
    assert query.with_condition("gsd", (None, None)).where == {"sensor": ("x",)}


def test_the_filter_of_an_experiment_is_shown_by_the_same_conditions() -> None:
    content = SceneFilter.model_validate(
        {"events": ["fire"], "change_share": [0.1, 1], "offset": [0, 5], "where": {"sensor": ["x"], "gsd": [1, 2]}}
    ).model_dump(mode="json", exclude_defaults=True)
    assert [words for words, _ in conditions(query_of_filter(content))] == [
        "event fire",
        "change share 10 % to 100 %",
        "offset 0 px to 5 px",
        "sensor: x",
        "gsd: 1 to 2",
    ]
