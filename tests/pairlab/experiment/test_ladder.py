import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairlab.experiment.experiment import Experiment
from pairlab.experiment.ladder import MAX_ARMS, MAX_NAME, Rungs, build_ladder
from pairlab.experiment.pairing import Pairing
from pairlab.experiment.problems import ExperimentError

CVA = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.9}


def experiment(**arms: Any) -> Experiment:  # noqa: ANN401
    base = {"pairing": {"policy": "temporal", "pairs": 400, "noise": {"rate": 0.5, "control": "masked"}}}
    all_arms = {"random": {"baseline": "random_initialisation"}, "half": base, **arms}
    return Experiment.model_validate({"name": "e", "dataset": "d", "arms": all_arms, "reference": "half"})


def edited(of: Experiment, edit: dict[str, Any]) -> Experiment:
    return Experiment.model_validate({**of.model_dump(mode="json", exclude_unset=True), **edit})


def ladder(
    rungs: dict[str, Any],
    *,
    keep: tuple[str, ...] = (),
    of: str = "half",
    **arms: Any,  # noqa: ANN401
) -> Experiment:
    before = experiment(**arms)
    return edited(before, build_ladder(before, Rungs.model_validate(rungs), of=of, keep=keep))


def pairing(of: Experiment, name: str) -> Pairing:
    found = of.arms[name].pairing
    assert found is not None
    return found


def refusal(rungs: dict[str, Any], **options: Any) -> str:  # noqa: ANN401
    with pytest.raises(ExperimentError) as error:
        ladder(rungs, **options)
    (problem,) = error.value.problems
    return problem


def test_rates_are_rungs_from_the_least_on_and_the_least_is_the_reference() -> None:
    built = ladder({"rates": [1, 0.25, 0, 0.25]})
    assert list(built.arms) == ["noise 0 %", "noise 25 %", "noise 100 %"]
    assert built.reference == "noise 0 %"
    assert [pairing(built, name).noise.rate for name in built.arms] == [0, 0.25, 1]
    assert {(each.pairs, each.noise.control) for each in map(pairing, [built] * 3, built.arms)} == {(400, "masked")}


def test_kept_arms_stay_first_and_keep_the_reference() -> None:
    built = ladder({"rates": [0, 1], "seeds": [3, 4, 3]}, keep=("half", "random"))
    assert list(built.arms) == ["random", "half", "noise 0 %", "noise 100 %"]
    assert (built.reference, built.seeds) == ("half", (3, 4))
    assert built.arms["half"] == experiment().arms["half"]


def test_a_rung_that_equals_a_kept_arm_does_not_come_twice() -> None:
    built = ladder({"rates": [0, 0.5]}, keep=("half",))
    assert list(built.arms) == ["half", "noise 0 %"]


def test_a_name_that_a_kept_arm_has_gets_a_number() -> None:
    other = {"pairing": {"policy": "temporal", "noise": {"rate": 0.75}}}
    named: dict[str, Any] = {"noise 0 %": other}
    built = ladder({"rates": [0, 0.25]}, keep=("noise 0 %",), **named)
    assert list(built.arms) == ["noise 0 %", "noise 0 % 2", "noise 25 %"]
    assert pairing(built, "noise 0 %").noise.rate == 0.75
    assert built.reference == "noise 0 % 2"


def test_all_combinations_of_two_knobs_are_rungs_and_rate_0_is_one_for_all_extents() -> None:
    built = ladder({"rates": [0, 0.5, 1], "extents": [(0.5, 1), (0, 0.5)]})
    assert list(built.arms) == [
        "noise 0 %",
        "noise 50 %, extent 0–50 %",
        "noise 100 %, extent 0–50 %",
        "noise 50 %, extent 50–100 %",
        "noise 100 %, extent 50–100 %",
    ]
    assert pairing(built, "noise 0 %").noise.extent == (0, 1)
    assert pairing(built, "noise 100 %, extent 50–100 %").noise.extent == (0.5, 1)


def test_extents_of_an_arm_that_sets_no_rate_are_of_all_its_pairs() -> None:
    plain = {"pairing": {"policy": "temporal", "noise": {"rate": None}}}
    built = ladder({"extents": [(0, 0.5), (0.5, 1)]}, of="plain", plain=plain)
    assert [pairing(built, name).noise.rate for name in built.arms] == [1, 1]


def test_neutral_values_are_left_out_of_the_file() -> None:
    before = experiment()
    edit = build_ladder(before, Rungs(mismatch_rates=(0.0, 0.5), shifts_px=(0.0, 2.5)), of="half")
    assert edit["arms"]["mismatch 0 %, shift 0 px"] == before.arms["half"].model_dump(exclude_unset=True)
    noise = edit["arms"]["mismatch 50 %, shift 2.5 px"]["pairing"]["noise"]
    assert noise == {"rate": 0.5, "control": "masked", "mismatch_rate": 0.5, "shift_px": 2.5}


def test_filters_stand_in_their_order_and_none_is_not_written() -> None:
    built = ladder({"filters": ["none", "oracle", CVA]})
    assert list(built.arms) == ["no filter", "oracle filter", "filter cva, quantile 0.9"]
    assert [pairing(built, name).filter.by for name in built.arms] == ["none", "oracle", "change_score"]
    assert "filter" not in built.arms["no filter"].model_dump(exclude_unset=True)["pairing"]


def test_same_image_is_one_rung_before_all_others_and_not_their_reference() -> None:
    built = ladder({"policies": ["temporal", "same_image"], "rates": [0, 1]})
    assert list(built.arms) == ["same image", "noise 0 %", "noise 100 %"]
    assert built.reference == "noise 0 %"
    assert built.arms["same image"].model_dump(exclude_unset=True) == {
        "pairing": {"policy": "same_image", "pairs": 400}
    }


def test_policies_alone_take_the_same_image_as_reference() -> None:
    built = ladder({"policies": ["same_image", "temporal"]})
    assert (list(built.arms), built.reference) == (["same image", "temporal"], "same image")


def test_rungs_have_the_method_dataset_and_scenes_of_their_arm() -> None:
    other = {"method": {"name": "simclr"}, "dataset": "elsewhere", "scenes": {"events": ["fire"]}}
    arm = {"pairing": {"policy": "temporal", "noise": {"rate": 0, "control": "replace"}}, **other}
    built = ladder({"rates": [0, 1]}, of="other", other=arm)
    for each in built.arms.values():
        assert each.model_dump(mode="json", exclude_unset=True).items() >= other.items()


@pytest.mark.parametrize(
    ("rungs", "options", "said"),
    [
        ({"rates": [0]}, {"of": "nobody"}, "there is no arm 'nobody'; the arms are: random, half"),
        ({"rates": [0]}, {"of": "random"}, "arm 'random' is a baseline and draws no pairs"),
        ({}, {}, "a ladder needs values of at least one knob"),
        ({"seeds": [1]}, {}, "a ladder needs values of at least one knob"),
        ({"policies": ["same_image"], "rates": [0]}, {}, "add the policy temporal"),
        ({"rates": [0.75], "mismatch_rates": [0.5]}, {}, "'noise 75 %, mismatch 50 %': .*add up to at most 1"),
        ({"filters": [CVA], "mismatch_rates": [0.5]}, {}, "rung .* mismatched pairs show two"),
        ({"shifts_px": [each / 2 for each in range(101)]}, {}, "would have 101 arms; at most 100 are allowed"),
    ],
)
def test_what_makes_no_ladder_says_why(rungs: dict[str, Any], options: dict[str, Any], said: str) -> None:
    problem = refusal(rungs, **options)
    assert re.search(said, problem), problem


def test_extents_of_an_arm_without_noisy_pairs_are_refused() -> None:
    clean = {"pairing": {"policy": "temporal", "noise": {"rate": 0}}}
    assert "arm 'clean' has rate 0" in refusal({"extents": [(0, 0.5)]}, of="clean", clean=clean)


SHARES = st.lists(st.integers(0, 40).map(lambda each: each / 80), max_size=4)
EXTENTS = st.lists(st.tuples(st.integers(0, 50), st.integers(50, 100)).map(lambda e: (e[0] / 100, e[1] / 100)))


@given(
    SHARES,
    EXTENTS.filter(lambda extents: len(extents) < 3),
    SHARES,
    st.lists(st.floats(0, 64), max_size=2),
    st.sampled_from([[], ["none"], ["none", "oracle"]]),
)
def test_every_ladder_is_an_experiment_whose_arms_differ_and_have_short_names(
    rates: list[float],
    extents: list[tuple[float, float]],
    mismatches: list[float],
    shifts: list[float],
    filters: list[str],
) -> None:
    rungs = Rungs.model_validate(
        {"rates": rates, "extents": extents, "mismatch_rates": mismatches, "shifts_px": shifts, "filters": filters}
    )
    before = experiment()
    try:
        built = edited(before, build_ladder(before, rungs, of="half", keep=("random",)))
    except ExperimentError as error:
        assert not rungs.knobs or f"at most {MAX_ARMS}" in str(error)  # noqa: PT017
        return
    arms = list(built.arms.values())
    assert all(one != other for place, one in enumerate(arms) for other in arms[place + 1 :])
    assert all(len(name) <= MAX_NAME for name in built.arms)
    found = {each.pairing.noise.rate for each in arms if each.pairing is not None}
    assert found == set(rates or [0.5])
    least = pairing(built, built.reference).noise
    assert least.rate == min(rates or [0.5])
    assert (least.mismatch_rate, least.shift_px) == (min(mismatches or [0]), min(shifts or [0]))
