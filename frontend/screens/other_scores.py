"""The scores beside IoU: F1, accuracy, boundary F1 and calibration, as tables."""

from collections.abc import Callable, Mapping
from html import escape

import streamlit as st

from frontend.page import choose_else_default
from frontend.result_records import ArmResult, Results
from frontend.wording import points, protocol_words

Cell = Callable[[ArmResult], str]

WHOLE: dict[str, Cell] = {
    "mIoU": lambda row: points(row["mean_miou"]),
    "macro F1": lambda row: points(row["mean_macro_f1"]),
    "pixel accuracy": lambda row: points(row["mean_accuracy"]),
    "boundary F1": lambda row: points(row["mean_boundary_f1"]),
    "calibration error": lambda row: points(row["mean_ece"]),
}
KINDS = {"together": "all classes together", "f1": "F1 of each class"}


def show_other_scores(results: Results, colours: Mapping[str, str]) -> None:
    """Shows the scores beside IoU, of all classes together or F1 class by class."""
    st.subheader("Other scores", anchor=False)
    with st.container(width=320, key="compare-other-scores"):
        chosen = choose_else_default(
            "Scores", list(KINDS), parameter="scores", default="together", shown=KINDS.__getitem__
        )
    st.html(f1_table(results, colours) if chosen == "f1" else other_scores_table(results, colours))
    st.caption(
        "Means over seeds, points of 100; means over the classes that the test labels show. Boundary F1: contours "
        "within the tolerance of the experiment. Calibration error: how far confidence and accuracy are apart, the "
        "less the better. A dash stands where a job of an older version did not measure it."
    )


def other_scores_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns the table of scores of all classes: a group per protocol, a row per arm."""
    return _table("other-scores", results, colours, WHOLE)


def f1_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns the table of F1 per class and of their mean: a group per protocol, a row per arm."""
    cells: dict[str, Cell] = {name: _f1_of(name) for name in results["classes"]}
    return _table("f1", results, colours, cells | {"macro F1": WHOLE["macro F1"]})


def _f1_of(name: str) -> Cell:
    return lambda row: points(row["mean_f1"].get(name))


def _table(name: str, results: Results, colours: Mapping[str, str], cells: Mapping[str, Cell]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in ("arm", *cells))
    body = []
    protocols = dict.fromkeys(row["protocol"] for row in results["rows"])
    for protocol in sorted(protocols, key=lambda each: each != results["primary_protocol"]):
        words = escape(protocol_words(protocol))
        body.append(f'<tr class="group"><td colspan="{len(cells) + 1}">{words}</td></tr>')
        for row in results["rows"]:
            if row["protocol"] == protocol:
                chip = f'<span class="pl-chip" style="background:{colours[row["arm"]]}"></span>'
                shown = "".join(f"<td>{cell(row)}</td>" for cell in cells.values())
                body.append(f"<tr><td>{chip}{escape(row['arm'])}</td>{shown}</tr>")
    rows = f"<tr>{head}</tr>{''.join(body)}"
    return f'<div class="pl-scroll"><table class="pl-table" data-testid="{name}">{rows}</table></div>'
