from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.draft import (
    free_name,
    parse_seeds,
    shown_seeds,
    with_arm,
    with_duplicate,
    with_edits,
    with_renamed_arm,
    without_arm,
)
from pairlab.experiment.experiment import load_experiment
from pairlab.experiment.problems import ExperimentError

TEXT = """\
# Does noise hurt?
version: 1
name: Ladder
dataset: quickstart
pretraining:
  steps: 300  # enough to see it
arms:
  same image:  # the reference
    pairing:
      policy: same_image
  half noisy:
    pairing:
      policy: temporal
      noise:
        rate: 0.5  # every second pair
reference: same image
seeds: [0, 1]
"""


def test_an_edit_changes_its_field_and_keeps_every_comment() -> None:
    text = with_edits(TEXT, {("pretraining", "steps"): 40, ("arms", "half noisy", "pairing", "noise", "rate"): 0.25})
    experiment = load_experiment(text)
    noisy = experiment.arms["half noisy"].pairing
    assert noisy is not None
    assert (experiment.pretraining.steps, noisy.noise.rate) == (40, 0.25)
    for comment in ("# Does noise hurt?", "# enough to see it", "# the reference", "# every second pair"):
        assert comment in text


def test_an_edit_writes_only_what_was_edited() -> None:
    text = with_edits(TEXT, {("margin",): 2.0})
    assert "learning_rate" not in text
    assert load_experiment(text).margin == 2.0


def test_none_gives_a_field_its_default_back() -> None:
    text = with_edits(with_edits(TEXT, {("labels", "train_chips"): 8}), {("labels", "train_chips"): None})
    assert load_experiment(text) == load_experiment(TEXT)


def test_a_mapping_that_an_edit_leaves_empty_goes_with_its_last_field() -> None:
    path = ("arms", "half noisy", "pairing", "noise")
    text = with_edits(TEXT, {(*path, "rate"): None, ("pretraining", "steps"): None})
    assert "noise" not in text.replace("Does noise", "").replace("half noisy", "")
    assert "pretraining" not in text
    assert with_edits(TEXT, {("labels", "scheme"): None, (*path, "extent"): None}) == TEXT


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        ({("reference",): "nobody"}, "reference 'nobody' is not an arm"),
        ({("pretraining", "steps"): 0}, "pretraining.steps"),
        ({("seeds",): []}, "seeds"),
        ({("seeds",): [1, 1]}, "seeds must differ"),
    ],
)
def test_an_edit_that_is_not_valid_says_why(edit: dict[tuple[str, ...], Any], sentence: str) -> None:
    with pytest.raises(ExperimentError, match=sentence):
        with_edits(TEXT, edit)


def test_arms_are_added_at_the_end_under_a_free_name() -> None:
    text = with_arm(TEXT, "half noisy", {"baseline": "random_initialisation"})
    assert list(load_experiment(text).arms) == ["same image", "half noisy", "half noisy 2"]


def test_a_duplicate_stands_right_after_its_original() -> None:
    experiment = load_experiment(with_duplicate(TEXT, "same image"))
    assert list(experiment.arms) == ["same image", "same image 2", "half noisy"]
    assert experiment.arms["same image 2"] == experiment.arms["same image"]


def test_the_next_arm_becomes_reference_when_the_reference_goes() -> None:
    experiment = load_experiment(without_arm(TEXT, "same image"))
    assert (list(experiment.arms), experiment.reference) == (["half noisy"], "half noisy")


def test_the_last_arm_cannot_go() -> None:
    with pytest.raises(ExperimentError):
        without_arm(without_arm(TEXT, "same image"), "half noisy")


def test_a_renamed_arm_keeps_place_and_role() -> None:
    experiment = load_experiment(with_renamed_arm(TEXT, "same image", "one image"))
    assert (list(experiment.arms), experiment.reference) == (["one image", "half noisy"], "one image")


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ExperimentError, match="there is an arm 'half noisy' already"):
        with_renamed_arm(TEXT, "same image", "half noisy")


def test_free_names_count_up() -> None:
    taken = {"a": 0, "a 2": 0}
    assert [free_name(name, taken) for name in ("a", "a 2", "b")] == ["a 3", "a 3", "b"]


@given(st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=30))
def test_seeds_read_back_as_they_are_shown(seeds: list[int]) -> None:
    assert parse_seeds(shown_seeds(tuple(seeds))) == seeds


def test_runs_of_seeds_are_shown_as_ranges() -> None:
    assert shown_seeds((0, 1, 2, 3, 7, 9, 10)) == "0-3, 7, 9, 10"


@pytest.mark.parametrize("text", ["a", "1.5", "-1", "3-1", "0-5000", "1 2", "1;2", "99999999999999"])
def test_seeds_that_are_none_say_how_to_write_them(text: str) -> None:
    with pytest.raises(ExperimentError, match="seeds"):
        parse_seeds(text)
