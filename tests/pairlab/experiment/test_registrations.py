import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.registrations import Registration, registrations_of, title_of

HEADER = """\
# What is asked?
#
# Register the scenes once:
#   pairlab up --data-root xbd=FOLDER
#   pairlab dataset add xbd FOLDER --name xbd
#   pairlab dataset add synthetic --name plain
#   pairlab dataset add synthetic --preset noise-rate --name rare --knob class_weights=[16,4,1] \\
#     --knob "change_extent=[0.1, 0.4]"
#   pairlab run experiments/x.yaml --watch
version: 1
name: n # pairlab dataset add synthetic --name below
# pairlab dataset add synthetic --name later
"""


def test_the_first_comment_is_the_title() -> None:
    assert title_of(HEADER) == "What is asked?"
    assert title_of("#\n# later\n") == ""
    assert title_of("name: n\n# a comment\n") == ""
    assert title_of("") == ""


def test_commands_above_the_fields_are_registrations() -> None:
    knobs = {"class_weights": [16, 4, 1], "change_extent": [0.1, 0.4]}
    assert registrations_of(HEADER) == (
        Registration(name="plain", config=SyntheticDataset()),
        Registration(name="rare", config=SyntheticDataset(preset="noise-rate", knobs=knobs)),
    )


@pytest.mark.parametrize(
    "text", ["", "name: n\n", "# a title alone\n", "# see pairlab dataset add synthetic --name n\n"]
)
def test_a_file_without_commands_registers_nothing(text: str) -> None:
    assert registrations_of(text) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--preset quickstart", "name: is missing"),
        ("--name Upper", "name: must match pattern"),
        ("--name n --preset nosuch", "unknown preset 'nosuch'"),
        ("--name n --knob nosuch=1", "unknown knob 'nosuch'"),
        ("--name n --knob size=33", "size"),
        ("--name n --knob size", "cannot read --knob size"),
        ("--name n --knob 'a: b=1'", "cannot read --knob a: b=1"),
        ("--name n --colour blue", "cannot read --colour blue"),
        ("--name n FOLDER", "cannot read FOLDER"),
        ("--name 'n", "No closing quotation"),
        ("--name n --knob size=[", "not valid YAML"),
    ],
)
def test_a_command_that_cannot_be_understood_is_named(words: str, said: str) -> None:
    with pytest.raises(ExperimentError) as error:
        registrations_of(f"# title\n#   pairlab dataset add synthetic {words}\nname: n\n")
    assert said in str(error.value)


@given(st.text(st.sampled_from("#\\ \n'\"-=ab[]pairlab"), max_size=60))
def test_no_comment_is_a_surprise(words: str) -> None:
    try:
        registrations_of(f"# pairlab dataset add synthetic {words}\n")
    except ExperimentError as error:
        assert error.problems  # noqa: PT017  (either outcome is right, other exceptions are not)
