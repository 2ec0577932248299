import pytest
from hypothesis import given, settings

from pairlab.experiment.commented_yaml import rewrite
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.yaml_text import parse_yaml, write_flow, write_yaml
from tests.pairlab.experiment.test_yaml_text import CONTENT


@settings(deadline=None, max_examples=100)
@given(CONTENT, CONTENT)
def test_a_rewritten_text_holds_the_new_content(old: dict[str, object], new: dict[str, object]) -> None:
    assert parse_yaml(rewrite(write_yaml(old), new, ordered="arms")) == new


TEXT = """\
# What this is about.
version: 1
name: "quoted"      # why quoted
# Above the number
margin: 1e0         # keeps its notation

arms:
  # the first arm
  first: {a: 1, b: 2}   # beside the first
  # the second arm
  second:
    a: 1              # beside a
    # above b
    b: 2
  # the third arm
  third: {a: 3}
# above the seeds
seeds: [0, 1]       # beside the seeds
protocols:
  # the probe
  - name: probe       # beside the probe
    steps: 10
  # the fine-tuning
  - name: fine
# the end
"""


def merged(**changes: object) -> str:
    content = {key: value for key, value in {**parse_yaml(TEXT), **changes}.items() if value is not None}
    text = rewrite(TEXT, content, ordered="arms")
    assert parse_yaml(text) == content
    return text


def comments(text: str) -> set[str]:
    return {line.partition("# ")[2].strip() for line in text.splitlines() if "# " in line}


def test_an_unchanged_text_stays_as_it_is() -> None:
    assert merged() == TEXT


def test_a_changed_value_keeps_every_comment() -> None:
    text = merged(name="other", seeds=[0, 1, 2], margin=2.5)
    assert comments(text) == comments(TEXT)
    assert "seeds: [0, 1, 2]" in text
    assert "margin: 2.5" in text


def test_changes_inside_lists_and_mappings_keep_every_comment() -> None:
    arms = {"first": {"a": 1, "b": 2}, "second": {"a": 7, "b": 2}, "third": {"a": 3}}
    text = merged(arms=arms, protocols=[{"name": "probe", "steps": 99}, {"name": "fine", "steps": 1}])
    assert comments(text) == comments(TEXT)


def test_the_order_of_arms_is_the_new_one() -> None:
    arms = parse_yaml(TEXT)["arms"]
    text = merged(arms={name: arms[name] for name in ("third", "first", "second")})
    assert list(parse_yaml(text)["arms"]) == ["third", "first", "second"]


def test_the_order_of_fields_is_the_old_one() -> None:
    content = parse_yaml(TEXT)
    text = rewrite(TEXT, dict(reversed(content.items())), ordered="arms")
    assert list(parse_yaml(text)) == list(content)


def test_a_removed_arm_takes_its_own_comment_and_no_other() -> None:
    arms = parse_yaml(TEXT)["arms"]
    text = merged(arms={name: arms[name] for name in ("first", "third")})
    assert comments(TEXT) - comments(text) <= {"the second arm", "beside a", "above b"}


def test_a_removed_field_leaves_the_comments_of_the_next() -> None:
    for key in ("version", "name", "margin", "arms", "seeds", "protocols"):
        text = merged(**{key: None})
        following = {
            "version": {"What this is about.", "why quoted", "Above the number"},
            "name": {"Above the number", "keeps its notation"},
            "margin": {"the first arm"},
            "arms": {"above the seeds", "beside the seeds"},
            "seeds": {"the probe"},
            "protocols": {"above the seeds"},
        }[key]
        assert following <= comments(text), key


@settings(deadline=None, max_examples=100)
@given(CONTENT, CONTENT)
def test_the_way_of_writing_decides_only_whether_comments_stay(old: dict[str, object], new: dict[str, object]) -> None:
    """Flow style, no final newline, lists not indented, Windows line ends."""
    flow = f"{write_flow(old)}  # beside"
    assert parse_yaml(rewrite(flow, new, ordered="a")) == new
    text = "# above\r\n---\r\n" + write_yaml(old).replace("\n", "\r\n").rstrip()
    if parse_yaml(text) == old:
        assert parse_yaml(rewrite(text, new, ordered="a")) == new


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        ("a:\nb: 2", {"a": 1, "b": 2}, "a: 1\nb: 2"),
        ("a:   # none yet\nb: 2\n", {"a": 1, "b": 2}, "a: 1   # none yet\nb: 2\n"),
        ("a: >\n  folded\n  text\n# after\nb: 2\n", {"a": "x", "b": 2}, "a: x\n# after\nb: 2\n"),
        ("a: 1  # one", {"a": 1, "b": {"c": [1]}}, "a: 1  # one\nb:\n  c:\n    - 1\n"),
        ("a:\n- 1\n# two\n- 2\nb: 0\n", {"a": [1, 2, 3], "b": 0}, "a:\n- 1\n# two\n- 2\n- 3\nb: 0\n"),
        ("a:\n  - 1  # one\n  - 2\nb: 0\n", {"a": [1], "b": 0}, "a:\n  - 1  # one\nb: 0\n"),
        ("a:\n  - x: 1\n    # why\n    y: 2\n", {"a": [{"x": 1, "y": 3}]}, "a:\n  - x: 1\n    # why\n    y: 3\n"),
        ("a: {x: 1, y: 2}  # both\n", {"a": {"x": 1, "z": 2}}, "a: {x: 1, z: 2}  # both\n"),
        ("a: {x: 1,  y: 2}\n", {"a": {"x": 1, "y": 3}}, "a: {x: 1,  y: 3}\n"),
        ("a:\n  x: 1\n", {"a": None}, "a:\n    null\n"),
        ("a:\n  x: 1\nb: 1\n", {"a": {}, "b": 1}, "a:\n    {}\nb: 1\n"),
        ("a: 'one'\n", {"a": "it's"}, "a: it's\n"),
    ],
)
def test_only_what_changed_is_written_anew(text: str, content: dict[str, object], expected: str) -> None:
    assert rewrite(text, content, ordered="arms") == expected


def test_where_the_text_cannot_be_followed_the_content_wins() -> None:
    assert parse_yaml(rewrite("? a\n: 1\n", {"a": 2}, ordered="arms")) == {"a": 2}
    assert parse_yaml(rewrite("<<: {a: 1}\nb: 2\n", {"a": 3, "b": 2}, ordered="arms")) == {"a": 3, "b": 2}


def test_a_text_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ExperimentError, match="got a list"):
        rewrite("[1]", {"a": 1}, ordered="arms")
