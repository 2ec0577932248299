import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.stored_chips import StoredChips, speed_job
from benchmarks.turns import Done, ratios, seconds_in_turns


def sleeping() -> Iterator[Done]:
    while True:
        time.sleep(0.2)
        yield Done(2, waiting_share=0.25)


def counting() -> Iterator[Done]:
    """Would go on between its turns, if it were not stopped."""
    done = 0
    while True:
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            done += 1
        yield Done(1)


def test_contestants_take_turns_and_only_the_later_ones_count() -> None:
    found = seconds_in_turns({"one": sleeping, "other": counting}, rounds=3)
    assert [len(found[name].seconds) for name in ("one", "other")] == [3, 3]
    assert all(seconds >= 0.1 for seconds in found["one"].seconds)  # 0.2 s for two steps
    assert found["one"].waiting == [0.25, 0.25, 0.25]
    assert found["one"].peak_mb > 5
    assert len(ratios(found["one"], found["other"])) == 3
    assert all(each.process.exitcode is not None for each in found.values())


def test_chips_come_from_a_store_and_both_sides_see_the_same(tmp_path: Path) -> None:
    chips = StoredChips(tmp_path)
    chips.write(tiles=1)
    job = speed_job("simclr", size=128, batch=4, pairs=16, steps=10, encoder="tu-resnet18")
    images = chips.images(job)
    assert images.shape == (16, 128, 128, 3)
    assert len({image.tobytes() for image in images}) == 16
    source, _ = chips.open(128)
    assert source.warnings == ()


@pytest.mark.slow
def test_the_short_form_trains_for_real_and_prints_one_object() -> None:
    command = [sys.executable, "-m", "benchmarks.pretraining", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=580, check=True)
    rows = {row["metric"]: row for row in json.loads(answer.stdout)["rows"]}
    assert rows["pairs_per_s_vs_lightly_96"]["bar"] in (2.0, None)  # None where the CPU multiplies no bfloat16
    assert (rows["pairs_per_s_vs_bare_cpu"]["bar"], rows["data_wait_cpu"]["bar"]) == (0.95, 0.05)
    assert {"step_memory_1_parts", "step_memory_8_parts"} <= rows.keys()
    assert rows["first_step_without_imports"]["bar"] == 1.5
    assert rows["first_step"]["bar"] == pytest.approx(1.5 + rows["imports"]["value"])
    assert "pairs_per_s_vs_bare_cuda" in rows
    assert all(
        row["value"] > 0 for row in rows.values() if row["metric"] not in ("data_wait_cpu", "pairs_per_s_vs_bare_cuda")
    )
