"""The arms of an experiment as cards: what each pairs, how noisy, and in what it differs from the reference."""

from collections.abc import Callable, Mapping

import streamlit as st

from frontend.draft import with_arm, with_duplicate, with_renamed_arm, without_arm
from frontend.page import verbatim
from frontend.palette import arm_colours
from frontend.scene_records import Dataset
from frontend.screens.arm_exceptions import show_exceptions
from frontend.screens.arm_pairing import show_pairing
from frontend.screens.arm_place import ArmPlace
from frontend.screens.arm_words import arm_words, factors_in_words
from frontend.screens.baseline_fields import show_baseline, show_baseline_button
from frontend.screens.form import Form
from frontend.screens.ladder_builder import show_ladder_button
from pairlab.experiment.experiment import Arm, Experiment
from pairlab.experiment.pairing import Pairing

KINDS = {
    "baseline": "No pretraining (a baseline)",
    "same_image": "The same image twice",
    "temporal": "Two acquisitions of the place",
}
MOST_OPEN = 4
"""Arms that all show their knobs at once."""
Restructure = Callable[[str], str]
"""Turns the file's text into one with other arms."""


def colours_of(experiment: Experiment) -> dict[str, str]:
    """Returns each arm's colour, as it has it on every screen."""
    baselines = [name for name, arm in experiment.arms.items() if arm.baseline is not None]
    return arm_colours(list(experiment.arms), baselines)


def show_arms(form: Form, experiment: Experiment, datasets: Mapping[str, Dataset]) -> Restructure | None:
    """Shows a card per arm; returns what to do to the list of arms, where a button asked for it."""
    asked: Restructure | None = None
    colours = colours_of(experiment)
    for spot, (name, arm) in enumerate(experiment.arms.items()):
        place = ArmPlace(
            form=form,
            name=name,
            spot=str(spot),
            arm=arm,
            method=experiment.method_of(arm),
            dataset=datasets.get(arm.dataset or experiment.dataset),
            transductive=experiment.transductive,
        )
        with st.container(border=True, key=f"arm-card-{spot}"):
            st.html(f'<div class="pl-arm" style="background:{colours[name]}"></div>')
            asked = show_arm(place, experiment, datasets) or asked
    pairs = next((arm.pairing.pairs for arm in experiment.arms.values() if arm.pairing is not None), 1000)
    with st.container(horizontal=True):
        if st.button("Add an arm", icon=":material/add:", key="arm-add"):
            pairing = {"policy": "temporal", "pairs": pairs}
            asked = lambda text: with_arm(text, "temporal", {"pairing": pairing})  # noqa: E731
        asked = show_baseline_button(experiment) or asked
        show_ladder_button(experiment)
    return asked


def show_arm(place: ArmPlace, experiment: Experiment, datasets: Mapping[str, Dataset]) -> Restructure | None:
    """Shows the fields of one arm; returns a rename, a copy or a removal that was asked for."""
    asked: Restructure | None = None
    name, pairing = place.name, place.arm.pairing
    if not is_open(place, experiment):
        return None
    left, right = st.columns(2)
    new_name = left.text_input("Arm", name, key=place.key("name"), max_chars=60).strip()
    if new_name and new_name != name:
        asked = lambda text: with_renamed_arm(text, name, new_name)  # noqa: E731
    kind = "baseline" if pairing is None else pairing.policy
    chosen = right.selectbox(
        "Positive pair",
        list(KINDS),
        index=list(KINDS).index(kind),
        format_func=lambda each: KINDS[each],
        key=place.key("kind"),
    )
    show_factors(experiment, name)
    if chosen != kind:
        place.form.restructure(place.path(), arm_of_kind(chosen, place.arm))
    elif pairing is None:
        show_baseline(place, experiment)
    else:
        show_pairing(place, pairing)
        show_exceptions(place, experiment, datasets)
    last = len(experiment.arms) == 1
    with st.container(horizontal=True):
        spot = place.spot
        if st.button("Duplicate", key=f"arm-duplicate-{spot}", type="tertiary", icon=":material/content_copy:"):
            asked = lambda text: with_duplicate(text, name)  # noqa: E731
        if st.button("Remove", key=f"arm-remove-{spot}", type="tertiary", icon=":material/close:", disabled=last):
            asked = lambda text: without_arm(text, name)  # noqa: E731
    return asked


def is_open(place: ArmPlace, experiment: Experiment) -> bool:
    """Returns whether an arm shows its knobs: of many arms those that the user opened, the others say what they are."""
    if len(experiment.arms) <= MOST_OPEN:
        return True
    key = f"arm-open-{place.name}"
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.toggle("Edit", key=key)
        if not shown:
            st.markdown(f"**{verbatim(place.name)}**", width="content")
            show_factors(experiment, place.name)
    if not shown:
        st.caption(verbatim(arm_words(place.arm)))
    return shown


def show_factors(experiment: Experiment, name: str) -> None:
    """Shows in what an arm differs from the reference; more than one thing is worth a second look."""
    if name == experiment.reference:
        st.markdown(":blue-badge[reference]")
    elif factors := experiment.factors(name):
        colour = "gray" if len(factors) == 1 else "orange"
        st.markdown(f":{colour}-badge[{factors_in_words(factors)}]")


def arm_of_kind(kind: str, old: Arm) -> dict[str, object]:
    """Returns an arm of another kind with the old one's budget of pairs, and what else it has of its own."""
    if kind == "baseline":
        return {"baseline": old.baseline or "random_initialisation"}
    pairs = Pairing(policy="temporal").pairs if old.pairing is None else old.pairing.pairs
    own = old.model_dump(mode="json", exclude_unset=True, exclude={"pairing", "baseline"})
    return {"pairing": {"policy": kind, "pairs": pairs}, **own}
