import csv
import io

import pytest
from rich.console import Console

from frontend.api_records import ArmResult, Results
from frontend.printed_tables import result_table
from frontend.screens.result_tables import class_table, to_csv

COLOURS = {"temporal": "#123456"}


def results(xview2: float | None) -> Results:
    row: ArmResult = {
        "arm": "temporal",
        "protocol": "fine_tuning",
        "baseline": False,
        "reference": True,
        "seeds": [{"seed": 0, "job": "j", "miou": 0.5, "iou": {"background": 0.9, "destroyed": 0.1}, "xview2": xview2}],
        "missing": {},
        "mean_miou": 0.5,
        "std_miou": None,
        "mean_iou": {"background": 0.9, "destroyed": 0.1},
        "mean_xview2": xview2,
        "difference": None,
        "difference_seeds": 0,
        "realised_noise": 0.25,
    }
    return {
        "id": "e",
        "name": "damage",
        "status": "succeeded",
        "classes": ["background", "destroyed"],
        "primary_protocol": "fine_tuning",
        "reference": "temporal",
        "margin": 1.0,
        "rows": [row],
        "notes": [],
    }


def printed(table: Results) -> str:
    console = Console(width=120, file=io.StringIO())
    with console.capture() as capture:
        console.print(result_table(table))
    return capture.get()


def test_damage_levels_show_the_official_score_beside_miou() -> None:
    shown = class_table(results(0.731), COLOURS)
    assert "<th>xView2 score</th>" in shown
    assert "<td>73.1</td>" in shown
    (line,) = csv.DictReader(io.StringIO(to_csv(results(0.731))))
    assert line["xview2"] == "0.731"
    assert "xView2" in printed(results(0.731))
    assert "73.1" in printed(results(0.731))


@pytest.mark.parametrize("shown", [class_table(results(None), COLOURS), to_csv(results(None)), printed(results(None))])
def test_other_classes_have_no_such_column(shown: str) -> None:
    assert "xview2" not in shown.lower()
    assert "destroyed" in shown
