import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_short_form_trains_for_real_and_prints_one_object() -> None:
    command = [sys.executable, "-m", "benchmarks.scene_rendering", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rows = {row["metric"]: row for row in json.loads(answer.stdout)["rows"]}
    assert rows["rendering_64"]["value"] > 0
    assert rows["rendering_vs_training_64"]["bar"] == 1.0
