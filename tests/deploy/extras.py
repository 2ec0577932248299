"""What an extra brings along: the distributions that its requirements lead to, and a view of these files alone."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


class UnmetRequirement(Exception):
    """The environment the tests run in does not hold what pyproject.toml asks for."""


def requirements(extra: str) -> list[Requirement]:
    """Returns what pyproject.toml asks for, for everyone and for one extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = []
    for text in (*project["dependencies"], *project["optional-dependencies"][extra]):
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) == project["name"]:
            found += [each for inner in requirement.extras for each in requirements(inner)]
        elif requirement.marker is None or requirement.marker.evaluate():
            found.append(requirement)
    return found


def closure(extra: str) -> dict[str, Distribution]:
    """Returns, by name, the installed distributions that an extra leads to, PairLab itself left out.

    Raises:
        UnmetRequirement: one of them is missing or too old.
    """
    found: dict[str, Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = requirements(extra)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            installed = found.setdefault(name, distribution(name))
        except PackageNotFoundError as error:
            raise UnmetRequirement(f"{requirement} is asked for by the extra {extra} but not installed here") from error
        if not requirement.specifier.contains(installed.version, prereleases=True):
            raise UnmetRequirement(f"{requirement} is asked for by the extra {extra}, here is {installed.version}")
        for inner in {"", *requirement.extras} - {of for at, of in done if at == name}:
            done.add((name, inner))
            asked = map(Requirement, installed.requires or [])
            waiting += [each for each in asked if each.marker is None or each.marker.evaluate({"extra": inner})]
    return found


def write_view(folder: Path, shown: Iterable[Distribution]) -> None:
    """Fills a folder with links to PairLab's packages and the files of distributions, as if only these were installed.

    A folder that belongs to several distributions (a namespace package) is made anew and filled file by file.
    """
    owners = defaultdict[str, set[int]](set)
    for number, each in enumerate(distributions()):
        for file in each.files or []:
            owners[file.parts[0]].add(number)
    for each in shown:
        files = each.files or []
        for part in {Path(file.parts[0]) if len(owners[file.parts[0]]) == 1 else Path(*file.parts) for file in files}:
            if part.parts[0] == "..":  # programs, manual pages
                continue
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / part).symlink_to(Path(str(each.locate_file(part))))
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in packages["packages"]:
        (folder / package).symlink_to(ROOT / package)
    (own,) = (
        Path(str(file.locate())).parent for file in distribution("pairlab").files or [] if file.name == "METADATA"
    )
    (folder / own.name).symlink_to(own)
