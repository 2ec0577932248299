"""How far the two acquisitions of a pair lie apart, for datasets with more than two."""

from datetime import date

import streamlit as st

from frontend.screens.arm_place import ArmPlace
from pairlab.experiment.pairing import Pairing, TimeGap

KINDS = {"": "the first and the last", "steps": "so many steps apart", "days": "so many days apart"}


def show_time_gap(place: ArmPlace, pairing: Pairing) -> None:
    """Shows the time gap where there is a choice, and none contradicts it."""
    dates = place.dataset["acquisitions"] if place.dataset is not None else []
    free = pairing.noise.rate is None and pairing.filter.by != "change_score"
    if pairing.time_gap is None and (len(dates) < 3 or not free):
        return
    gap = pairing.time_gap
    kind = "" if gap is None else "days" if gap.steps is None else "steps"
    kinds = [each for each in KINDS if each != "days" or kind == "days" or all(map(is_date, dates))]
    chosen = st.selectbox(
        "The two dates of a pair",
        kinds,
        index=kinds.index(kind),
        format_func=KINDS.__getitem__,
        key=place.key("time_gap"),
        help="Each pair of dates that passes is drawn equally often. What changed is known between the first and the "
        "last date alone.",
    )
    if chosen != kind:
        gaps = {"steps": {"steps": [1, 1]}, "days": {"days": [0.0, 365.0]}}
        place.form.restructure(place.pairing("time_gap"), gaps.get(chosen))
    elif gap is not None:
        show_bounds(place, gap, most=max(len(dates) - 1, 1))


def show_bounds(place: ArmPlace, gap: TimeGap, *, most: int) -> None:
    """Shows the least and the greatest gap."""
    if gap.steps is not None:
        low, high = gap.steps
        steps = st.slider("Steps apart", 1, max(most, high, 2), (max(low, 1), high), key=place.key("steps"))
        place.form.note(place.pairing("time_gap", "steps"), list(steps), [max(low, 1), high])
    elif gap.days is not None:
        left, right = st.columns(2)
        least = left.number_input("Days, at least", 0.0, value=gap.days[0], step=30.0, key=place.key("days-low"))
        greatest = right.number_input("Days, at most", 0.0, value=gap.days[1], step=30.0, key=place.key("days-high"))
        place.form.note(place.pairing("time_gap", "days"), [least, greatest], list(gap.days))


def is_date(name: str) -> bool:
    """Whether the name of an acquisition is a date."""
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return True
