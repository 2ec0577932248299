from typing import Any

from frontend.screens.job_choices import choice_words
from frontend.wording import protocol_words

LAST, BEST = {"step": 120, "miou": 0.5}, {"step": 90, "miou": 0.625}


def test_the_rule_comes_first_and_the_other_weights_stand_beside_it() -> None:
    checkpoint = {"rule": "last", "learning_rate": 0.01, "step": 120, "last": LAST, "best": BEST}
    said = choice_words("fine_tuning", checkpoint, [{"learning_rate": 0.01, **LAST}])
    assert said == (
        "Fine-tuning: tested with the last weights (step 120, validation mIoU 50.0); the best were those of step 90 "
        "(62.5)."
    )
    best = choice_words("fine_tuning", {**checkpoint, "rule": "best"}, [{"learning_rate": 0.01, **BEST}])
    assert best.startswith("Fine-tuning: tested with the best weights (step 90, validation mIoU 62.5); the last were")


def test_last_weights_that_are_the_best_are_told_once_and_a_search_tells_all_rates() -> None:
    checkpoint = {"rule": "last", "learning_rate": 0.01, "step": 120, "last": LAST, "best": LAST}
    tried: list[dict[str, Any]] = [{"learning_rate": 0.001, "step": 120, "miou": None}, {"learning_rate": 0.01, **LAST}]
    assert choice_words("small_decoder", checkpoint, tried) == (
        "Small decoder: tested with the last weights (step 120, validation mIoU 50.0). Learning rate 0.01 was chosen "
        "by validation mIoU among 0.001 (–), 0.01 (50.0)."
    )


def test_a_trial_is_named_by_its_rate() -> None:
    assert protocol_words("linear_probe@0.003") == "linear probe at 0.003"
    assert protocol_words("fine_tuning") == "fine-tuning"
