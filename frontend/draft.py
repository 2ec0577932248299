"""An experiment file being written: edits by field that keep its comments and refuse what the model refuses."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from pairlab.experiment.experiment import Experiment, dump_experiment
from pairlab.experiment.problems import ExperimentError, problems_of
from pairlab.experiment.yaml_text import parse_yaml

Path = tuple[str, ...]
MAX_SEEDS = 1000


def with_edits(text: str, edits: Mapping[Path, Any]) -> str:
    """Returns the file with fields set to new values.

    Args:
        text: a valid experiment file.
        edits: value per path of field names; None removes the field, which takes its default, and every mapping that
            this leaves empty.

    Raises:
        ExperimentError: the edited experiment is not valid; the file stays as it is.
    """

    def change(content: dict[str, Any]) -> None:
        for path, value in edits.items():
            if value is None:
                _remove(content, path)
            else:
                _set(content, path, value)

    return _changed(text, change)


def with_arm(text: str, name: str, arm: dict[str, Any]) -> str:
    """Returns the file with one more arm at the end, under a name that is free."""
    return _changed(text, lambda content: content["arms"].update({free_name(name, content["arms"]): arm}))


def with_duplicate(text: str, name: str) -> str:
    """Returns the file with a copy of an arm right after it."""

    def change(content: dict[str, Any]) -> None:
        arms = content["arms"]
        copy = free_name(name, arms)
        content["arms"] = {}
        for each, arm in arms.items():
            content["arms"][each] = arm
            if each == name:
                content["arms"][copy] = arm

    return _changed(text, change)


def without_arm(text: str, name: str) -> str:
    """Returns the file without an arm; where it was the reference, the first other arm becomes it."""

    def change(content: dict[str, Any]) -> None:
        content["arms"].pop(name, None)
        if content.get("reference") == name and content["arms"]:
            content["reference"] = next(iter(content["arms"]))

    return _changed(text, change)


def with_renamed_arm(text: str, old: str, new: str) -> str:
    """Returns the file with an arm under another name, in its old place; raises ExperimentError where it is taken."""

    def change(content: dict[str, Any]) -> None:
        if new in content["arms"]:
            raise ExperimentError([f"arms: there is an arm {new!r} already; names of arms differ"])
        content["arms"] = {new if name == old else name: arm for name, arm in content["arms"].items()}
        if content.get("reference") == old:
            content["reference"] = new

    return _changed(text, change)


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    """Returns the name, or with the first number after it that is free."""
    stem = re.sub(r" \d+$", "", name)
    number = 2
    while name in taken:
        name, number = f"{stem} {number}", number + 1
    return name


def parse_seeds(text: str) -> list[int]:
    """Returns the seeds that a text such as `0, 1, 5-9` lists; raises ExperimentError where it is none."""
    seeds: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d{1,10})(?:\s*[-–]\s*(\d{1,10}))?", part)
        if match is None:
            raise ExperimentError([f"seeds: {part!r} is no whole number; write them like 0, 1, 5-9"])
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < first + MAX_SEEDS:
            raise ExperimentError([f"seeds: {part!r} is no range of at most {MAX_SEEDS} rising numbers"])
        seeds += range(first, last + 1)
    return seeds


def shown_seeds(seeds: tuple[int, ...]) -> str:
    """Returns seeds as `parse_seeds` reads them; runs of three and more are a range."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    parts = [f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts)


def _set(content: dict[str, Any], path: Path, value: Any) -> None:  # noqa: ANN401  (a field's)
    *parents, field = path
    for name in parents:
        if not isinstance(content.get(name), dict):
            content[name] = {}
        content = content[name]
    content[field] = value


def _remove(content: dict[str, Any], path: Path) -> None:
    name, *rest = path
    if not rest:
        content.pop(name, None)
    elif isinstance(content.get(name), dict):
        _remove(content[name], tuple(rest))
        if not content[name]:
            content.pop(name)


def _changed(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    content = parse_yaml(text)
    change(content)
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(problems_of(error, model=Experiment)) from error
    return dump_experiment(experiment, commented=text)
