"""The knobs of an arm's pairing: which two images are a pair, and what makes it noisy."""

from collections.abc import Mapping

import streamlit as st

from frontend.screens.arm_filter import show_filter
from frontend.screens.arm_place import ArmPlace
from frontend.screens.arm_time_gap import show_time_gap
from frontend.screens.stay_open import stays_open
from pairlab.experiment.methods import can_mask
from pairlab.experiment.pairing import EVERY_EXTENT, NoFilter, Noise, Pairing

BY_ITSELF = "by itself"
CONTROL_WORDS: Mapping[str, str] = {
    "rerender": "rendered again without its change",
    "masked": "the changed pixels excluded",
    "same_acquisition": "one image of the place, twice",
    "replace": "a clean place instead",
}
CONTROL_HELP: Mapping[str, str] = {
    "rerender": "The same place and dates, rendered without the change: light and season stay, so arms differ in the "
    "change alone.",
    "masked": "The same two images; pixels that changed are not matched. Every arm sees the same images.",
    "same_acquisition": "One image of the place with itself, half first and half last. This loses the differences of "
    "light, season and sensor too.",
    "replace": "Another place without change, of the same event and with about as many objects. Arms then differ in "
    "the places they see as well, and the results say so.",
}
MISMATCH_WORDS: Mapping[str, str] = {
    "same_event": "another scene of the same event",
    "other_event": "another event",
    "similar": "any scene that looks alike (share of objects)",
}
SHORT_SHIFT, MOST_SHIFT = 16.0, 64.0
"""Pixels the slider reaches to: the greater one where the file holds more than the smaller."""


def show_pairing(place: ArmPlace, pairing: Pairing) -> None:
    """Shows the knobs that apply to a pairing."""
    left, right = st.columns(2)
    with left:
        place.form.number(
            "Distinct pairs",
            place.pairing("pairs"),
            pairing.pairs,
            key=place.key("pairs"),
            min_value=2,
            max_value=10_000_000,
            step=100,
            help="The budget. Steps are set by the pretraining, so they are equal in every arm.",
        )
    if pairing.policy == "same_image":
        with right:
            show_date(place, pairing)
        return
    with right:
        show_rate_switch(place, pairing)
    if pairing.noise.rate is not None:
        show_noise(place, pairing.noise, pairing.noise.rate)
    words = "Wrong places, misregistration, filter"
    with st.expander(words, key=place.key("more"), expanded=stays_open(place.key("more"), has_more(pairing))):
        show_mismatch(place, pairing)
        show_shift(place, pairing.noise)
        show_time_gap(place, pairing)
        show_filter(place, pairing)


def has_more(pairing: Pairing) -> bool:
    """Whether a knob is turned that is not seen at first."""
    noise = pairing.noise
    return bool(noise.mismatch_rate or noise.shift_px or pairing.time_gap or pairing.filter != NoFilter())


def show_date(place: ArmPlace, pairing: Pairing) -> None:
    """Shows which date is paired with itself."""
    dates = ("balanced", *(place.dataset["acquisitions"] if place.dataset is not None else ()))
    place.form.option(
        "Date",
        place.pairing("acquisition"),
        pairing.acquisition,
        dates,
        key=place.key("acquisition"),
        default="balanced",
        help="balanced draws equally from every date.",
    )


def show_rate_switch(place: ArmPlace, pairing: Pairing) -> None:
    """Shows whether the arm sets a share of noisy pairs."""
    noise = pairing.noise
    if pairing.time_gap is not None or (place.transductive and noise.rate is None):
        return
    fixed = st.toggle(
        "Set the share of noisy pairs",
        noise.rate is not None,
        key=place.key("fixed"),
        help="Off takes the pairs as the data has them. On, all arms draw from places with a relevant change.",
    )
    if fixed and noise.rate is None:
        place.form.restructure(place.noise("rate"), min(0.5, 1 - noise.mismatch_rate))
    elif not fixed and noise.rate is not None:
        for field in ("rate", "extent", "control"):
            place.form.restructure(place.noise(field), None)


def show_noise(place: ArmPlace, noise: Noise, rate: float) -> None:
    """Shows rate, extent and control of the noise."""
    left, right = st.columns(2)
    with left:
        new = place.form.percent("Noisy pairs, %", place.noise("rate"), rate, key=place.key("rate"))
    place.form.restructures |= (new in (0, 1)) != (rate in (0, 1))
    if rate > 0 or noise.extent != EVERY_EXTENT:
        with right:
            show_extent(place, noise)
    if rate < 1:
        show_control(place, noise)


def show_extent(place: ArmPlace, noise: Noise) -> None:
    """Shows how much of a noisy pair's objects changes."""
    low, high = (round(100 * bound) for bound in noise.extent)
    extent = st.slider(
        "Extent of their change, %",
        0,
        100,
        (low, high),
        step=5,
        key=place.key("extent"),
        help="Share of object pixels that change in a noisy pair.",
    )
    if extent != (low, high):
        bounds = (extent[0] / 100, extent[1] / 100)
        place.form.edits[place.noise("extent")] = None if bounds == EVERY_EXTENT else list(bounds)


def show_control(place: ArmPlace, noise: Noise) -> None:
    """Shows what stands in for a noisy pair, of what this dataset and method allow, and what it means."""
    synthetic = place.dataset is not None and place.dataset["config"]["kind"] == "synthetic"
    masks = can_mask(place.method)
    own = "rerender" if synthetic else "masked" if masks else None
    fitting = [name for name, fits in (("rerender", synthetic), ("masked", masks)) if fits]
    options = ([BY_ITSELF] if own else []) + [*fitting, "same_acquisition", "replace"]
    chosen = place.form.option(
        "In place of a noisy pair",
        place.noise("control"),
        noise.control or BY_ITSELF,
        options,
        key=place.key("control"),
        default=BY_ITSELF,
        shown=lambda name: CONTROL_WORDS[name] if name in CONTROL_WORDS else control_by_itself(own),
        help="What stands in at the same place, so that arms differ in noise and not in the places they see.",
    )
    meant = own if chosen == BY_ITSELF else chosen
    st.caption(CONTROL_HELP[meant] if meant else "This method matches nothing by geometry: name one of the others.")


def control_by_itself(own: str | None) -> str:
    """Returns the words for a control that follows from dataset and method."""
    return f"by itself: {CONTROL_WORDS[own]}" if own else "none fits by itself"


def show_mismatch(place: ArmPlace, pairing: Pairing) -> None:
    """Shows how many positives show another place, and which."""
    noise = pairing.noise
    if (noise.rate == 1 or pairing.filter.by == "change_score") and not noise.mismatch_rate:
        return
    left, right = st.columns(2)
    with left:
        rate = place.form.percent(
            "Positives of another place, %",
            place.noise("mismatch_rate"),
            noise.mismatch_rate,
            key=place.key("mismatch_rate"),
            default=0.0,
            help="Counted apart, never as noisy: the two images do not show the same ground.",
        )
    place.form.restructures |= (rate > 0) != (noise.mismatch_rate > 0)
    if not noise.mismatch_rate:
        return
    if not rate and noise.mismatch_from != "same_event":
        place.form.edits[place.noise("mismatch_from")] = None
    several = place.dataset is not None and len(place.dataset["events"]) > 1
    fits = {"same_event": True, "other_event": several, "similar": not place.transductive}
    with right:
        place.form.option(
            "The other place",
            place.noise("mismatch_from"),
            noise.mismatch_from,
            [name for name in MISMATCH_WORDS if fits[name]],
            key=place.key("mismatch_from"),
            default="same_event",
            shown=MISMATCH_WORDS.__getitem__,
        )


def show_shift(place: ArmPlace, noise: Noise) -> None:
    """Shows how far positives are displaced."""
    is_far = noise.shift_px > SHORT_SHIFT
    help = (
        "Standard deviation, down and across, of an added displacement of the positive; one draw per pair, which the "
        "loss does not know."
    )
    shift = st.slider(
        "Misregistration, pixels",
        0.0,
        MOST_SHIFT if is_far else SHORT_SHIFT,
        noise.shift_px,
        step=0.5,
        key=place.key("shift_px"),
        help=help,
    )
    place.form.restructures |= is_far and shift <= SHORT_SHIFT
    place.form.note(place.noise("shift_px"), shift, noise.shift_px, default=0.0)
