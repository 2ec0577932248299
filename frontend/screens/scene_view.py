"""One scene in large: its acquisitions, label, change and polygons over them, and the way to its neighbours."""

import re
from collections.abc import Sequence
from functools import partial

import streamlit as st

from frontend.api_paths import change_path, image_path, mask_path, objects_path
from frontend.cached_answers import scene_of
from frontend.components.overlay_viewer.state import ViewerState
from frontend.components.overlay_viewer.viewer import (
    ImageSpec,
    LayerSpec,
    ObjectsSpec,
    default_state,
    overlay_viewer,
)
from frontend.components.page_keys.keys import KeySpec, page_keys
from frontend.components.palette import class_specs, kind_specs
from frontend.page import choose_else_default, drop_parameters, remember_in_url, verbatim
from frontend.scene_records import Dataset, SceneDetail
from frontend.screens.pair_filters import query_of
from frontend.screens.pair_list import LAST_OPENED, page_size
from frontend.screens.scene_facts import show_facts, show_metadata, show_objects
from frontend.screens.scene_mark import show_flag, show_note
from frontend.wording import grouped

PREFERRED = ("intact_damaged", "classes", "change")
"""Label schemes that say most about a pair, the first that a dataset offers."""
VIEWER_PARAMETERS = ("mode", "left", "right", "opacity", "hidden", "outline", "polygons", "speed", "scheme")
KEYS: Sequence[KeySpec] = (
    {"keys": ("ArrowLeft", "k"), "label": "previous", "button": "scene-previous"},
    {"keys": ("ArrowRight", "j"), "label": "next", "button": "scene-next"},
    {"keys": ("f",), "label": "flag", "button": "scene-flag"},
    {"keys": ("u",), "label": "back to the list", "button": "scene-close"},
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def show_scene(dataset: Dataset, name: str) -> None:
    """Shows the scene that the URL names, with ways to its neighbours and back to the list."""
    query = query_of(dataset)
    with st.container(horizontal=True, vertical_alignment="center", key="scene-buttons"):
        close = st.container(width="content")
        scene = scene_of(dataset, name, query)
        with close:
            st.button(
                "All pairs",
                icon=":material/arrow_back:",
                key="scene-close",
                on_click=partial(close_scene, name, scene["place"]),
            )
        ways = (("previous", scene["previous"], "chevron_left"), ("next", scene["next"], "chevron_right"))
        for way, neighbour, icon in ways:
            st.button(
                way.capitalize(),
                key=f"scene-{way}",
                icon=f":material/{icon}:",
                disabled=neighbour is None,
                on_click=partial(open_scene, neighbour),
            )
        st.markdown(place_words(scene), width="content")
        show_flag(dataset, scene)
        page_keys(KEYS, key="scene-keys")
    st.title(verbatim(name), anchor=False)
    picture, known = st.columns([7, 3], gap="large")
    with picture:
        show_viewer(dataset, scene)
        choose_scheme(dataset)
        show_metadata(scene)
        show_objects(dataset, scene)
    with known:
        show_note(dataset, scene)
        show_facts(scene)


def open_scene(name: str | None) -> None:
    """Opens a neighbour; how it is looked at stays."""
    if name is not None:
        st.query_params["scene"] = name


def close_scene(name: str, place: int | None) -> None:
    """Goes back to the page of the list that has the scene."""
    drop_parameters("scene", *VIEWER_PARAMETERS)
    st.session_state[LAST_OPENED] = name
    if place is not None:
        page = place // page_size() + 1
        remember_in_url({"page": "" if page == 1 else str(page)})


def place_words(scene: SceneDetail) -> str:
    """Returns where the scene stands in the list it was opened from."""
    if scene["place"] is None:
        return f"not among the {grouped(scene['total'])} of the filter"
    return f"**{grouped(scene['place'] + 1)}** of {grouped(scene['total'])}"


def show_viewer(dataset: Dataset, scene: SceneDetail) -> None:
    """Shows the acquisitions with label, change map and polygons over them."""
    name, acquisitions = scene["name"], scene["acquisitions"]
    keys = {each: acquisition_key(each, place) for place, each in enumerate(acquisitions)}
    images: list[ImageSpec] = [
        {"key": keys[each], "label": each, "url": image_path(dataset["name"], name, each)} for each in acquisitions
    ]
    scheme = scheme_of(dataset)
    layers: list[LayerSpec] = []
    if scheme is not None:
        url = mask_path(dataset["name"], name, acquisitions[-1], scheme=scheme)
        layers.append({"key": "label", "label": f"label ({acquisitions[-1]})", "url": url, "kind": "label"})
    layers.append({"key": "change", "label": "change", "url": change_path(dataset["name"], name), "kind": "change"})
    objects: list[ObjectsSpec] = [
        {"image": keys[each], "url": objects_path(dataset["name"], name, each)} for each in acquisitions
    ]
    first = default_state(images=images, mode="side_by_side")
    shown = overlay_viewer(
        images=images,
        layers=layers,
        classes=class_specs(dataset["label_schemes"].get(scheme or "", [])),
        objects=objects if dataset["object_classes"] else [],
        kinds=kind_specs(dataset["object_classes"]),
        prefetch=[
            image_path(dataset["name"], neighbour, each)
            for neighbour in (scene["next"], scene["previous"])
            if neighbour is not None and acquisitions == dataset["acquisitions"]
            for each in acquisitions
        ],
        initial=first.updated_from_params(st.query_params),
        height=560,
        description=f"Scene {name}: its acquisitions with label, change and polygons",
        key="scene-viewer",
    )
    keep_view(shown, first)


def acquisition_key(acquisition: str, place: int) -> str:
    """Returns what names an acquisition in the URL: itself, unless it holds what a URL's key may not."""
    return acquisition if _NAME.fullmatch(acquisition) else f"acquisition-{place}"


def scheme_of(dataset: Dataset) -> str | None:
    """Returns the label scheme that the URL names, else the one that says most; None where there are no labels."""
    schemes = list(dataset["label_schemes"])
    named = st.query_params.get("scheme")
    return named if named in schemes else usual_scheme(schemes)


def usual_scheme(schemes: Sequence[str]) -> str | None:
    """Returns the label scheme to show first."""
    return next((each for each in (*PREFERRED, *schemes) if each in schemes), None)


def choose_scheme(dataset: Dataset) -> None:
    """Lets the user see the labels by another scheme."""
    schemes = list(dataset["label_schemes"])
    usual = usual_scheme(schemes)
    if usual is None or len(schemes) < 2:
        return
    with st.container(width=300):
        choose_else_default(
            "Label scheme",
            schemes,
            parameter="scheme",
            default=usual,
            shown=lambda each: f"labels: {each.replace('_', ' ')}",
            drops=("hidden",),
            hidden_label=True,
        )


def keep_view(shown: ViewerState, first: ViewerState) -> None:
    """Writes what is on view into the URL, as far as it differs from what is shown at first."""
    usual = first.to_params()
    remember_in_url({name: "" if usual[name] == value else value for name, value in shown.to_params().items()})
