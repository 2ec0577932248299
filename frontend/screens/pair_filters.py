"""The filter of the pair browser: every field shows what the URL says, and a change rewrites the URL."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import streamlit as st

from frontend.page import drop_parameters, parameters, set_widget, verbatim, write_parameters
from frontend.scene_query import (
    COLUMN,
    FILTER_PARAMETERS,
    SORTS,
    Bounds,
    SceneQuery,
    is_range,
    shown_number,
)
from frontend.scene_records import Column, Dataset, DatasetReport
from frontend.scene_wording import FLAG_WORDS, QUANTITY_WORDS, conditions, sort_words
from frontend.wording import grouped

Change = Callable[[SceneQuery], SceneQuery]

SHARE_STOPS = (0.0, 0.0001, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Close together where most scenes are."""
OFFSET_STOPS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0, 20.0, 30.0, math.inf)
HELP = {
    "change": "Pixels with a relevant change, of all valid pixels.",
    "object_change": "Pixels with a relevant change, of all object pixels in either acquisition.",
    "no_data": "Pixels without data in one acquisition or the other.",
    "offset": "Estimated shift between the first and the last acquisition. Scenes without an estimate pass no bound.",
}


def query_of(dataset: Dataset) -> SceneQuery:
    """Returns what the URL asks for."""
    return SceneQuery.from_params(parameters(), dataset["columns"])


def rewrite(query: SceneQuery) -> None:
    """Has the URL ask for something else, from the first page on."""
    write_parameters((*FILTER_PARAMETERS, "sort"), query.to_params())
    drop_parameters("page")


def show_filters(dataset: Dataset, query: SceneQuery, report: DatasetReport) -> None:
    """Shows the fields of the filter."""
    fields = _Fields(dataset)
    with st.container(key="pairs-filters"):
        fields.name(query)
        if len(dataset["events"]) > 1:
            counts = dataset["events"]
            fields.any_of("Events", "event", counts, query.events, lambda old, new: replace(old, events=new))
        splits = dataset["splits"]
        fields.any_of("Splits", "split", splits, query.splits, lambda old, new: replace(old, splits=new))
        if dataset["object_classes"]:
            kinds = dict.fromkeys(dataset["object_classes"])
            fields.any_of(
                "Shows objects of class", "object", kinds, query.objects, lambda old, new: replace(old, objects=new)
            )
        for name, words in QUANTITY_WORDS.items():
            fields.quantity(words[:1].upper() + words[1:], name, query)
        fields.flagged(query)
        show_column_filters(fields, query, report)


def show_column_filters(fields: "_Fields", query: SceneQuery, report: DatasetReport) -> None:
    """Shows fields for the dataset's own columns: those with a condition, and those the user asks for."""
    dataset = fields.dataset
    if not dataset["columns"]:
        return
    key = f"filter-columns-{dataset['name']}"
    asked = st.session_state.get(key, [])
    listed = list(dict.fromkeys([*(each for each in asked if each in dataset["columns"]), *query.where]))
    st.multiselect(
        "Columns", list(dataset["columns"]), key=set_widget(key, listed), placeholder="of the dataset, as filters"
    )
    for column in listed:
        found = report["columns"].get(column)
        if found is not None:
            fields.column(column, found, query)


def show_conditions(query: SceneQuery) -> None:
    """Shows each condition as a button that drops it."""
    listed = list(conditions(query))
    if not listed:
        return
    with st.container(horizontal=True, gap="small", key="pairs-conditions"):
        for place, (words, without) in enumerate(listed):
            st.button(
                verbatim(words),
                key=f"drop-{place}",
                icon=":material/close:",
                icon_position="right",
                help="Drop this condition",
                on_click=rewrite,
                args=(without,),
            )
        if len(listed) > 1:
            everything = SceneQuery(sort=query.sort)
            st.button("Clear all", key="drop-all", type="tertiary", on_click=rewrite, args=(everything,))


def show_order(dataset: Dataset, query: SceneQuery) -> None:
    """Shows what the scenes are sorted by, and which way."""

    def follow() -> None:
        sign = "-" if st.session_state["order-way"] == "descending" else ""
        rewrite(replace(query_of(dataset), sort=sign + st.session_state["order-key"]))

    keys = [*SORTS, *(f"{COLUMN}{column}" for column in dataset["columns"])]
    way = "descending" if query.descending else "ascending"
    least, most = ("A to Z", "Z to A") if query.sort_key == "name" else ("least first", "most first")
    with st.container(width=220):
        st.selectbox(
            "Order by", keys, key=set_widget("order-key", query.sort_key), format_func=sort_words, on_change=follow
        )
    st.segmented_control(
        "Direction",
        ["ascending", "descending"],
        format_func={
            "ascending": f":material/arrow_upward: {least}",
            "descending": f":material/arrow_downward: {most}",
        }.__getitem__,
        key=set_widget("order-way", way),
        required=True,
        label_visibility="collapsed",
        on_change=follow,
    )


class _Fields:
    """Widgets that show a query's values; a change is applied to what the URL asks for at that moment."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def apply(self, change: Change) -> None:
        rewrite(change(query_of(self.dataset)))

    def name(self, query: SceneQuery) -> None:
        def follow() -> None:
            self.apply(lambda old: replace(old, name=st.session_state["filter-name"].strip()))

        st.text_input(
            "Name contains",
            key=set_widget("filter-name", query.name),
            type="search",
            max_chars=200,
            on_change=follow,
            placeholder="part of a name",
        )

    def flagged(self, query: SceneQuery) -> None:
        def follow() -> None:
            self.apply(lambda old: replace(old, flagged=st.session_state["filter-flagged"]))

        st.pills(
            "Flag",
            list(FLAG_WORDS),
            format_func=FLAG_WORDS.__getitem__,
            key=set_widget("filter-flagged", query.flagged),
            on_change=follow,
        )

    def any_of(
        self,
        label: str,
        name: str,
        counts: Mapping[str, int | None],
        chosen: Sequence[str],
        change: Callable[[SceneQuery, tuple[str, ...]], SceneQuery],
        *,
        takes_others: bool = False,
    ) -> None:
        """Shows a choice of texts; `counts` are the scenes of each, where they are known."""
        key = f"filter-{name}"

        def follow() -> None:
            self.apply(lambda old: change(old, tuple(st.session_state[key])))

        def shown(text: str) -> str:
            count = counts.get(text)
            return text if count is None else f"{text} ({grouped(count)})"

        st.multiselect(
            label,
            list(dict.fromkeys([*counts, *chosen])),
            key=set_widget(key, list(chosen)),
            format_func=shown,
            on_change=follow,
            placeholder="any",
            filter_mode="contains",
            accept_new_options=takes_others,
        )

    def quantity(self, label: str, name: str, query: SceneQuery) -> None:
        """Shows the bounds of a share, or of the offset."""
        is_offset = name == "offset"
        self.bounds(
            label,
            name,
            OFFSET_STOPS if is_offset else SHARE_STOPS,
            query.ranges.get(name, (None, None)),
            lambda old, new: old.with_range(name, new),
            shown=_pixels if is_offset else _percent,
            help=HELP[name],
        )

    def column(self, column: str, found: Column, query: SceneQuery) -> None:
        """Shows the condition of one of the dataset's columns."""
        condition = query.where.get(column, ())
        if found["kind"] == "text":
            texts = () if is_range(condition) else tuple(str(each) for each in condition)
            self.any_of(
                verbatim(column),
                f"column-{column}",
                found["values"],
                texts,
                lambda old, new: old.with_condition(column, new),
                takes_others=found["others"] > 0,
            )
            return
        stops = [float(shown_number(edge)) for edge in found["histogram"]["edges"]]
        if len(set(stops)) > 1:
            self.bounds(
                verbatim(column),
                f"column-{column}",
                stops,
                condition if is_range(condition) else (None, None),
                lambda old, new: old.with_condition(column, new),
                shown=lambda value: f"{value:.4g}",
            )

    def bounds(
        self,
        label: str,
        name: str,
        stops: Sequence[float],
        bounds: Bounds,
        change: Callable[[SceneQuery, Bounds], SceneQuery],
        *,
        shown: Callable[[float], str],
        help: str | None = None,
    ) -> None:
        """Shows a range between stops; an end that stands at the first or last stop is no bound."""
        key = f"filter-{name}"
        options = sorted({*stops, *(each for each in bounds if each is not None)})
        low, high = (options[0] if bounds[0] is None else bounds[0], options[-1] if bounds[1] is None else bounds[1])

        def follow() -> None:
            start, end = st.session_state[key]
            new = (None if start == options[0] else start, None if end == options[-1] else end)
            self.apply(lambda old: change(old, new))

        st.select_slider(
            label,
            options,
            (options[0], options[-1]),  # makes it a range; what it shows is what the key has
            key=set_widget(key, (min(low, high), max(low, high))),
            format_func=shown,
            on_change=follow,
            help=help,
        )


def _percent(share: float) -> str:
    return f"{shown_number(100 * share)} %"


def _pixels(offset: float) -> str:
    return "any" if offset == math.inf else f"{shown_number(offset)} px"
