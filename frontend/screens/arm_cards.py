"""The arms of an experiment as cards: what each pairs, and how noisy."""

from collections.abc import Callable

import streamlit as st

from frontend.draft import Path, with_arm, with_duplicate, with_renamed_arm, without_arm
from frontend.palette import arm_colours
from frontend.screens.design_form import Form
from pairlab.experiment.experiment import Arm, Experiment
from pairlab.experiment.pairing import Noise, Pairing

KINDS = {
    "baseline": "No pretraining (random initialisation)",
    "same_image": "The same image twice",
    "temporal": "Two acquisitions of the place",
}
CONTROLS = {
    None: "what fits the dataset",
    "rerender": "rendered again without change",
    "masked": "changed pixels excluded",
}
DATES = ("balanced", "pre", "post")
Restructure = Callable[[str], str]
"""Turns the file's text into one with other arms."""


def show_arms(form: Form, experiment: Experiment) -> Restructure | None:
    """Shows a card per arm; returns what to do to the list of arms, where a button asked for it."""
    asked: Restructure | None = None
    baselines = [name for name, arm in experiment.arms.items() if arm.baseline is not None]
    colours = arm_colours(list(experiment.arms), baselines)
    for place, (name, arm) in enumerate(experiment.arms.items()):
        with st.container(border=True, key=f"arm-card-{place}"):
            st.html(f'<div class="pl-arm" style="background:{colours[name]}"></div>')
            asked = show_arm(form, name, arm, place, last=len(experiment.arms) == 1) or asked
    pairs = next((arm.pairing.pairs for arm in experiment.arms.values() if arm.pairing is not None), 1000)
    if st.button("Add an arm", icon=":material/add:", key="arm-add"):
        pairing = {"policy": "temporal", "pairs": pairs}
        asked = lambda text: with_arm(text, "temporal", {"pairing": pairing})  # noqa: E731
    return asked


def show_arm(form: Form, name: str, arm: Arm, place: int, *, last: bool) -> Restructure | None:
    """Shows the fields of one arm; returns a rename, a copy or a removal that was asked for."""
    asked: Restructure | None = None
    spot = str(place)
    left, right = st.columns(2)
    new_name = left.text_input("Arm", name, key=form.key("arm", spot, "name"), max_chars=60).strip()
    if new_name and new_name != name:
        asked = lambda text: with_renamed_arm(text, name, new_name)  # noqa: E731
    kind = "baseline" if arm.pairing is None else arm.pairing.policy
    chosen = right.selectbox(
        "Positive pair",
        list(KINDS),
        index=list(KINDS).index(kind),
        format_func=lambda each: KINDS[each],
        key=form.key("arm", spot, "kind"),
    )
    if chosen != kind:
        form.edits[("arms", name)] = arm_of_kind(chosen, arm.pairing)
    elif arm.pairing is not None:
        show_pairing(form, ("arms", name, "pairing"), arm.pairing, spot)
    with st.container(horizontal=True):
        if st.button("Duplicate", key=f"arm-duplicate-{place}", type="tertiary", icon=":material/content_copy:"):
            asked = lambda text: with_duplicate(text, name)  # noqa: E731
        if st.button("Remove", key=f"arm-remove-{place}", type="tertiary", icon=":material/close:", disabled=last):
            asked = lambda text: without_arm(text, name)  # noqa: E731
    return asked


def arm_of_kind(kind: str, old: Pairing | None) -> dict[str, object]:
    """Returns an arm of another kind with the old one's budget of pairs."""
    if kind == "baseline":
        return {"baseline": "random_initialisation"}
    return {"pairing": {"policy": kind, "pairs": 1000 if old is None else old.pairs}}


def show_pairing(form: Form, path: Path, pairing: Pairing, spot: str) -> None:
    """Shows the knobs of a pairing policy."""
    left, right = st.columns(2)
    pairs = left.number_input(
        "Distinct pairs", 2, 10_000_000, pairing.pairs, step=100, key=form.key("arm", spot, "pairs")
    )
    form.note((*path, "pairs"), pairs, pairing.pairs)
    if pairing.policy == "temporal":
        fixed = right.toggle(
            "Set the share of noisy pairs",
            pairing.noise.rate is not None,
            key=form.key("arm", spot, "fixed"),
            help="Off takes the pairs as the data has them. On, all arms draw from places with a relevant change.",
        )
        if fixed:
            show_noise(form, path, pairing.noise, spot)
        elif pairing.noise.rate is not None:
            form.edits[(*path, "noise")] = None
        return
    dates = list(dict.fromkeys([*DATES, pairing.acquisition]))
    date = right.selectbox(
        "Date",
        dates,
        index=dates.index(pairing.acquisition),
        key=form.key("arm", spot, "acquisition"),
        help="balanced draws equally from every date.",
    )
    form.note((*path, "acquisition"), date, pairing.acquisition)


def show_noise(form: Form, path: Path, noise: Noise, spot: str) -> None:
    """Shows rate, extent and control of the noise."""
    left, right = st.columns(2)
    shown = 50 if noise.rate is None else round(100 * noise.rate)
    percent = left.slider("Noisy pairs, %", 0, 100, shown, step=5, key=form.key("arm", spot, "rate"))
    if noise.rate is None or percent != shown:
        form.edits[(*path, "noise", "rate")] = percent / 100
    bounds = (round(100 * noise.extent[0]), round(100 * noise.extent[1]))
    extent = right.slider(
        "Extent of their change, %",
        0,
        100,
        bounds,
        step=5,
        key=form.key("arm", spot, "extent"),
        help="Share of object pixels that change in a noisy pair; the same for all arms that set a share.",
    )
    if extent != bounds:
        form.edits[(*path, "noise", "extent")] = [extent[0] / 100, extent[1] / 100]
    control = st.selectbox(
        "In place of a noisy pair",
        list(CONTROLS),
        index=list(CONTROLS).index(noise.control),
        format_func=lambda each: CONTROLS[each],
        key=form.key("arm", spot, "control"),
        help="What stands in at the same place, so that arms differ in noise and not in the places they see.",
    )
    if control != noise.control:
        form.edits[(*path, "noise", "control")] = control
