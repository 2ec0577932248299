import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.method_runs import METHODS, PAIRINGS, RANDOM, Size
from benchmarks.methods import Cell, cells, finished, gains, settings_of, table

ENCODER, DECODER = RANDOM["encoder"], RANDOM["encoder_decoder"]
FOUND = {
    Cell(ENCODER, "same image", 0): 40.0,
    Cell(ENCODER, "same image", 1): 30.0,
    Cell(DECODER, "same image", 0): 20.0,
    Cell("byol", "temporal, clean", 0): 45.0,
    Cell("byol", "temporal, clean", 1): 37.0,
    Cell("moco", "temporal, clean", 1): 29.0,
    Cell("pixpro", "same image", 0): 32.5,
}


def test_gains_are_paired_by_seed() -> None:
    assert gains(FOUND, "byol", "temporal, clean", (0, 1)) == [5.0, 7.0]
    assert gains(FOUND, "moco", "temporal, clean", (0, 1)) == [-1.0]
    assert gains(FOUND, "moco", "same image", (0, 1)) == []


def test_a_method_is_compared_with_random_weights_probed_on_the_features_it_hands_on() -> None:
    assert gains(FOUND, "pixpro", "same image", (0, 1)) == [12.5]
    lines = table(FOUND, (0, 1), ["pixpro", "byol"]).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["20.0", "35.0 ± 7.1"]


def test_the_table_has_every_method_and_says_what_cannot_be() -> None:
    lines = table(FOUND, (0, 1)).splitlines()
    assert len(lines) == 2 + len(METHODS) == 13
    assert "| byol | 35.0 ± 7.1 |  | +6.0 ± 1.4 |  |" in lines
    assert "| moco | 35.0 ± 7.1 |  | -1.0 |  |" in lines
    assert "| seco | 35.0 ± 7.1 | – |  |  |" in lines


def test_every_method_meets_every_pairing_it_can_learn_from() -> None:
    planned = list(cells((0, 1)))
    assert len(planned) == len(set(planned)) == 2 * (len(RANDOM) + len(METHODS) * len(PAIRINGS) - 1)
    assert Cell("seco", "same image", 0) not in planned
    assert set(planned[:2]) == {Cell(DECODER, "same image", 0), Cell(ENCODER, "same image", 0)}


def test_runs_of_other_settings_are_not_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    byol = Cell("byol", "same image", 0)
    file.write_text(json.dumps({"cell": asdict(byol), "miou": 41.0, "settings": settings_of(byol, Size())}) + "\n")
    assert finished([tmp_path / "none.jsonl", file], Size()) == {byol: 41.0}
    assert finished([file], Size(steps=7)) == {}
    assert finished([], Size()) == {}


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
