"""Tables of results: scores per arm and IoU per class as HTML, all of it as CSV."""

import csv
import io
from collections.abc import Mapping
from html import escape

from frontend.api_records import ArmResult, Results
from frontend.printed_tables import has_xview2
from frontend.wording import STATUS_WORDS, percent, points, protocol_words, signed

STATES = {**STATUS_WORDS, "blocked": "waiting", "lost": "queued"}
"""Short enough for a cell."""


def score_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns the table of scores: a group per protocol, a row per arm, a figure per seed."""
    seeds = sorted({*_scored_seeds(results), *_missing_seeds(results)})
    shown = seeds if len(seeds) <= 10 else []
    heads = ["arm", "noise", *(f"seed {seed}" for seed in shown), "mean", "±", "difference"]
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = []
    for protocol in _protocols(results):
        primary = " (primary)" if protocol == results["primary_protocol"] else ""
        words = escape(protocol_words(protocol) + primary)
        body.append(f'<tr class="group"><td colspan="{len(heads)}">{words}</td></tr>')
        for row in results["rows"]:
            if row["protocol"] == protocol:
                body.append(_score_row(row, shown, colours))
    return _table("scores", head, body)


def class_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns the table of mean IoU per class, and of damage levels the xView2 score: a group per protocol."""
    official = has_xview2(results)
    names = ["arm", *results["classes"], "mIoU", *(["xView2 score"] if official else [])]
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = []
    for protocol in _protocols(results):
        words = escape(protocol_words(protocol))
        body.append(f'<tr class="group"><td colspan="{len(names)}">{words}</td></tr>')
        for row in results["rows"]:
            if row["protocol"] == protocol:
                cells = "".join(f"<td>{points(row['mean_iou'].get(name))}</td>" for name in results["classes"])
                mean = f'<td class="strong">{points(row["mean_miou"])}</td>'
                mean += f"<td>{points(row['mean_xview2'])}</td>" if official else ""
                body.append(f"<tr>{_arm_cell(row, colours)}{cells}{mean}</tr>")
    return _table("classes", head, body)


def to_csv(results: Results) -> str:
    """Returns one line per arm, protocol and seed; IoU in [0, 1]."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(
        ["experiment", "arm", "protocol", "reference", "baseline", "realised_noise", "seed", "miou"]
        + [f"iou {name}" for name in results["classes"]]
        + (["xview2"] if has_xview2(results) else [])
    )
    for row in results["rows"]:
        for score in row["seeds"]:
            writer.writerow(
                [results["name"], row["arm"], row["protocol"], row["reference"], row["baseline"], row["realised_noise"]]
                + [score["seed"], score["miou"]]
                + [score["iou"].get(name) for name in results["classes"]]
                + ([score["xview2"]] if has_xview2(results) else [])
            )
    return buffer.getvalue()


def _table(name: str, head: str, body: list[str]) -> str:
    rows = f"<tr>{head}</tr>{''.join(body)}"
    return f'<div class="pl-scroll"><table class="pl-table" data-testid="{name}">{rows}</table></div>'


def _score_row(row: ArmResult, seeds: list[int], colours: Mapping[str, str]) -> str:
    scores = {score["seed"]: score["miou"] for score in row["seeds"]}
    cells = []
    for seed in seeds:
        if seed in scores:
            cells.append(f"<td>{points(scores[seed])}</td>")
        else:
            state = row["missing"].get(str(seed))
            cells.append(f'<td class="pl-dim">{escape(STATES.get(state, state) if state else "–")}</td>')
    difference = "reference" if row["reference"] else signed(row["difference"])
    noise = "none" if row["baseline"] else percent(row["realised_noise"], 0)
    return (
        f"<tr>{_arm_cell(row, colours)}<td>{noise}</td>{''.join(cells)}"
        f'<td class="strong">{points(row["mean_miou"])}</td><td>{points(row["std_miou"])}</td>'
        f"<td>{difference}</td></tr>"
    )


def _arm_cell(row: ArmResult, colours: Mapping[str, str]) -> str:
    return f'<td><span class="pl-chip" style="background:{colours[row["arm"]]}"></span>{escape(row["arm"])}</td>'


def _protocols(results: Results) -> list[str]:
    names = list(dict.fromkeys(row["protocol"] for row in results["rows"]))
    return sorted(names, key=lambda name: name != results["primary_protocol"])


def _scored_seeds(results: Results) -> set[int]:
    return {score["seed"] for row in results["rows"] for score in row["seeds"]}


def _missing_seeds(results: Results) -> set[int]:
    return {int(seed) for row in results["rows"] for seed in row["missing"]}
