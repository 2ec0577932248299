import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_short_form_trains_for_real_and_prints_one_object() -> None:
    command = [sys.executable, "-m", "benchmarks.pairing", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=550, check=True)
    rows = {row["metric"]: row for row in json.loads(answer.stdout)["rows"]}
    share = rows["share_of_a_step"]
    assert (share["bar"], share["at_least"]) == (0.05, False)
    assert all(rows[name]["value"] > 0 for name in rows if name.startswith("share_of_a_step"))
