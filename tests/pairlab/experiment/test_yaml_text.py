import contextlib
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.yaml_text import MAX_YAML_CHARACTERS, parse_yaml, write_flow, write_yaml


def problem(text: str) -> str:
    with pytest.raises(ExperimentError) as error:
        parse_yaml(text)
    (sentence,) = error.value.problems
    return sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty: an experiment is a mapping of fields (name, dataset, arms, …)"),
        ("# only a comment\n", "the file is empty: an experiment is a mapping of fields (name, dataset, arms, …)"),
        ("[1]", "an experiment file is a mapping of fields (name, dataset, arms, …), got a list"),
        ("hello", "an experiment file is a mapping of fields (name, dataset, arms, …), got 'hello'"),
        ("a: [", "not valid YAML: line 1, column 5: while parsing a flow node: expected the node content"),
        ("a: 1\n  b: 2", "not valid YAML: line 2, column 4: mapping values are not allowed here"),
        ("a: 1\n\tb: 2", "not valid YAML: line 2, column 1"),
        ("a: 1\n---\nb: 2", "not valid YAML: line 2, column 1: expected a single document in the stream"),
        ("a: \x00", "not valid YAML: unacceptable character #x0000"),
        ("when: 2024-13-45", "not valid YAML: month must be in 1..12"),
        ("a: " + "9" * 5000, "not valid YAML: Exceeds the limit (4300 digits)"),
        ("[" * 5000, "not valid YAML: line 1, column 33: it is nested deeper than 32 levels"),
        ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: tags are not allowed: remove '!!python/object"),
        ("a: !!bool x", "tags are not allowed: remove '!!bool'"),
        ("a: !include /etc/passwd", "tags are not allowed: remove '!include'"),
    ],
)
def test_says_where_and_what(text: str, said: str) -> None:
    assert said in problem(text)


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "x:\n  a: 1\n  a: 1\n", "{a: 1, a: 2}"])
def test_duplicate_keys_are_refused(text: str) -> None:
    assert 'found duplicate key "a"' in problem(text)


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghi"))


@pytest.mark.parametrize(
    "text",
    [BOMB, "a: &x 1", "a: *x", "a: &x 1\nb: *x", "a: &x {b: 1}\nc:\n  <<: *x", "- &x y", "&a b: 1", "a: [&x [*x]]"],
)
def test_anchors_and_aliases_are_refused(text: str) -> None:
    assert "anchors and aliases (& and *) are not allowed: write the values out" in problem(text)


@pytest.mark.parametrize(
    "text", ["a: 'R & D, *all* of it'", "a: this & that", "# &anchor *alias\na: 1", "a: x*y", "a: '*x'"]
)
def test_the_characters_of_aliases_are_allowed_in_texts(text: str) -> None:
    assert "a" in parse_yaml(text)


@pytest.mark.parametrize("text", ["<<: {a: 1}\nb: 2", "? [a]\n: 1", "%YAML 1.1\n---\na: yes", "a: 12:30:45"])
def test_rare_but_harmless_yaml_is_read(text: str) -> None:
    assert isinstance(parse_yaml(text), dict)


def test_a_text_that_is_too_long_is_refused_before_it_is_read() -> None:
    assert problem("a" * (MAX_YAML_CHARACTERS + 1)) == "the file has 200001 characters; at most 200000 are allowed"


UNITS = ["[", "{", "- ", "? ", "a: ", "a:\n", "- a\n", "'", '"', "!", "&", "*", "|", "#", "\n", "a ", "{a: [", "? - "]


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_takes_long(unit: str) -> None:
    started = time.process_time()
    with contextlib.suppress(ExperimentError):
        parse_yaml(unit * (20_000 // len(unit)))
    assert time.process_time() - started < 10


YAML_CHARACTERS = st.text(st.sampled_from("ab01 \n\t-:?[]{},&*!|>'\"%@`#~<=.\\_eE+x\r\x85\u2028é\ud800"), max_size=40)


@settings(deadline=None, max_examples=400)
@given(st.one_of(YAML_CHARACTERS, st.text(max_size=30)))
def test_whatever_is_no_yaml_is_told_in_a_sentence(text: str) -> None:
    try:
        parse_yaml(text)
    except ExperimentError as error:
        assert error.problems  # noqa: PT017  (either outcome is right, other exceptions are not)


ODD_TEXTS = [
    "yes",
    "null",
    "~",
    "1e3",
    "0x10",
    "2024-01-01",
    "true",
    "- a",
    "a: b",
    "#a",
    "a #b",
    "",
    "=",
    "<<",
    "1:30",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=30),
    st.sampled_from(ODD_TEXTS),
)
CONTENT = st.dictionaries(
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=10),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
        max_leaves=6,
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=300)
@given(CONTENT)
def test_what_is_written_is_read_again(content: dict[str, object]) -> None:
    assert parse_yaml(write_yaml(content)) == content


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("text", ["a{}b", "{}", "0{}0 ", " {}\n", "two {} words, {} and a 'quote'"])
def test_rare_line_breaks_are_kept(text: str, character: str) -> None:
    text = text.replace("{}", character)
    for content in ({"x": text, "y": [text, {"z": text}]}, {text: 1}):
        assert parse_yaml(write_yaml(content)) == content
    assert parse_yaml(f"x: {write_flow([text])}") == {"x": [text]}


@settings(deadline=None, max_examples=200)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_a_single_line_holds_any_value(value: object) -> None:
    line = write_flow(value)
    assert "\n" not in line
    assert parse_yaml(f"a: {line}\nb: [{line}, 1]") == {"a": value, "b": [value, 1]}
