"""The commands in the files' comments, typed into the real command line of a running PairLab."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pairlab.experiment.datasets import SyntheticDataset
from tests.experiments.ready_questions import RENDERED, Question, announced
from tests.live_stack import LiveStack, running_stack

PAIRLAB = Path(sys.executable).parent / "pairlab"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """A PairLab of its own: others count on what theirs has registered."""
    with running_stack(tmp_path_factory.mktemp("questions") / "home", {}) as running:
        yield running


def commands_of(question: Question) -> list[list[str]]:
    """Returns the words of each command that adds a dataset, as a shell would split them."""
    lines = question.header.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("pairlab dataset add ")]


def test_the_commands_register_what_the_files_need(stack: LiveStack) -> None:
    wanted: dict[str, SyntheticDataset] = {}
    typed: dict[str, list[str]] = {}
    for question in RENDERED.values():
        for name, found in question.references().items():
            assert isinstance(found.config, SyntheticDataset)
            assert wanted.setdefault(name, found.config) == found.config, f"two files mean two things by {name}"
        typed |= {command[command.index("--name") + 1]: command for command in commands_of(question)}
    assert set(typed) == set(wanted)
    for name, command in typed.items():
        answer = subprocess.run(
            [str(PAIRLAB), *command], capture_output=True, text=True, timeout=120, env=stack.environment, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert answer.stdout.startswith(f"{name}: ")
        assert SyntheticDataset.model_validate(stack.client.dataset(name)["config"]) == wanted[name]


@pytest.mark.parametrize("name", ["mismatch", "nuisance", "filter", "class-balance"])
def test_what_is_shipped_can_be_planned_where_its_datasets_are(stack: LiveStack, name: str) -> None:
    """All of it is checked before anything is queued, down to the pairs of every arm."""
    question = RENDERED[name]
    for registered in question.references().values():
        stack.register(registered.name, registered.config.model_dump(mode="json"))
    plan = stack.client.validate(question.text)
    experiment, said = question.experiment, announced(question)
    assert (plan["pretrain_jobs"], plan["segment_jobs"]) == said
    assert plan["score_jobs"] == (3 * len(experiment.seeds) if name == "filter" else 0)
    assert plan["factors"] == {arm: list(experiment.factors(arm)) for arm in experiment.arms}
    for arm, given in experiment.arms.items():
        scored = given.pairing is not None and given.pairing.filter.by == "change_score"
        expected = None if given.pairing is None or scored else given.pairing.noise.rate
        assert plan["realised_noise"][arm] == (0.0 if arm in ("oracle", "same image") else expected), arm
