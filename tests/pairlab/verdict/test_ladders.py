from typing import Any

from pairlab.experiment.experiment import Experiment
from pairlab.verdict.ladders import ladders_of


def experiment(reference: str, **arms: dict[str, Any]) -> Experiment:
    pairings = {name: {"pairing": {"policy": "temporal", "noise": noise}} for name, noise in arms.items()}
    same = {"same": {"pairing": {"policy": "same_image"}}, "random": {"baseline": "random_initialisation"}}
    return Experiment.model_validate(
        {"name": "ladder", "dataset": "scenes", "arms": {**same, **pairings}, "reference": reference}
    )


def test_rates_are_a_ladder_from_the_lowest_on() -> None:
    rates = {"all": {"rate": 1.0}, "none": {"rate": 0.0}, "half": {"rate": 0.5}}
    assert ladders_of(experiment("same", **rates)) == (("none", "half", "all"),)
    assert ladders_of(experiment("none", **rates)) == (("half", "all"),)


def test_around_a_reference_in_the_middle_there_is_no_order() -> None:
    assert ladders_of(experiment("half", none={"rate": 0.0}, half={"rate": 0.5}, all={"rate": 1.0})) == ()


def test_arms_that_differ_in_more_than_the_knob_are_no_rungs() -> None:
    assert ladders_of(experiment("same", low={"rate": 0.2}, high={"rate": 0.8, "extent": [0.5, 1.0]})) == ()
    assert ladders_of(experiment("same", low={"rate": 0.2})) == ()


def test_shifts_and_mismatches_are_ladders_too_and_an_arm_is_in_one_only() -> None:
    arms = {"still": {}, "shift 2": {"shift_px": 2.0}, "shift 4": {"shift_px": 4.0}, "other": {"mismatch_rate": 0.5}}
    assert ladders_of(experiment("still", **arms)) == (("shift 2", "shift 4"),)
    grid = {f"{rate} {shift}": {"rate": rate, "shift_px": shift} for rate in (0.0, 1.0) for shift in (0.0, 3.0)}
    assert ladders_of(experiment("same", **grid)) == (("0.0 0.0", "1.0 0.0"), ("0.0 3.0", "1.0 3.0"))
