import csv
import io
import re

import pytest
from rich.console import Console

from frontend.printed_tables import result_table
from frontend.result_records import ArmResult, Results
from frontend.screens.other_scores import f1_table, other_scores_table
from frontend.screens.result_tables import class_table, filter_table, score_table, to_csv

COLOURS = {"temporal": "#123456"}


def results(xview2: float | None) -> Results:
    row: ArmResult = {
        "arm": "temporal",
        "protocol": "fine_tuning",
        "baseline": False,
        "reference": True,
        "seeds": [
            {
                "seed": 0,
                "job": "j",
                "miou": 0.5,
                "iou": {"background": 0.9, "destroyed": 0.1},
                "macro_f1": 0.6,
                "f1": {"background": 0.95, "destroyed": 0.25},
                "accuracy": 0.91,
                "boundary_f1": None,
                "ece": 0.043,
                "xview2": xview2,
            }
        ],
        "missing": {},
        "mean_miou": 0.5,
        "std_miou": None,
        "mean_iou": {"background": 0.9, "destroyed": 0.1},
        "mean_macro_f1": 0.6,
        "mean_f1": {"background": 0.95, "destroyed": 0.25},
        "mean_accuracy": 0.91,
        "mean_boundary_f1": None,
        "mean_ece": 0.043,
        "mean_xview2": xview2,
        "difference": None,
        "difference_seeds": 0,
        "realised_noise": 0.25,
        "realised_mismatch": 0.0,
        "distinct_pairs": 1000.0,
        "exposure_matched": True,
        "filtered": None,
        "score_seconds": None,
        "factors": [],
    }
    return {
        "id": "e",
        "name": "damage",
        "status": "succeeded",
        "classes": ["background", "destroyed"],
        "primary_protocol": "fine_tuning",
        "reference": "temporal",
        "margin": 1.0,
        "looks": [5, 10, 20],
        "verdicts": [],
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


def test_other_scores_stand_beside_iou() -> None:
    shown = other_scores_table(results(None), COLOURS)
    assert re.findall(r"<td>([^<]*)</td>", shown) == ["50.0", "60.0", "91.0", "–", "4.3"]
    by_class = f1_table(results(None), COLOURS)
    assert re.findall(r"<th>([^<]*)</th>", by_class) == ["arm", "background", "destroyed", "macro F1"]
    assert re.findall(r"<td>([^<]*)</td>", by_class) == ["95.0", "25.0", "60.0"]
    (line,) = csv.DictReader(io.StringIO(to_csv(results(None))))
    assert [line[name] for name in ("macro_f1", "accuracy", "boundary_f1", "ece")] == ["0.6", "0.91", "", "0.043"]
    assert line["f1 destroyed"] == "0.25"


def with_facts(**facts: object) -> Results:
    """Results of an arm of which more is known."""
    found = results(None)
    found["rows"][0].update(facts)  # type: ignore[typeddict-item]
    return found


FILTERED = with_facts(
    distinct_pairs=600.5,
    exposure_matched=False,
    filtered={"drawn": 1000.0, "thrown_away": 399.5, "noisy_thrown_away": 180.0, "threshold": 1.2345678},
    score_seconds=12.34,
)


def test_a_filter_is_shown_with_what_it_cost() -> None:
    shown = filter_table(FILTERED, COLOURS)
    cells = ("1 000", "400 (40 %)", "180", "600", "1.235", "12.3")
    assert "".join(f"<td>{cell}</td>" for cell in cells) in shown
    assert "not exposure-matched" in score_table(FILTERED, COLOURS)
    assert "(reference, 25 % noisy, 40 % filtered away, not exposure-matched)" in printed(FILTERED)
    (line,) = csv.DictReader(io.StringIO(to_csv(FILTERED)))
    assert (line["thrown_away"], line["noisy_thrown_away"], line["score_seconds"]) == ("399.5", "180.0", "12.34")
    assert (line["distinct_pairs"], line["exposure_matched"]) == ("600.5", "False")


def test_arms_without_a_filter_have_no_table_of_filters() -> None:
    assert filter_table(results(None), COLOURS) == ""
    assert "exposure" not in score_table(results(None), COLOURS) + printed(results(None))


def test_distinct_pairs_and_mismatches_are_columns_where_there_are_any() -> None:
    assert "<th>noise</th><th>pairs</th>" in score_table(results(None), COLOURS)
    mismatched = with_facts(realised_mismatch=0.2)
    assert "<th>noise</th><th>mismatched</th><th>pairs</th>" in score_table(mismatched, COLOURS)
    assert "<td>25 %</td><td>20 %</td><td>1 000</td>" in score_table(mismatched, COLOURS)
    assert "20 % mismatched" in printed(mismatched)


def test_of_a_baseline_nothing_is_told_of_pairs() -> None:
    baseline = with_facts(
        baseline=True, realised_noise=None, realised_mismatch=None, distinct_pairs=None, exposure_matched=None
    )
    assert "<td>none</td>" in score_table(baseline, COLOURS)
    assert "pairs" not in score_table(baseline, COLOURS) + printed(baseline)
