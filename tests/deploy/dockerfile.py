"""A Dockerfile's stages and what holds in each of them."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction: `COPY --from=build /a /b` has the flag `from` and the words `/a`, `/b`."""

    name: str
    flags: Mapping[str, str]
    text: str

    @cached_property
    def exec_form(self) -> list[str] | None:
        """The words of `["a", "b"]`, behind CMD for a HEALTHCHECK; None for the shell form."""
        text = self.text.removeprefix("CMD ").strip()
        return [str(word) for word in json.loads(text)] if text.startswith("[") else None

    @cached_property
    def words(self) -> list[str]:
        """The words as a shell would split them."""
        return shlex.split(self.text)


@dataclass(frozen=True)
class Stage:
    """A build stage on an image or on an earlier stage."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


class Dockerfile:
    """All stages by name."""

    def __init__(self, text: str) -> None:
        self.stages: dict[str, Stage] = {}
        base, name, found = "", "", list[Instruction]()
        for instruction in (*_instructions(text), Instruction("FROM", {}, "")):
            if instruction.name != "FROM":
                found.append(instruction)
                continue
            if name:
                self.stages[name] = Stage(name, base, tuple(found))
            if instruction.words:
                base, _, name = instruction.words
                found = []

    @classmethod
    def read(cls, path: Path) -> "Dockerfile":
        """Returns the stages of a file; every one must have a name."""
        return cls(path.read_text())

    def chain(self, stage: str) -> list[Stage]:
        """Returns a stage and those it is built on, from the image upwards."""
        found = self.stages[stage]
        return [*(self.chain(found.base) if found.base in self.stages else []), found]

    def instructions(self, stage: str, name: str) -> list[Instruction]:
        """Returns a stage's instructions of one name, those it is built on first."""
        return [each for part in self.chain(stage) for each in part.instructions if each.name == name]

    def last(self, stage: str, name: str) -> Instruction:
        """Returns the instruction in force; raises LookupError where there is none."""
        found = self.instructions(stage, name)
        if not found:
            raise LookupError(f"stage {stage} has no {name}")
        return found[-1]

    def environment(self, stage: str) -> dict[str, str]:
        """Returns the variables that a container of a stage starts with."""
        pairs = (word.partition("=") for each in self.instructions(stage, "ENV") for word in each.words)
        return {name: value for name, _, value in pairs}

    def sources(self, stage: str) -> set[str]:
        """Returns the stages that a stage takes files from."""
        found = set()
        for instruction in self.stages[stage].instructions:
            mounts = re.findall(r"(?:^|,)from=([^,]+)", instruction.flags.get("mount", ""))
            found |= {*mounts, *([instruction.flags["from"]] if "from" in instruction.flags else [])}
        return found

    def targets(self) -> set[str]:
        """Returns the stages that no other needs: the images to be built."""
        needed = {stage.base for stage in self.stages.values()}.union(*map(self.sources, self.stages))
        return set(self.stages) - needed


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        flags = {}
        while match := re.match(r"\s*--([\w-]+)=(\S+)\s*", rest):
            flags[match[1]] = match[2]
            rest = rest[match.end() :]
        yield Instruction(name.upper(), flags, rest.strip())
