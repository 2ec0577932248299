"""The experiment files that come with PairLab."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from backend.experiments.schemas import ExampleRead
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.registrations import registrations_of, title_of

IN_WHEEL = "shipped"
"""Folder of the package `pairlab` that a wheel keeps them in; a checkout has them in `experiments`, beside it."""
QUESTIONS = (
    "quickstart",
    "paper",
    "noise-rate",
    "extent",
    "mismatch",
    "misregistration",
    "nuisance",
    "filter",
    "temporal",
    "class-balance",
)
"""The questions in the order they are shown; each on rendered scenes first, then on xBD. Other files follow by name."""


def list_examples() -> list[ExampleRead]:
    """Returns all shipped files; the quickstart comes first."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in examples_folder().glob("*.yaml")}
    return [_example(name, texts[name]) for name in sorted(texts, key=_place)]


def _place(name: str) -> tuple[int, str]:
    question = name.removesuffix("-xbd")
    return (QUESTIONS.index(question) if question in QUESTIONS else len(QUESTIONS), name)


@lru_cache(maxsize=64)
def _example(name: str, text: str) -> ExampleRead:
    return ExampleRead(
        name=name,
        title=title_of(text),
        dataset=load_experiment(text).dataset,
        registrations=list(registrations_of(text)),
        yaml=text,
    )


def examples_folder() -> Path:
    """Returns the folder of the shipped files."""
    package = Path(str(files("pairlab")))
    return package / IN_WHEEL if (package / IN_WHEEL).is_dir() else package.parent / "experiments"
