"""The report of a dataset for the terminal."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from frontend.following import say
from frontend.scene_records import Column, Dataset, DatasetReport, Histogram
from frontend.scene_wording import HISTOGRAM_WORDS, SHARES
from frontend.wording import PHASE_WORDS, dataset_place, file_size, grouped, in_split_order, percent, plural, sentence

LEVELS = " ▁▂▃▄▅▆▇█"
MOST_FILES = 40
MOST_TEXTS = 6
STATE_WORDS = {"indexing": "being indexed", "ready": "ready", "failed": "not indexed"}


def print_report(console: Console, dataset: Dataset, report: DatasetReport) -> None:
    """Prints state, counts, spreads, and what takes no part and why."""
    state = STATE_WORDS[report["state"]]
    if report["state"] == "indexing":
        state += (
            f" ({PHASE_WORDS.get(report['phase'] or '', 'waiting for a worker')}, {percent(report['progress'], 0)})"
        )
    console.print(f"[bold]{escape(dataset['name'])}[/]: {state}", highlight=False)
    say(console, dataset_place(dataset["config"]))
    console.print(_counts(report))
    if report["histograms"]:
        console.print(_spreads(report))
    if report["columns"]:
        console.print(_columns(report["columns"]))
    for line in _store_lines(report):
        say(console, line)
    for warning in report["warnings"]:
        say(console, f"Note: {sentence(warning)}")
    _print_quarantine(console, report)


def spark(histogram: Histogram) -> str:
    """Returns counts as bars of text, by their square roots, so that few are seen beside many."""
    greatest = max(histogram["counts"], default=0)
    if not greatest:
        return ""
    roots = [(count / greatest) ** 0.5 for count in histogram["counts"]]
    return "".join(LEVELS[0 if root == 0 else max(1, round(root * (len(LEVELS) - 1)))] for root in roots)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _counts(report: DatasetReport) -> Table:
    splits = list(in_split_order(report["splits"]))
    table = _table(f"{plural(report['scenes'], 'scene')}", "event", *(escape(split) for split in splits), "all")
    for event, counts in sorted(report["event_splits"].items()):
        cells = (grouped(counts[split]) if counts.get(split) else "–" for split in splits)
        table.add_row(escape(event), *cells, grouped(sum(counts.values())))
    table.add_section()
    table.add_row("all", *(grouped(report["splits"][split]) for split in splits), grouped(report["scenes"]))
    return table


def _spreads(report: DatasetReport) -> Table:
    table = _table("Spread over the scenes", "", "from", "to")
    table.add_column("scenes", justify="left")
    for name, words in HISTOGRAM_WORDS.items():
        found = report["histograms"].get(name)
        if found is not None:
            table.add_row(words, *_ends(found, share=name in SHARES), spark(found) or "not known")
    if any(report["objects"].values()):
        table.add_section()
        for kind, count in report["objects"].items():
            table.add_row(f"objects: {escape(kind)}", "", "", grouped(count))
    return table


def _ends(histogram: Histogram, *, share: bool) -> tuple[str, str]:
    ends = (histogram["edges"][0], histogram["edges"][-1]) if histogram["edges"] else (0.0, 0.0)
    low, high = (f"{100 * end:.3g} %" if share else f"{end:.4g}" for end in ends)
    return low, high


def _columns(columns: Mapping[str, Column]) -> Table:
    table = _table("Columns, as filters and orders", "column")
    table.add_column("values", justify="left")
    for name, column in columns.items():
        if column["kind"] == "number":
            low, high = _ends(column["histogram"], share=False)
            words = f"{low} {spark(column['histogram'])} {high}"
        else:
            named = [f"{text} ({grouped(count)})" for text, count in list(column["values"].items())[:MOST_TEXTS]]
            left = len(column["values"]) - len(named)
            words = ", ".join(named) + (" and others" if left > 0 or column["others"] else "")
        table.add_row(escape(name), escape(words))
    return table


def _store_lines(report: DatasetReport) -> list[str]:
    lines = [f"Bands: {', '.join(report['bands']['names'])}"]
    store = report["store"]
    if store is not None:
        size = file_size(store["bytes"])
        lines.append(f"Decoded for training: {grouped(store['images'])} of {plural(store['of'], 'image')}, {size}")
    return lines


def _print_quarantine(console: Console, report: DatasetReport) -> None:
    total = report["quarantined_total"]
    if not total:
        say(console, "Every file can be used.")
        return
    noun = "scene takes" if total == 1 else "scenes take"
    table = Table(title=f"{grouped(total)} {noun} no part in anything", title_justify="left", title_style="bold red")
    for column in ("scene", "file", "reason"):
        table.add_column(column, overflow="fold")
    for each in report["quarantined"][:MOST_FILES]:
        table.add_row(escape(each["scene"]), escape(each["file"]), escape(sentence(each["reason"])))
    console.print(table)
    if total > MOST_FILES:
        say(console, f"and {grouped(total - MOST_FILES)} more; the first thousand: --json, or the page Datasets.")
