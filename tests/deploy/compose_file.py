"""Compose files as an engine reads them: variables put in, files merged, `!reset` and `!override` obeyed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

REPLACED = ("command", "entrypoint", "test")
"""Lists that a later file replaces; all others it adds to."""
_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<operator>:?[-?+])(?P<operand>[^}]*))?\}|(?P<wrong>))"
)


class ComposeError(Exception):
    """The files are not what an engine accepts."""


@dataclass(frozen=True)
class _Replacement:
    value: Any


_RESET = _Replacement(None)


class _Constructor(SafeConstructor):
    """Plain values, and the two tags of the specification."""


def _construct_override(constructor: SafeConstructor, node: Node) -> _Replacement:
    if isinstance(node, MappingNode):
        return _Replacement(constructor.construct_mapping(node, deep=True))
    if isinstance(node, SequenceNode):
        return _Replacement(constructor.construct_sequence(node, deep=True))
    return _Replacement(constructor.construct_scalar(node))


_Constructor.add_constructor("!reset", lambda _constructor, _node: _RESET)
_Constructor.add_constructor("!override", _construct_override)


def load_compose(files: Sequence[Path], environment: Mapping[str, str]) -> dict[str, Any]:
    """Returns the merged model of compose files, with variables from `environment` alone.

    Raises:
        ComposeError: a required variable is missing, or a file cannot be merged into those before it.
    """
    merged: dict[str, Any] = {}
    for file in files:
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _Constructor
        merged = _merge(merged, _interpolate(yaml.load(file), environment), at="")
    return merged


def interpolate(text: str, environment: Mapping[str, str]) -> str:
    """Returns a text with its variables put in; raises ComposeError where a required one is missing."""

    def value_of(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name = match["plain"] or match["name"]
        if name is None:
            raise ComposeError(f"invalid interpolation format in {text!r}")
        value, operator, operand = environment.get(name), match["operator"] or "", match["operand"] or ""
        there = bool(value) if operator.startswith(":") else value is not None
        if operator.endswith("?") and not there:
            raise ComposeError(f"required variable {name} is missing a value: {operand}")
        if operator.endswith("+"):
            return operand if there else ""
        return value if there and value is not None else operand

    return _VARIABLE.sub(value_of, text)


def _interpolate(value: Any, environment: Mapping[str, str]) -> Any:  # noqa: ANN401  (any YAML)
    if isinstance(value, str):
        return interpolate(value, environment)
    if isinstance(value, dict):
        return {key: _interpolate(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_interpolate(each, environment) for each in value]
    return value


def _merge(earlier: dict[str, Any], later: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    merged = dict(earlier)
    for key, value in later.items():
        path = f"{at}.{key}"
        if value is _RESET:
            merged.pop(key, None)
        elif isinstance(value, _Replacement):
            merged[key] = value.value
        elif key not in merged or merged[key] is None:
            merged[key] = _merge({}, value, at=path) if isinstance(value, dict) else value
        elif isinstance(merged[key], dict) != isinstance(value, dict):
            raise ComposeError(f"cannot override {path}")
        elif isinstance(value, dict):
            merged[key] = _merge(merged[key], value, at=path)
        elif isinstance(value, list) and key not in REPLACED:
            merged[key] = [*merged[key], *value]
        else:
            merged[key] = value
    return merged
