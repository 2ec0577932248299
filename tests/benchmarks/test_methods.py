import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.method_runs import METHODS, PAIRINGS, RANDOM, Size
from benchmarks.methods import Cell, cells, finished, gains, settings, table

FOUND = {
    Cell(RANDOM, "same image", 0): 40.0,
    Cell(RANDOM, "same image", 1): 30.0,
    Cell("byol", "temporal, clean", 0): 45.0,
    Cell("byol", "temporal, clean", 1): 37.0,
    Cell("moco", "temporal, clean", 1): 29.0,
}


def test_gains_are_paired_by_seed() -> None:
    assert gains(FOUND, "byol", "temporal, clean", (0, 1)) == [5.0, 7.0]
    assert gains(FOUND, "moco", "temporal, clean", (0, 1)) == [-1.0]
    assert gains(FOUND, "moco", "same image", (0, 1)) == []


def test_the_table_has_every_method_and_says_what_cannot_be() -> None:
    lines = table(FOUND, (0, 1)).splitlines()
    assert len(lines) == 2 + len(METHODS) == 13
    assert "| byol |  | +6.0 ± 1.4 |  |" in lines
    assert "| moco |  | -1.0 |  |" in lines
    assert "| seco | – |  |  |" in lines


def test_every_method_meets_every_pairing_it_can_learn_from() -> None:
    planned = list(cells((0, 1)))
    assert len(planned) == len(set(planned)) == 2 * (1 + len(METHODS) * len(PAIRINGS) - 1)
    assert Cell("seco", "same image", 0) not in planned
    assert planned[0] == Cell(RANDOM, "same image", 0)


def test_runs_of_other_settings_are_not_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    line = {"cell": {"method": "byol", "pairing": "same image", "seed": 0}, "miou": 41.0, "settings": settings(Size())}
    file.write_text(json.dumps(line) + "\n")
    assert finished(file, Size()) == {Cell("byol", "same image", 0): 41.0}
    assert finished(file, Size(steps=7)) == {}
    assert finished(None, Size()) == {}


@pytest.mark.slow
def test_the_short_form_trains_the_methods_asked_for_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    kept, methods = tmp_path / "cells.jsonl", ["pixel_infonce", "seco"]
    command = [sys.executable, "-m", "benchmarks.methods", "--quick", "--json", "--cells", str(kept)]
    command += ["--methods", *methods]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    rows = json.loads(answer.stdout)["rows"]
    assert len(rows) == len(methods) * len(PAIRINGS) - 1
    runs = kept.read_text()
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(again.stdout)["rows"] == rows
    assert kept.read_text() == runs
