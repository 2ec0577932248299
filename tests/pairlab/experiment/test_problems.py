from typing import Any

import pytest
from pydantic import ValidationError

from pairlab.experiment.experiment import Experiment
from pairlab.experiment.problems import MAX_PROBLEMS, ExperimentError, problems_of

BASE: dict[str, Any] = {
    "name": "q",
    "dataset": "d",
    "reference": "a",
    "arms": {"a": {"baseline": "random_initialisation"}},
}
METHODS = (
    "'pixel_infonce', 'densecl', 'pixpro', 'vicregl', 'simclr', 'moco', 'byol', 'simsiam', 'vicreg', 'barlow_twins', "
    "'seco'"
)


def problems(**fields: Any) -> list[str]:  # noqa: ANN401
    with pytest.raises(ValidationError) as error:
        Experiment.model_validate({**BASE, **fields})
    return problems_of(error.value, model=Experiment)


def pairing(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"a": {"pairing": fields}}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"margin": 0}, "margin: must be greater than 0 (got 0)"),
        ({"margin": float("nan")}, "margin: must be a finite number (got nan)"),
        ({"margin": float("inf")}, "margin: must be a finite number (got inf)"),
        ({"margin": None}, "margin: must be a valid number (got null)"),
        ({"chip_size": 33}, "chip_size: must be a multiple of 32 (got 33)"),
        ({"seeds": []}, "seeds: must have at least 1 entries, has 0"),
        ({"seeds": [0, -1]}, "seeds.1: must be greater than or equal to 0 (got -1)"),
        ({"seeds": [True]}, "experiment: seeds cannot be true or false, got true"),
        ({"margin": False}, "experiment: margin cannot be true or false, got false"),
        ({"pretraining": 3}, "pretraining: must be a mapping of fields (got 3)"),
        ({"name": 3}, "name: must be a valid string (got 3): put it in quotes"),
        ({"name": ""}, "name: must have at least 1 character (got '')"),
        ({"tset": 1}, "tset: unknown key; did you mean 'dataset'?"),
        (
            {"splits": {"zzz": 1}},
            "splits.zzz: unknown key; there are: by, test_events, test_share, validation_share, block_metres, seed",
        ),
        ({"method": {"name": "swav"}}, f"method.name: 'swav' is not one of {METHODS}"),
        ({"method": {"temperature": 1}}, f"method.name: is missing; it is one of {METHODS}"),
        ({"method": 3}, "method: must be a mapping of fields (got 3)"),
        (
            {"method": {"name": "simclr", "temprature": 1}},
            "method.temprature: unknown key; did you mean 'temperature'?",
        ),
        ({"method": {"name": "simclr", "temperature": -1}}, "method.temperature: must be greater than 0 (got -1)"),
        (
            {"protocols": [{"name": "fine_tuning", "steps": 0}]},
            "protocols.0.steps: must be greater than or equal to 1 (got 0)",
        ),
        (
            {"pretraining": {"augmentation": {"crop_scale": [0.9, 0.5]}}},
            "pretraining.augmentation: crop_scale must be [low, high] with 0 < low ≤ high ≤ 1, got [0.9, 0.5]",
        ),
        (
            {"arms": pairing(policy="temporl")},
            "arms.a.pairing.policy: must be 'same_image' or 'temporal' (got 'temporl')",
        ),
        ({"arms": pairing(policy="temporal", pair=9)}, "arms.a.pairing.pair: unknown key; did you mean 'pairs'?"),
        (
            {"arms": pairing(policy="temporal", noise={"extent": [0.5]})},
            "arms.a.pairing.noise.extent.1: is missing",
        ),
        (
            {"arms": pairing(policy="temporal", noise={"extent": [0.5, 2]})},
            "arms.a.pairing.noise.extent.1: must be less than or equal to 1 (got 2)",
        ),
        (
            {"arms": {"a": {}}},
            "arms.a: an arm has either a pairing (it is pretrained) or a baseline (random_initialisation or "
            "initial_weights)",
        ),
        ({"arms": {"a\nb": BASE["arms"]["a"]}}, r"arms.'a\nb': as a name, must match pattern"),
        ({"arms": {0.5: BASE["arms"]["a"]}}, "arms.0.5: as a name, must be a valid string (got 0.5): put it in quotes"),
        (
            {"arms": {"a": BASE["arms"]["a"], " a ": BASE["arms"]["a"]}},
            "arms: two arms are named 'a' (white space around a name does not count)",
        ),
    ],
)
def test_each_problem_is_a_sentence_with_field_value_and_remedy(fields: dict[str, Any], said: str) -> None:
    (sentence,) = problems(**fields)
    assert sentence.startswith(said)


def test_all_problems_are_told_at_once() -> None:
    said = problems(margin=-1, method={"name": "simclr", "temperature": 0}, protocols=[{"name": "x"}], extra=1)
    assert [sentence.partition(":")[0] for sentence in said] == [
        "method.temperature",
        "margin",
        "protocols.0.name",
        "extra",
    ]


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValidationError) as error:
        Experiment.model_validate({"name": "q"})
    assert problems_of(error.value, model=Experiment) == [
        "dataset: is missing",
        "arms: is missing",
        "reference: is missing",
    ]


def test_thousands_of_problems_are_cut_short() -> None:
    said = problems(seeds=[-1] * 1000)
    assert len(said) == MAX_PROBLEMS + 1
    assert said[-1] == "and 950 more problems of this kind"


def test_long_values_are_not_repeated() -> None:
    (sentence,) = problems(dataset="X" * 500)
    assert len(sentence) < 120


def test_an_unknown_model_still_gives_sentences() -> None:
    with pytest.raises(ValidationError) as error:
        Experiment.model_validate({**BASE, "method": {"name": "simclr", "temprature": 1}, "margin": 0})
    assert problems_of(error.value) == [
        "method.simclr.temprature: unknown key",
        "margin: must be greater than 0 (got 0)",
    ]


def test_the_error_reads_as_one_line() -> None:
    assert str(ExperimentError(["a: is missing", "b: is missing"])) == "a: is missing; b: is missing"
