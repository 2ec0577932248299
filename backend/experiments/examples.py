"""The experiment files that come with PairLab."""

from importlib.resources import files
from pathlib import Path

from backend.experiments.schemas import ExampleRead

IN_WHEEL = "shipped"
"""Folder of the package `pairlab` that a wheel keeps them in; a checkout has them in `experiments`, beside it."""


def list_examples() -> list[ExampleRead]:
    """Returns all shipped files by name; the quickstart comes first."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in examples_folder().glob("*.yaml")}
    return [
        ExampleRead(name=name, yaml=texts[name])
        for name in sorted(texts, key=lambda name: (name != "quickstart", name))
    ]


def examples_folder() -> Path:
    """Returns the folder of the shipped files."""
    package = Path(str(files("pairlab")))
    return package / IN_WHEEL if (package / IN_WHEEL).is_dir() else package.parent / "experiments"
