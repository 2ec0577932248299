import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live_stack import SAMPLE

COMMAND = [sys.executable, "-m", "benchmarks.match_tolerance", "--quick", "--json"]


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"NO REAL TILES: there is no {SAMPLE}; set PAIRLAB_XBD_SAMPLE")
def test_the_short_form_trains_on_real_tiles_and_prints_one_object() -> None:
    answer = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        timeout=550,
        check=True,
        env={**os.environ, "PAIRLAB_XBD_SAMPLE": str(SAMPLE)},
    )
    rows = json.loads(answer.stdout)["rows"]
    scores = [row for row in rows if row["metric"].startswith("probe mIoU")]
    losses = [row for row in rows if row["metric"].startswith("final loss")]
    assert len(scores) == len(losses) + 1 == 3
    assert all(0 < row["value"] < 100 and row["bar"] is None for row in scores)
    assert all(row["value"] > 0 for row in losses)


def test_without_tiles_it_says_what_is_missing(tmp_path: Path) -> None:
    answer = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PAIRLAB_XBD_SAMPLE": str(tmp_path)},
    )
    assert answer.returncode == 1
    assert f"there are no xBD tiles in {tmp_path}: set PAIRLAB_XBD_SAMPLE" in answer.stderr
