"""What the comments of an experiment file say above its fields: its title, and the datasets it wants registered."""

import re
import shlex
from collections.abc import Iterator

from pydantic import Field, ValidationError

from pairlab.experiment.datasets import DatasetName, SyntheticDataset
from pairlab.experiment.model import FrozenModel
from pairlab.experiment.problems import ExperimentError, problems_of
from pairlab.experiment.yaml_text import parse_yaml

COMMAND = "pairlab dataset add synthetic "


class Registration(FrozenModel):
    """A dataset that needs nothing but its name and knobs to be registered."""

    name: DatasetName
    config: SyntheticDataset = Field(default_factory=SyntheticDataset)


def title_of(text: str) -> str:
    """Returns the first comment of a file; empty where it begins with something else."""
    return next(iter(_header(text)), "")


def registrations_of(text: str) -> tuple[Registration, ...]:
    """Returns the rendered scenes that the comments above a file's fields register, in their order.

    These are commands as one types them, continued after a backslash:
    `pairlab dataset add synthetic --name NAME [--preset PRESET] [--knob KNOB=VALUE]…`. Datasets of files are left out:
    their commands need a folder that is not known here.

    Raises:
        ExperimentError: such a command cannot be understood.
    """
    return tuple(_registration(command) for command in _commands(text) if command.startswith(COMMAND))


def _header(text: str) -> Iterator[str]:
    """Yields the comment lines before the first field, without their sign."""
    for line in text.splitlines():
        if not line.startswith("#"):
            return
        yield line.removeprefix("#").strip()


def _commands(text: str) -> list[str]:
    joined = "\n".join(_header(text)).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith("pairlab ")]


def _registration(command: str) -> Registration:
    content: dict[str, object] = {}
    config: dict[str, object] = {}
    knobs: dict[str, object] = {}
    try:
        words = shlex.split(command.removeprefix(COMMAND))
    except ValueError as error:
        raise ExperimentError([f"{command}: {error}"]) from error
    for option, value in zip(words[::2], [*words[1::2], ""], strict=False):
        match option:
            case "--name":
                content["name"] = value
            case "--preset":
                config["preset"] = value
            case "--knob" if re.fullmatch(r"\w+=.+", value):
                name, _, given = value.partition("=")
                knobs |= parse_yaml(f"{name}: {given}")
            case _:
                raise ExperimentError([f"{command}: cannot read {option} {value}".rstrip()])
    if knobs:
        config["knobs"] = knobs
    try:
        return Registration.model_validate(content | {"config": config})
    except ValidationError as error:
        raise ExperimentError([f"{command}: {problem}" for problem in problems_of(error)]) from error
