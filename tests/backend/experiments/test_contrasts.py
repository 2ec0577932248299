from typing import Any

from backend.experiments.contrasts import exposure_differences, several_factors, unmatched_exposure
from pairlab.experiment.experiment import Experiment

ARMS: dict[str, dict[str, Any]] = {
    "reference": {"pairing": {"policy": "temporal"}},
    "same": {"pairing": {"policy": "same_image"}},
    "first": {"pairing": {"policy": "same_image", "acquisition": "before"}},
    "neighbours": {"pairing": {"policy": "temporal", "time_gap": {"steps": [1, 1]}}},
    "fewer": {"pairing": {"policy": "temporal", "pairs": 10}},
    "elsewhere": {"pairing": {"policy": "temporal"}, "dataset": "other"},
    "selected": {"pairing": {"policy": "temporal"}, "scenes": {"name": "a"}},
    "pooled": {"pairing": {"policy": "same_image"}, "method": {"name": "simclr"}},
    "random": {"baseline": "random_initialisation"},
}


def experiment(arms: dict[str, Any], reference: str = "reference") -> Experiment:
    return Experiment.model_validate({"name": "contrasts", "dataset": "scenes", "arms": arms, "reference": reference})


def test_other_images_are_told_from_the_configuration() -> None:
    asked = experiment(ARMS)
    assert {name: exposure_differences(asked, name) for name in ARMS} == {
        "reference": (),
        "same": (),
        "first": ("other acquisitions",),
        "neighbours": ("other acquisitions",),
        "fewer": ("10 pairs instead of 1,000",),
        "elsewhere": (),
        "selected": (),
        "pooled": (),
        "random": (),
    }


def test_an_arm_without_pretraining_has_no_exposure_to_match() -> None:
    asked = experiment(ARMS, reference="random")
    assert all(exposure_differences(asked, name) == () for name in ARMS)
    assert several_factors(asked) == []


def test_several_factors_are_named() -> None:
    (sentence,) = several_factors(experiment(ARMS))
    assert sentence.startswith("arm 'pooled' differs from 'reference' in method and pairing: ")


def test_what_was_replaced_or_thrown_away_is_told_by_the_draw() -> None:
    replaced = {"policy": "temporal", "noise": {"rate": 0.5, "control": "replace"}}
    filtered = {"policy": "temporal", "noise": {"rate": 0.5}, "filter": "oracle"}
    whole = {"policy": "temporal", "noise": {"rate": 1.0}}
    arms = {"reference": {"pairing": whole}, "replaced": {"pairing": replaced}, "filtered": {"pairing": filtered}}
    asked = experiment(arms)
    assert unmatched_exposure(asked, dict.fromkeys(arms, True)) == []
    assert unmatched_exposure(asked, dict.fromkeys(arms)) == []
    sentences = unmatched_exposure(asked, {"reference": True, "replaced": False, "filtered": False})
    assert sentences == [
        "arm 'replaced' is not exposure-matched (control 'replace' shows other places): its difference is also one of "
        "the images shown",
        "arm 'filtered' is not exposure-matched (its filter throws pairs away): its difference is also one of the "
        "images shown",
    ]
    (of_reference,) = unmatched_exposure(asked, {"reference": False})
    assert "all differences to it are also" in of_reference
