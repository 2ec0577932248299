"""The fields of the labels: the classes, the images they are read from, and how many labels may be learned from."""

import streamlit as st

from frontend.page import verbatim
from frontend.scene_records import Dataset
from frontend.screens.form import Form
from pairlab.experiment.protocols import BUDGETS, Labels

INPUTS = {
    "post": "the later image",
    "pre": "the earlier image",
    "difference": "both: the difference of their features",
    "concatenation": "both: their features side by side",
}
BUDGET_WORDS = {
    "train_chips": "a number of chips",
    "train_scenes": "a number of scenes",
    "train_share": "a share of the scenes",
}
FIRST = {"train_chips": 32, "train_scenes": 10, "train_share": 0.1}
"""What a newly chosen budget begins with."""


def show_label_fields(form: Form, labels: Labels, dataset: Dataset | None, schemes: list[str]) -> None:
    """Shows scheme, input and budget.

    Args:
        form: takes the edits, of the file's `labels`.
        labels: its values.
        dataset: the experiment's, where it is registered.
        schemes: the label schemes that can be chosen.
    """
    left, right = st.columns(2)
    with left:
        scheme = form.option("Classes", ("labels", "scheme"), labels.scheme, schemes)
    with right:
        show_input(form, labels, scheme)
    if dataset is not None and scheme in dataset["label_schemes"]:
        st.caption(verbatim(", ".join(dataset["label_schemes"][scheme])))
    show_budget(form, labels)


def show_input(form: Form, labels: Labels, scheme: str) -> None:
    """Shows what the network sees; the earlier image is offered for buildings alone, as it shows no damage."""
    offered = [each for each in INPUTS if each != "pre" or scheme == "building"]
    if labels.input not in offered:
        form.edits["labels", "input"] = None
        return
    form.option(
        "The network sees",
        ("labels", "input"),
        labels.input,
        offered,
        default="post",
        shown=INPUTS.__getitem__,
        help="Both images go through one encoder. The earlier image alone is offered for buildings: damage cannot be "
        "read from it.",
    )


def show_budget(form: Form, labels: Labels) -> None:
    """Shows how many labels may be learned from: chips, scenes or a share of them."""
    budget = next(name for name in BUDGETS if getattr(labels, name) is not None)
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(
            "Labels to train on",
            list(BUDGET_WORDS),
            index=list(BUDGET_WORDS).index(budget),
            format_func=BUDGET_WORDS.__getitem__,
            key=form.key("labels", "budget"),
            help="Scenes are drawn by seed so that all classes come in equal shares of their scenes; a larger budget "
            "contains a smaller one. Chips are drawn with objects first.",
        )
    if chosen != budget:
        form.restructure(("labels", budget), None)
        form.restructure(("labels", chosen), FIRST[chosen])
        return
    with right:
        show_amount(form, labels, budget)


def show_amount(form: Form, labels: Labels, budget: str) -> None:
    """Shows the number of chips or scenes, or the share in percent."""
    if budget == "train_chips" and labels.train_chips is not None:
        form.number("Labelled chips to train on", ("labels", budget), labels.train_chips, min_value=1, step=8)
    elif budget == "train_scenes" and labels.train_scenes is not None:
        form.number("Labelled scenes to train on", ("labels", budget), labels.train_scenes, min_value=1, step=1)
    elif labels.train_share is not None:
        at = round(100 * labels.train_share, 4)
        percent = st.number_input(
            "Labelled scenes, % of the train split",
            0.01,
            100.0,
            at,
            step=1.0,
            format="%g",
            key=form.key("labels", budget),
            help="Rounded up to whole scenes.",
        )
        form.note(("labels", budget), labels.train_share if percent == at else percent / 100, labels.train_share)
