"""The fields of the splits: who trains, validates and tests."""

from typing import Any

import streamlit as st

from frontend.scene_records import Dataset
from frontend.screens.form import Form
from pairlab.experiment.protocols import Splits

WAYS = {
    "official": "as the dataset says",
    "random": "at random",
    "blocks": "at random, by whole squares of ground",
    "events": "by event: some events test",
}
KNOBS: dict[str, tuple[str, ...]] = {
    "official": (),
    "random": ("test_share", "validation_share", "seed"),
    "blocks": ("test_share", "validation_share", "block_metres", "seed"),
    "events": ("test_events", "validation_share", "seed"),
}
"""What each way of splitting asks for; what it does not ask for leaves the file with the way."""


def show_split_fields(form: Form, splits: Splits, dataset: Dataset | None) -> None:
    """Shows how scenes are split and the knobs of that way, folded in while the dataset's own splits are taken.

    Args:
        form: takes the edits, of the file's `splits`.
        splits: its values.
        dataset: the experiment's, where it is registered: its events can be held out.
    """
    way = "events" if splits.test_events else splits.by
    with st.expander("Splits: who trains, validates and tests", expanded=not splits.official):
        ways = ways_of(dataset, way)
        chosen = st.selectbox(
            "Scenes are split",
            ways,
            index=ways.index(way),
            format_func=WAYS.__getitem__,
            key=form.key("splits", "by"),
            help="A scene is in one split only, the same one for all arms and seeds of the experiment.",
        )
        complete = show_events(form, splits, dataset) if chosen == "events" else True
        if chosen != way and complete:
            _change_way(form, splits, chosen)
        shown = [name for name in KNOBS[chosen] if name != "test_events"]
        for first in range(0, len(shown), 2):  # row by row, which is the order on a narrow screen too
            for column, name in zip(st.columns(2), shown[first : first + 2], strict=False):
                with column:
                    show_knob(form, splits, name, chosen)


def ways_of(dataset: Dataset | None, current: str) -> list[str]:
    """Returns the ways of splitting that a dataset allows, and the file's: blocks need places, events more than one."""
    if dataset is None:
        return list(WAYS)
    rendered = dataset["config"]["kind"] == "synthetic"
    fitting = {"official": True, "random": True, "blocks": not rendered, "events": len(dataset["events"]) > 1}
    return [way for way in WAYS if fitting[way] or way == current]


def show_events(form: Form, splits: Splits, dataset: Dataset | None) -> bool:
    """Shows the events that are held out for the test; returns whether there are any: else the file stays as it is."""
    known = [] if dataset is None else list(dataset["events"])
    held_out = st.multiselect(
        "Events held out for the test",
        list(dict.fromkeys([*known, *splits.test_events])),
        list(splits.test_events),
        key=form.key("splits", "test_events"),
        placeholder="choose at least one",
    )
    if not held_out:
        form.problems.append("splits: choose an event that is held out for the test, or another way to split")
        return False
    form.note(("splits", "test_events"), held_out, list(splits.test_events))
    return True


def show_knob(form: Form, splits: Splits, name: str, way: str) -> None:
    """Shows one number of a way to split."""
    value = getattr(splits, name)
    options: dict[str, Any] = {"key": form.key("splits", name), "default": Splits.model_fields[name].default}
    match name:
        case "test_share":
            form.percent("Test, % of the scenes", ("splits", name), value, **options)
        case "validation_share":
            label = "Validation, % of the other scenes" if way == "events" else "Validation, % of the scenes"
            form.percent(label, ("splits", name), value, **options, help="What neither tests nor validates trains.")
        case "block_metres":
            form.number(
                "Side of a square, metres",
                ("splits", name),
                value,
                **options,
                min_value=100.0,
                max_value=1e6,
                step=500.0,
                help="Tiles adjoin: a whole square of ground goes into one split. A tile of xBD measures about 500 m. "
                "The dataset must know where its scenes lie.",
            )
        case "seed":
            form.number(
                "Seed of the draw",
                ("splits", name),
                value,
                **options,
                min_value=0,
                max_value=2**32 - 1,
                step=1,
                help="Of the splits alone; the seeds of the experiment all have these splits.",
            )


def _change_way(form: Form, splits: Splits, way: str) -> None:
    """Notes another way to split: naming test_events alone means events."""
    if way in ("official", "events"):
        form.note(("splits", "by"), "official", splits.by, default="official")
    else:
        form.note(("splits", "by"), way, splits.by)
    for name in {each for knobs in KNOBS.values() for each in knobs} - set(KNOBS[way]):
        if name in splits.model_fields_set:
            form.edits["splits", name] = None
