import json
import subprocess
import sys

import numpy as np
import torch

from benchmarks.metrics import boundary_by_distance_maps, masks, peak_bytes
from pairlab.metrics import boundary_counts


def test_distance_maps_count_the_same_contours() -> None:
    preds, target = (side[0] for side in masks(1, 96))
    target = np.where(target == 255, 4, target).astype(np.uint8)
    preds[preds == 2] = 1  # a class that one side alone shows
    expected = boundary_counts(preds, target, num_classes=5, tolerance=3)
    assert np.array_equal(boundary_by_distance_maps(preds, target), expected)
    assert (expected[:, 0] < expected[:, 1]).any()


def test_peak_memory_is_that_of_what_lives_at_once() -> None:
    def work() -> torch.Tensor:
        one = torch.ones(1000, 250)  # 1 MB
        two = one + one
        del one
        return two * two

    assert 2_000_000 <= peak_bytes(work) <= 2_100_000


def test_the_short_form_prints_a_row_per_figure() -> None:
    command = [sys.executable, "-m", "benchmarks.metrics", "--quick", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rows = {row["metric"]: row for row in json.loads(answer.stdout)["rows"]}
    assert rows.keys() == {
        *(f"counting_{kind}{how}" for kind in ("uint8", "int64", "uint8_64") for how in ("", "_unchecked")),
        *("boundary", "calibration", "window_time", "window_peak_memory"),
    }
    assert all(row["value"] > 0 for row in rows.values())
    assert rows["counting_int64"]["bar"] == 10.0
