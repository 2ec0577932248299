"""What an arm has of its own instead of the experiment's: method and loss, dataset, scenes."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from frontend.page import verbatim
from frontend.scene_query import query_of_filter
from frontend.scene_records import Dataset
from frontend.scene_wording import conditions
from frontend.screens.arm_place import ArmPlace
from frontend.screens.method_fields import METHODS, show_method_fields
from frontend.screens.stay_open import stays_open
from frontend.wording import plural
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.scene_filter import SceneFilter

SHARED = ""
NAMED_SCENES = {"only": "by name", "without": "left out by name"}
LAST_SELECTION = "draft-selection"
"""In the session's state: the scenes that the pair browser handed over last."""


def show_exceptions(place: ArmPlace, experiment: Experiment, datasets: Mapping[str, Dataset]) -> None:
    """Shows method, dataset and scenes of one arm."""
    arm = place.arm
    has_some = any(each is not None for each in (arm.method, arm.dataset, arm.scenes))
    key = place.key("own")
    with st.expander("Own method, dataset or scenes", key=key, expanded=stays_open(key, has_some)):
        show_own_method(place, experiment)
        show_own_dataset(place, experiment, datasets)
        show_own_scenes(place)


def show_own_method(place: ArmPlace, experiment: Experiment) -> None:
    """Shows the arm's method where it differs from the experiment's."""
    own = "" if place.arm.method is None else place.arm.method.name
    options = [SHARED, *METHODS]
    chosen = st.selectbox(
        "Method",
        options,
        index=options.index(own),
        format_func=lambda name: METHODS[name] if name else f"as the experiment: {METHODS[experiment.method.name]}",
        key=place.key("method"),
        help="For arms that compare methods or losses on the same pairs.",
    )
    if chosen != own:
        place.form.restructure(place.path("method"), method_of(str(chosen), experiment) if chosen else None)
    elif place.arm.method is not None:
        show_method_fields(
            place.form, place.path("method"), place.arm.method, lambda field: place.key(f"method-{field}")
        )


def method_of(name: str, experiment: Experiment) -> dict[str, Any]:
    """Returns a method for an arm: with the experiment's settings where it is the same one."""
    same = experiment.method.name == name
    return experiment.method.model_dump(mode="json", exclude_unset=True) if same else {"name": name}


def show_own_dataset(place: ArmPlace, experiment: Experiment, datasets: Mapping[str, Dataset]) -> None:
    """Shows what the arm is pretrained on."""
    others = [name for name in datasets if name != experiment.dataset]
    if not others and place.arm.dataset is None:
        return
    place.form.option(
        "Pretrained on",
        place.path("dataset"),
        place.arm.dataset or SHARED,
        [SHARED, *others],
        key=place.key("dataset"),
        default=SHARED,
        shown=lambda name: name or f"as the experiment: {experiment.dataset}",
        help="Segmentation stays on the experiment's dataset.",
        restructures=True,
    )


def show_own_scenes(place: ArmPlace) -> None:
    """Shows the arm's own scenes: events here, everything else as the pair browser handed it over."""
    own = place.arm.scenes
    events = list(place.dataset["events"]) if place.dataset is not None else []
    if len(events) > 1:
        chosen = st.multiselect(
            "Events it is pretrained on",
            list(dict.fromkeys([*events, *(own.events if own else ())])),
            list(own.events) if own else [],
            key=place.key("events"),
            placeholder="as the experiment",
        )
        others = own is not None and own.model_dump(exclude_defaults=True, exclude={"events"})
        old = list(own.events) if own else []
        if chosen != old:
            path = place.path("scenes") if not chosen and not others else place.path("scenes", "events")
            place.form.restructure(path, chosen or None)
    if own is not None:
        st.markdown(f"Only these scenes: {verbatim(scenes_in_words(own))}")
        if st.button("Take the experiment's scenes", key=place.key("scenes-all"), type="tertiary"):
            place.form.restructure(place.path("scenes"), None)
    selection = st.session_state.get(LAST_SELECTION)
    if selection and place.dataset is not None and selection["dataset"] == place.dataset["name"]:
        words = "Take your selection from Pairs for this arm alone"
        if st.button(words, key=place.key("scenes-take"), type="tertiary", icon=":material/filter_alt:"):
            place.form.restructure(place.path("scenes"), selection["filter"] or None)


def scenes_in_words(scenes: SceneFilter) -> str:
    """Returns which scenes a filter lets pass."""
    content = scenes.model_dump(mode="json", exclude_defaults=True)
    words = [text for text, _ in conditions(query_of_filter(content))]
    words += [f"{plural(len(content[name]), 'scene')} {how}" for name, how in NAMED_SCENES.items() if content.get(name)]
    return " · ".join(words) or "all"
