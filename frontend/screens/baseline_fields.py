"""The fields of arms without pretraining: what their segmentation starts from, and the button that adds one."""

from collections.abc import Callable

import streamlit as st

from frontend.draft import with_arm
from frontend.screens.arm_place import ArmPlace
from frontend.screens.network_fields import BLANK, show_source
from pairlab.experiment.experiment import Experiment

STARTS = {"random_initialisation": "random weights", "initial_weights": "given weights, as from supervised training"}


def show_baseline(place: ArmPlace, experiment: Experiment) -> None:
    """Shows what the segmentation of a baseline starts from, and what names its own weights.

    Args:
        place: of the arm, which has a baseline.
        experiment: its initial weights are those of an arm without its own.
    """
    baseline = place.arm.baseline or "random_initialisation"
    chosen = st.selectbox(
        "Segmentation starts from",
        list(STARTS),
        index=list(STARTS).index(baseline),
        format_func=STARTS.__getitem__,
        key=place.key("baseline"),
    )
    if chosen != baseline:
        own = chosen == "initial_weights" and experiment.initial.source == "random"
        place.form.restructure(place.path(), {"baseline": chosen} | ({"initial": BLANK["file"]} if own else {}))
        return
    if place.arm.initial is not None:
        show_source(place.form, place.arm.initial, place.path("initial"), lambda field: place.key(f"initial-{field}"))
    elif baseline == "initial_weights":
        st.caption("The experiment's initial weights, as Pretraining names them.")


def show_baseline_button(experiment: Experiment) -> Callable[[str], str] | None:
    """Shows a button where no arm starts from random weights; returns what to do to the file once it is pressed."""
    if any(arm.baseline == "random_initialisation" for arm in experiment.arms.values()):
        return None
    if not st.button(
        "Add random initialisation",
        icon=":material/add:",
        key="arm-add-baseline",
        help="Without such an arm nothing tells whether pretraining helps at all.",
    ):
        return None
    return lambda text: with_arm(text, "random initialisation", {"baseline": "random_initialisation"})
