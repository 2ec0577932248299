import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_short_form_runs_the_real_stack_and_prints_one_object() -> None:
    command = [sys.executable, "-m", "benchmarks.quickstart", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    content = json.loads(answer.stdout)
    assert content["machine"]["cores"] >= 1
    metrics = [row["metric"] for row in content["rows"]]
    assert metrics[:3] == ["first_loss", "first_miou", "whole_experiment"]
    assert "linear_probe: temporal, clean" in metrics
    assert all({"metric", "value", "unit", "against", "bar", "holds"} <= row.keys() for row in content["rows"])
