from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlab.experiment.differences import Difference, differences
from pairlab.experiment.experiment import Experiment

BASE: dict[str, Any] = {
    "name": "e",
    "dataset": "d",
    "method": {"name": "pixel_infonce", "temperature": 0.1},
    "arms": {
        "random": {"baseline": "random_initialisation"},
        "half": {"pairing": {"policy": "temporal", "noise": {"rate": 0.5}, "filter": "oracle"}},
    },
    "reference": "half",
    "protocols": [{"name": "linear_probe", "steps": 10}, {"name": "fine_tuning"}],
}


def changes(**fields: Any) -> list[Difference]:  # noqa: ANN401
    return differences(Experiment.model_validate(BASE), Experiment.model_validate({**BASE, **fields}))


def arms(**half: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"random": BASE["arms"]["random"], "half": {**BASE["arms"]["half"], **half}}


def test_equal_experiments_differ_in_nothing() -> None:
    assert changes() == []


def test_a_default_that_is_written_out_is_no_difference() -> None:
    assert changes(margin=1.0, pretraining={"steps": 300}, splits={"by": "official"}) == []


def test_fields_are_named_from_the_outermost_on_with_both_values() -> None:
    found = changes(margin=2.0, pretraining={"steps": 40, "augmentation": {"flips": False}}, seeds=[7])
    assert found == [
        Difference(("pretraining", "steps"), 300, 40),
        Difference(("pretraining", "augmentation", "flips"), True, False),
        Difference(("margin",), 1.0, 2.0),
        Difference(("seeds",), [0, 1], [7]),
    ]


def test_a_knob_of_an_arm_is_one_difference() -> None:
    pairing = {"policy": "temporal", "noise": {"rate": 0.75, "extent": [0, 0.5]}, "filter": "oracle"}
    assert changes(arms=arms(pairing=pairing)) == [
        Difference(("arms", "half", "pairing", "noise", "rate"), 0.5, 0.75),
        Difference(("arms", "half", "pairing", "noise", "extent"), [0.0, 1.0], [0.0, 0.5]),
    ]


def test_an_arm_that_one_of_both_lacks_is_one_difference_without_its_defaults() -> None:
    found = changes(arms={"half": BASE["arms"]["half"], "more": {"pairing": {"policy": "temporal"}}})
    assert found == [
        Difference(("arms", "random"), {"baseline": "random_initialisation"}, None),
        Difference(("arms", "more"), None, {"pairing": {"policy": "temporal"}}),
    ]


def test_values_of_another_kind_are_compared_as_a_whole() -> None:
    score = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.9}
    pairing = {**BASE["arms"]["half"]["pairing"], "filter": score}
    assert changes(method={"name": "simclr"}, arms=arms(pairing=pairing)) == [
        Difference(("method",), {"name": "pixel_infonce", "temperature": 0.1}, {"name": "simclr"}),
        Difference(("arms", "half", "pairing", "filter"), {"by": "oracle"}, score),
    ]


def test_another_name_is_no_other_kind() -> None:
    assert changes(name="other") == [Difference(("name",), "e", "other")]
    named = [{"name": "pixel_infonce"}, {"name": "simclr", "temperature": 0.2}]
    found = changes(arms=arms(method=named[0]), method=named[0])
    assert found == [
        Difference(("method", "temperature"), 0.1, 0.2),
        Difference(("arms", "half", "method"), None, named[0]),
    ]


def test_protocols_are_compared_by_name_and_their_order_counts() -> None:
    tuning, probe = {"name": "fine_tuning", "steps": 5}, BASE["protocols"][0]
    assert changes(protocols=[tuning, probe]) == [
        Difference(("protocols", "fine_tuning", "steps"), 200, 5),
        Difference(("protocols",), ["linear_probe", "fine_tuning"], ["fine_tuning", "linear_probe"]),
    ]
    assert changes(protocols=[probe]) == [Difference(("protocols", "fine_tuning"), {"name": "fine_tuning"}, None)]


@pytest.mark.parametrize("name", ["name", "by", "method", "filter", "score", "protocols"])
def test_an_arm_or_column_may_have_any_name(name: str) -> None:
    one, other = ({"pairing": {"policy": "temporal", "pairs": pairs}} for pairs in (10, 20))
    before, after = (
        Experiment.model_validate(
            {**BASE, "arms": {name: arm}, "reference": name, "scenes": {"where": {name: [value]}}}
        )
        for arm, value in ((one, "a"), (other, "b"))
    )
    assert differences(before, after) == [
        Difference(("scenes", "where", name), ["a"], ["b"]),
        Difference(("arms", name, "pairing", "pairs"), 10, 20),
    ]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "margin": st.sampled_from([0.5, 1.0, 2.0]),
            "seeds": st.sampled_from([[0], [0, 1], [1, 0]]),
            "labels": st.fixed_dictionaries({}, optional={"train_chips": st.sampled_from([8, 32])}),
            "chip_size": st.sampled_from([64, 96]),
        },
    )
)
def test_the_way_back_has_old_and_new_exchanged(fields: dict[str, Any]) -> None:
    one, other = (Experiment.model_validate({**BASE, **each}) for each in ({}, fields))
    there, back = differences(one, other), differences(other, one)
    assert [(path, new, old) for path, old, new in there] == [tuple(each) for each in back]
    assert bool(there) == (one != other)
