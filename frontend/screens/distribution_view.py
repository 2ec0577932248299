"""How scenes are spread: histograms of shares, offset and columns, counts of events, splits and classes."""

from collections.abc import Mapping
from html import escape
from itertools import pairwise

import streamlit as st

from frontend.charts import histogram
from frontend.page import choose_else_default
from frontend.scene_records import Column, Distribution, Histogram
from frontend.scene_wording import HISTOGRAM_WORDS, SHARES
from frontend.wording import grouped

COUNTS = {"events": "by event", "splits": "by split", "objects": "by class of objects"}
MOST_BARS = 6
HEIGHT = 112
BESIDE = ("change_share", "no_data_share", "offset")
"""Histograms that are always shown; the last chart shows what the user chooses."""


def show_distribution(found: Distribution) -> None:
    """Shows one row of charts; two of them show what the URL names."""
    with st.grid(5, min_column_width=150, gap="small", key="distribution-charts"):
        with st.container():
            counts = {"events": found["events"], "splits": found["splits"], "objects": found["objects"]}
            what = choose_else_default(
                "Scenes by",
                list(COUNTS),
                parameter="counts",
                default="events" if len(found["events"]) > 1 else "splits",
                shown=COUNTS.__getitem__,
                hidden_label=True,
            )
            show_bars(counts[what], key=f"bars-{what}")
        for name in BESIDE:
            with st.container():
                show_histogram(HISTOGRAM_WORDS[name], found["histograms"].get(name), share=name in SHARES, key=name)
        with st.container():
            show_chosen(found)


def show_chosen(found: Distribution) -> None:
    """Shows the spread of the quantity or column that the user chose."""
    others = [name for name in found["histograms"] if name not in BESIDE]
    names = [*others, *(f"column/{column}" for column in found["columns"])]
    if not names:
        return
    chosen = choose_else_default(
        "Scenes by",
        names,
        parameter="spread",
        default=names[0],
        shown=lambda name: HISTOGRAM_WORDS.get(name) or name.removeprefix("column/"),
        hidden_label=True,
    )
    if chosen in others:
        show_histogram("", found["histograms"][chosen], share=chosen in SHARES, key=chosen)
    else:
        show_column(found["columns"][chosen.removeprefix("column/")], key=chosen)


def show_column(column: Column, *, key: str) -> None:
    """Shows the most frequent texts of a column, or its numbers."""
    if column["kind"] == "number":
        show_histogram("", column["histogram"], share=False, key=key)
    else:
        others = {"all others": column["others"]} if column["others"] else {}
        show_bars({**column["values"], **others}, key=key)


def show_histogram(title: str, found: Histogram | None, *, share: bool, key: str) -> None:
    """Shows bars over a quantity; their heights are square roots, so that few scenes are seen beside many."""
    if title:
        st.markdown(f"**{title[:1].upper()}{title[1:]}**")
    if found is None or not any(found["counts"]):
        st.caption("Not known of any of these scenes.")
        return
    rows = [
        {"low": low, "high": high, "count": count}
        for (low, high), count in zip(pairwise(found["edges"]), found["counts"], strict=True)
    ]
    st.vega_lite_chart(
        rows,
        histogram(noun="scenes", share=share, root=True, height=HEIGHT),
        key=f"histogram-{key}",
        alt=f"Scenes by {title or key}",
    )


def show_bars(counts: Mapping[str, int], *, key: str, most: int = MOST_BARS) -> None:
    """Shows the greatest counts as bars, and the rest as one."""
    ranked = sorted(((name, count) for name, count in counts.items() if count), key=lambda each: -each[1])
    shown = ranked if len(ranked) <= most else ranked[: most - 1]
    greatest = max((count for _, count in shown), default=1)
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td><span style="width:{100 * count / greatest:.1f}%"></span></td>'
        f"<td>{grouped(count)}</td></tr>"
        for name, count in shown
    )
    rest = ranked[len(shown) :]
    if rest:
        total = grouped(sum(count for _, count in rest))
        rows += f'<tr class="pl-dim"><td>{len(rest)} more</td><td></td><td>{total}</td></tr>'
    if not shown:
        st.caption("None.")
        return
    with st.container(key=key):
        st.html(f'<table class="pl-bars">{rows}</table>')


def show_histograms(found: Mapping[str, Histogram]) -> None:
    """Shows the spread of every quantity."""
    with st.grid(4, min_column_width=190, gap="medium", key="report-charts"):
        for name, words in HISTOGRAM_WORDS.items():
            with st.container():
                show_histogram(words, found.get(name), share=name in SHARES, key=f"report-{name}")
