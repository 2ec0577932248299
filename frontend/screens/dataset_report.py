"""What the index found in a dataset: spreads, counts, bands, store, and the files that take no part and why."""

from html import escape
from math import ceil

import streamlit as st

from frontend.cached_answers import report_of
from frontend.page import choose_else_default, plain, remember_in_url, set_widget, verbatim
from frontend.scene_records import Dataset, DatasetReport
from frontend.screens.distribution_view import show_bars, show_column, show_histograms
from frontend.wording import file_size, grouped, in_split_order, plural, sentence

ROWS = 20
"""Files of one page of the quarantine."""


def show_report(dataset: Dataset) -> None:
    """Shows a dataset's report."""
    report = report_of(dataset)
    st.divider()
    if not report["histograms"]:
        st.caption("The charts appear as soon as all labels are read.")
    else:
        show_histograms(report["histograms"])
        show_counts(report)
    show_store(report)
    if report["warnings"]:
        st.markdown(f"**{plural(len(report['warnings']), 'thing')} noticed**")
        st.markdown("\n".join(f"- {plain(sentence(warning))}" for warning in report["warnings"]))
    show_quarantine(report)


def show_counts(report: DatasetReport) -> None:
    """Shows objects, one column, and events by split."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        if len(report["event_splits"]) > 1:
            st.markdown("**Events by split**")
            st.html(event_table(report))
        else:
            st.markdown("**Scenes by split**")
            show_bars(report["splits"], key="report-splits")
    with right:
        if any(report["objects"].values()):
            st.markdown("**Objects by class**")
            show_bars(report["objects"], key="report-objects", most=12)
        if report["columns"]:
            st.markdown("**Scenes by column**")
            column = choose_else_default(
                "Column",
                list(report["columns"]),
                parameter="column",
                default=next(iter(report["columns"])),
                hidden_label=True,
            )
            show_column(report["columns"][column], key=f"report-{column}")


def event_table(report: DatasetReport) -> str:
    """Returns a table of scenes: a row per event, a column per split."""
    splits = list(in_split_order(report["splits"]))
    head = "".join(f"<th>{escape(split)}</th>" for split in splits)
    rows = "".join(
        f"<tr><td>{escape(event)}</td>"
        + "".join(f"<td>{grouped(counts[split]) if counts.get(split) else '–'}</td>" for split in splits)
        + f'<td class="strong">{grouped(sum(counts.values()))}</td></tr>'
        for event, counts in sorted(report["event_splits"].items())
    )
    totals = "".join(f'<td class="strong">{grouped(report["splits"][split])}</td>' for split in splits)
    total = f'<tr><td class="strong">all</td>{totals}<td class="strong">{grouped(report["scenes"])}</td></tr>'
    return (
        '<div class="pl-scroll"><table class="pl-table" data-testid="event-splits">'
        f"<tr><th>event</th>{head}<th>all</th></tr>{rows}{total}</table></div>"
    )


def show_store(report: DatasetReport) -> None:
    """Shows the bands with their limits, and how much is decoded for training."""
    bands = report["bands"]
    limits = list(zip(bands["names"], bands["low"], bands["high"], strict=False))
    if limits:
        shown = ", ".join(f"{name} {low:g} to {high:g}" for name, low, high in limits)
        words = f"{plural(len(bands['names']), 'band')}; what becomes 0 and 1: {shown}."
    else:
        words = f"{plural(len(bands['names']), 'band')}: {', '.join(bands['names'])}."
    st.caption(verbatim(words))
    if report["store"] is not None:
        store = report["store"]
        st.caption(
            f"Decoded for training: {grouped(store['images'])} of {plural(store['of'], 'image')}, "
            f"{file_size(store['bytes'])} in the chip store."
        )


def show_quarantine(report: DatasetReport) -> None:
    """Shows a page of the files that take no part in anything, with the reason of each."""
    files, total = report["quarantined"], report["quarantined_total"]
    if not total:
        st.caption(":material/check: Every file can be used.")
        return
    noun = "scene takes" if total == 1 else "scenes take"
    st.markdown(f"**{grouped(total)} {noun} no part in anything**")
    pages = max(ceil(len(files) / ROWS), 1)
    named = st.query_params.get("files", "")
    number = min(max(int(named), 1), pages) if named.isdecimal() and len(named) < 6 else 1
    st.html(quarantine_table(report, (number - 1) * ROWS))

    def follow() -> None:
        remember_in_url(
            {"files": "" if st.session_state["report-files"] == 1 else str(st.session_state["report-files"])}
        )

    if pages > 1:
        st.pagination(pages, key=set_widget("report-files", number), on_change=follow)
    if total > len(files):
        st.caption(f"The first {grouped(len(files))} of {grouped(total)}.")


def quarantine_table(report: DatasetReport, first: int) -> str:
    """Returns some of the files as a table; names and reasons are text, whatever they hold."""
    rows = "".join(
        f'<tr><td>{escape(each["scene"])}</td><td class="text">{escape(each["file"])}</td>'
        f'<td class="text">{escape(sentence(each["reason"]))}</td></tr>'
        for each in report["quarantined"][first : first + ROWS]
    )
    return (
        '<div class="pl-scroll"><table class="pl-table pl-files" data-testid="quarantine">'
        f'<tr><th>scene</th><th class="text">file</th><th class="text">reason</th></tr>{rows}</table></div>'
    )
