import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.verdict import false_words
from benchmarks.verdict_settings import HIGH, LOPSIDED, LOW, Setting, settings


def test_the_short_form_measures_false_words_and_power_and_prints_one_object() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.verdict", "--quick", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    rows = json.loads(answer.stdout)["rows"]
    words = [row for row in rows if row["metric"].startswith("false ") and row["bar"] is not None]
    assert {row["metric"].split(":")[0] for row in words} >= {"false robust", "false harmed", "false not harmed"}
    assert all(0 < row["value"] < 0.2 and 0.05 < row["bar"] < 0.07 for row in words)
    assert sum(row["metric"].startswith("power off") for row in rows) == 24


def test_a_test_that_is_too_bold_misses_the_bar() -> None:
    bold = Setting("bold", ((LOW,),), LOPSIDED["one run in ten collapses"])
    found = {row.metric.split(":")[0]: row for row in false_words(bold, 1000)}
    assert found["false robust"].holds is False


@pytest.mark.parametrize("setting", [each for each in settings() if "0" in each.name][:6], ids=lambda each: each.name)
def test_a_setting_draws_errors_around_its_truth(setting: Setting) -> None:
    differences = setting.draw(np.random.default_rng(0), 4000)
    assert differences.shape == (4000, len(setting.truth), len(setting.truth[0]), setting.looks[-1])
    assert differences.mean(axis=(0, 3)) == pytest.approx(np.array(setting.truth), abs=0.02)
    assert differences.std() > 0


def test_each_word_is_false_of_the_arms_it_is_false_of() -> None:
    setting = Setting("truths", ((0.0, 0.0), (LOW, 0.0), (HIGH, 0.0), (-2.0, 2.0), (0.0, 2.0)))
    false = {word: arms.tolist() for word, arms in setting.is_false.items()}
    assert false == {
        "robust": [False, True, True, True, True],
        "benefits": [True, True, True, True, False],
        "harmed": [True, True, True, False, True],
        "not_harmed": [False, True, False, True, False],
    }
