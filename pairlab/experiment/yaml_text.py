"""YAML text to plain values and back, without the parts of YAML that surprise."""

import contextlib
import io
import json
import sys
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from pairlab.experiment.problems import ExperimentError

MAX_YAML_CHARACTERS = 200_000
MAX_DEPTH = 32
_RARE_BREAKS = "\x85\u2028\u2029"


class _PlainComposer(Composer):
    """Refuses anchors and aliases (a few lines of them unfold to gigabytes), tags (they change types) and depth."""

    level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401  (ruamel's nodes)
        event = self.parser.peek_event()
        problem = None
        if isinstance(event, AliasEvent) or event.anchor is not None:
            problem = "anchors and aliases (& and *) are not allowed: write the values out"
        elif event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            problem = f"tags are not allowed: remove {tag!r}, or put a text that begins with ! in quotes"
        elif self.level >= MAX_DEPTH:
            problem = f"it is nested deeper than {MAX_DEPTH} levels"
        if problem is not None:
            raise MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.level += 1
        node = super().compose_node(parent, index)
        self.level -= 1
        return node


def parse_yaml(text: str) -> dict[str, Any]:
    """Returns the mapping an experiment file holds; raises ExperimentError with line and column where it is no YAML."""
    _check_length(text)
    try:
        content = _reader().load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ExperimentError([f"not valid YAML: {_where_and_what(error)}"]) from error
    if content is None:
        raise ExperimentError(["the file is empty: an experiment is a mapping of fields (name, dataset, arms, …)"])
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else repr(content)[:60]
        raise ExperimentError([f"an experiment file is a mapping of fields (name, dataset, arms, …), got {kind}"])
    return content


def compose(text: str) -> Node:
    """Returns the root node of a text that `parse_yaml` accepts; nodes know where in the text they stand."""
    root: Node = _reader().compose(text)
    return root


def write_yaml(content: dict[str, Any] | list[Any]) -> str:
    """Returns the content as YAML in block style, keys in their order."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return _written(yaml, content)


def write_flow(value: Any) -> str:  # noqa: ANN401  (plain values)
    """Returns a value as YAML in a single line."""
    yaml = YAML()
    yaml.width = sys.maxsize
    yaml.default_flow_style = True
    # Inside a mapping more has to be quoted than elsewhere; a list would shorten [{a: 1}] to [a: 1].
    written = _written(yaml, {"x": value}).rstrip("\n").removeprefix("{x: ").removesuffix("}")
    with contextlib.suppress(ExperimentError):  # ruamel writes {:a: 1}, which is no YAML
        if "\n" not in written and parse_yaml(f"x: {written}") == {"x": value}:
            return written
    written = json.dumps(value, ensure_ascii=False)
    for character in _RARE_BREAKS:
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def _written(yaml: YAML, content: Any) -> str:  # noqa: ANN401  (plain values)
    buffer = io.StringIO()
    yaml.dump(_quoted(content), buffer)
    return buffer.getvalue()


def _quoted(content: Any) -> Any:  # noqa: ANN401  (plain values)
    """Returns the content with texts that hold rare line breaks in double quotes, which alone keep them as they are."""
    if isinstance(content, dict):
        return {_quoted(key): _quoted(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_quoted(value) for value in content]
    rare = isinstance(content, str) and any(character in content for character in _RARE_BREAKS)
    return DoubleQuotedScalarString(content) if rare else content


def _reader() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _PlainComposer
    return yaml


def _check_length(text: str) -> None:
    if len(text) > MAX_YAML_CHARACTERS:
        raise ExperimentError([f"the file has {len(text)} characters; at most {MAX_YAML_CHARACTERS} are allowed"])


def _where_and_what(error: Exception) -> str:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return str(error).partition("\n")[0].partition(";")[0] or "it is nested too deeply"
    place = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    return f"{place}: {f'{error.context}: ' if error.context else ''}{error.problem}"
