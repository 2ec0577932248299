"""Tables of results: scores per arm and IoU per class as HTML, all of it as CSV."""

import csv
import io
from collections.abc import Mapping
from html import escape

from frontend.printed_tables import has_xview2
from frontend.result_records import ArmResult, Results
from frontend.score_wording import figure
from frontend.verdict_wording import p_words, precise, sign_words
from frontend.wording import STATUS_WORDS, grouped, percent, points, protocol_words, signed

PAIR_COLUMNS = (
    *("realised_noise", "realised_mismatch", "distinct_pairs", "exposure_matched"),
    *("thrown_away", "noisy_thrown_away", "score_seconds"),
)
STATES = {**STATUS_WORDS, "blocked": "waiting", "lost": "queued"}
"""Short enough for a cell."""


def score_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns the table of scores: a group per protocol, a row per arm, a figure per seed."""
    seeds = sorted({*_scored_seeds(results), *_missing_seeds(results)})
    shown = seeds if len(seeds) <= 10 else []
    facts = [name for name in PAIR_FACTS if any(PAIR_FACTS[name](row) is not None for row in results["rows"])]
    heads = ["arm", *facts, *(f"seed {seed}" for seed in shown), "mean", "±", "difference"]
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = []
    for protocol in _protocols(results):
        primary = " (primary)" if protocol == results["primary_protocol"] else ""
        words = escape(protocol_words(protocol) + primary)
        body.append(f'<tr class="group"><td colspan="{len(heads)}">{words}</td></tr>')
        for row in results["rows"]:
            if row["protocol"] == protocol:
                body.append(_score_row(row, facts, shown, colours))
    return _table("scores", head, body)


def verdict_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns the figures behind the words: a row per arm and endpoint."""
    heads = ["arm", "verdict", "endpoint", "difference", "interval", "± over seeds", "sign test", "adjusted p-values"]
    rows = {row["arm"]: row for row in results["rows"]}
    body = []
    for verdict in results["verdicts"]:
        for endpoint in verdict["endpoints"]:
            low, high, deviation = endpoint["low"], endpoint["high"], endpoint["deviation"]
            cells = [
                verdict["word"],
                endpoint["title"],
                precise(endpoint["mean"]),
                "–" if low is None or high is None else f"{precise(low)} to {precise(high)}",
                "–" if deviation is None else f"{deviation:.2f}",
                sign_words(endpoint),
                p_words(verdict) or "no look yet",
            ]
            body.append(
                f"<tr>{_arm_cell(rows[verdict['arm']], colours)}"
                f"{''.join(f'<td>{escape(each)}</td>' for each in cells)}</tr>"
            )
    return _table("verdicts", "".join(f"<th>{escape(each)}</th>" for each in heads), body)


def filter_table(results: Results, colours: Mapping[str, str]) -> str:
    """Returns what each arm's filter threw away and what its score cost; empty where no arm filters."""
    heads = ["arm", "pairs drawn", "thrown away", "noisy among them", "left", "threshold", "seconds for the score"]
    body = []
    arms = {row["arm"]: row for row in results["rows"]}
    for row in arms.values():
        filtered = row["filtered"]
        if filtered is not None:
            drawn, thrown = filtered["drawn"], filtered["thrown_away"]
            threshold, seconds = filtered["threshold"], row["score_seconds"]
            cells = [
                grouped(round(drawn)),
                f"{grouped(round(thrown))} ({percent(thrown / drawn if drawn else 0.0, 0)})",
                grouped(round(filtered["noisy_thrown_away"])),
                grouped(round(drawn - thrown)),
                "–" if threshold is None else f"{threshold:.4g}",
                "–" if seconds is None else figure(seconds),
            ]
            body.append(f"<tr>{_arm_cell(row, colours)}{''.join(f'<td>{each}</td>' for each in cells)}</tr>")
    head = "".join(f"<th>{each}</th>" for each in heads)
    return _table("filters", head, body) if body else ""


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
    """Returns one line per arm, protocol and seed; scores in [0, 1]."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(
        ["experiment", "arm", "protocol", "reference", "baseline", *PAIR_COLUMNS, "seed", "miou"]
        + [f"iou {name}" for name in results["classes"]]
        + (["xview2"] if has_xview2(results) else [])
        + ["macro_f1", "accuracy", "boundary_f1", "ece"]
        + [f"f1 {name}" for name in results["classes"]]
    )
    for row in results["rows"]:
        for score in row["seeds"]:
            writer.writerow(
                [results["name"], row["arm"], row["protocol"], row["reference"], row["baseline"], *_pair_values(row)]
                + [score["seed"], score["miou"]]
                + [score["iou"].get(name) for name in results["classes"]]
                + ([score["xview2"]] if has_xview2(results) else [])
                + [score["macro_f1"], score["accuracy"], score["boundary_f1"], score["ece"]]
                + [score["f1"].get(name) for name in results["classes"]]
            )
    return buffer.getvalue()


def _pair_values(row: ArmResult) -> list[object]:
    filtered = row["filtered"]
    thrown = [None, None] if filtered is None else [filtered["thrown_away"], filtered["noisy_thrown_away"]]
    known = [row["realised_noise"], row["realised_mismatch"], row["distinct_pairs"], row["exposure_matched"]]
    return [*known, *thrown, row["score_seconds"]]


def _table(name: str, head: str, body: list[str]) -> str:
    rows = f"<tr>{head}</tr>{''.join(body)}"
    return f'<div class="pl-scroll"><table class="pl-table" data-testid="{name}">{rows}</table></div>'


def _noise(row: ArmResult) -> str | None:
    return "none" if row["baseline"] else percent(row["realised_noise"], 0)


def _mismatch(row: ArmResult) -> str | None:
    return percent(row["realised_mismatch"], 0) if row["realised_mismatch"] else None


def _pairs(row: ArmResult) -> str | None:
    return None if row["distinct_pairs"] is None else grouped(round(row["distinct_pairs"]))


PAIR_FACTS = {"noise": _noise, "mismatched": _mismatch, "pairs": _pairs}
"""Columns of what an arm's pairs are, those that some arm has a figure for."""


def _score_row(row: ArmResult, facts: list[str], seeds: list[int], colours: Mapping[str, str]) -> str:
    scores = {score["seed"]: score["miou"] for score in row["seeds"]}
    cells = []
    for seed in seeds:
        if seed in scores:
            cells.append(f"<td>{points(scores[seed])}</td>")
        else:
            state = row["missing"].get(str(seed))
            cells.append(f'<td class="pl-dim">{escape(STATES.get(state, state) if state else "–")}</td>')
    difference = "reference" if row["reference"] else signed(row["difference"])
    known = "".join(f"<td>{PAIR_FACTS[name](row) or '–'}</td>" for name in facts)
    return (
        f"<tr>{_arm_cell(row, colours, remark=_exposure(row))}{known}{''.join(cells)}"
        f'<td class="strong">{points(row["mean_miou"])}</td><td>{points(row["std_miou"])}</td>'
        f"<td>{difference}</td></tr>"
    )


def _exposure(row: ArmResult) -> str:
    return ' <span class="pl-dim">not exposure-matched</span>' if row["exposure_matched"] is False else ""


def _arm_cell(row: ArmResult, colours: Mapping[str, str], *, remark: str = "") -> str:
    chip = f'<span class="pl-chip" style="background:{colours[row["arm"]]}"></span>'
    return f"<td>{chip}{escape(row['arm'])}{remark}</td>"


def _protocols(results: Results) -> list[str]:
    names = list(dict.fromkeys(row["protocol"] for row in results["rows"]))
    return sorted(names, key=lambda name: name != results["primary_protocol"])


def _scored_seeds(results: Results) -> set[int]:
    return {score["seed"] for row in results["rows"] for score in row["seeds"]}


def _missing_seeds(results: Results) -> set[int]:
    return {int(seed) for row in results["rows"] for seed in row["missing"]}
