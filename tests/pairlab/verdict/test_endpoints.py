import pytest

from pairlab.experiment.protocols import LabelScheme
from pairlab.verdict.endpoints import endpoint_scores, state_classes

LEVELS = ("background", "no-damage", "minor-damage", "major-damage", "destroyed")


@pytest.mark.parametrize(
    ("scheme", "classes", "states"),
    [
        ("intact_damaged", ("background", "intact", "damaged", "un-classified"), ("intact", "damaged")),
        ("damage_levels", (*LEVELS, "un-classified"), LEVELS[1:]),
        ("object_states", ("background", "house intact", "house damaged"), ("house intact", "house damaged")),
        ("building", ("background", "building"), ()),
        ("change", ("unchanged", "changed"), ()),
        ("classes", ("background", "road"), ()),
    ],
)
def test_each_scheme_has_its_state_classes(
    scheme: LabelScheme, classes: tuple[str, ...], states: tuple[str, ...]
) -> None:
    assert state_classes(scheme, classes) == states


def test_absent_states_do_not_count_and_without_any_there_is_no_score() -> None:
    iou = {"background": 0.9, "intact": 0.6, "damaged": None}
    assert endpoint_scores(0.75, iou, ("intact", "damaged")) == (0.75, 0.6)
    assert endpoint_scores(0.9, {"background": 0.9, "intact": None, "damaged": None}, ("intact", "damaged")) is None
    assert endpoint_scores(0.75, iou, ()) == (0.75,)
