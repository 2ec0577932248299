"""One scene in large: its acquisitions, label and change over them, and all that is known of it."""

from html import escape

import streamlit as st

from frontend.api_client import change_path, image_path, mask_path
from frontend.api_records import Dataset, SceneDetail
from frontend.components.overlay_viewer.state import ViewerState
from frontend.components.overlay_viewer.viewer import ImageSpec, LayerSpec, default_state, overlay_viewer
from frontend.components.palette import class_specs
from frontend.page import client, drop_parameters, facts, plain, remember_in_url
from frontend.wording import percent

SCHEME = "intact_damaged"
VIEWER_PARAMETERS = ("mode", "left", "right", "opacity", "hidden")


def show_scene(dataset: Dataset, name: str) -> None:
    """Shows the scene that the URL names, with ways to its neighbours and back to the list."""
    with st.container(horizontal=True, vertical_alignment="center", key="scene-buttons"):
        if st.button("All pairs", icon=":material/arrow_back:", key="scene-close"):
            drop_parameters("scene", *VIEWER_PARAMETERS)
            st.rerun()
        scene = client().scene(dataset["name"], name)
        for neighbour, words in ((scene["previous"], "Previous"), (scene["next"], "Next")):
            if st.button(words, key=f"scene-{words.lower()}", disabled=neighbour is None) and neighbour:
                st.query_params["scene"] = neighbour
                st.rerun()
    st.subheader(plain(name), anchor=False)
    picture, known = st.columns([7, 3], gap="large")
    with picture:
        show_viewer(dataset, scene)
    with known:
        show_facts(scene)


def show_viewer(dataset: Dataset, scene: SceneDetail) -> None:
    """Shows the acquisitions with label and change map over them."""
    images: list[ImageSpec] = [
        {"key": acquisition, "label": acquisition, "url": image_path(dataset["name"], scene["name"], acquisition)}
        for acquisition in scene["acquisitions"]
    ]
    layers: list[LayerSpec] = [
        {"key": "change", "label": "change", "url": change_path(dataset["name"], scene["name"]), "kind": "change"}
    ]
    classes = dataset["label_schemes"].get(SCHEME, [])
    if classes:
        url = mask_path(dataset["name"], scene["name"], scene["acquisitions"][-1], scheme=SCHEME)
        layers.insert(0, {"key": "label", "label": f"label ({images[-1]['label']})", "url": url, "kind": "label"})
    first = default_state(images=images, mode="side_by_side")
    shown = overlay_viewer(
        images=images,
        layers=layers,
        classes=class_specs(classes),
        initial=first.updated_from_params(st.query_params),
        height=520,
        description=f"Scene {scene['name']}: its acquisitions with label and change",
        key="scene-viewer",
    )
    keep_view(shown, first)


def keep_view(shown: ViewerState, first: ViewerState) -> None:
    """Writes what is on view into the URL, as far as it differs from what is shown at first."""
    usual = first.to_params()
    remember_in_url({name: "" if usual[name] == value else value for name, value in shown.to_params().items()})


def show_facts(scene: SceneDetail) -> None:
    """Shows change, pixels per class and what the dataset says of each acquisition."""
    st.markdown("**Change**")
    facts(
        {
            "Split": scene["split"],
            "Event": scene["event"],
            "Size": f"{scene['width']} × {scene['height']} pixels",
            "Change share": percent(scene["change_share"], 2)
            + (" (more may be hidden by un-classified objects)" if scene["unknown"] else ""),
            "Of object pixels": percent(scene["object_change_share"]),
            "Changed pixels": f"{scene['changed_pixels']:,}".replace(",", " "),
            "Without data": percent(scene["no_data_share"]),
        }
    )
    st.markdown("**Pixels per class**")
    show_class_pixels(scene)
    for acquisition, metadata in scene["metadata"].items():
        if metadata:
            with st.expander(f"Acquisition {acquisition}"):
                facts({key.replace("_", " "): value for key, value in metadata.items()})


def show_class_pixels(scene: SceneDetail) -> None:
    """Shows a table: classes by acquisition."""
    pixels = scene["class_pixels"]
    classes = list(dict.fromkeys(name for counts in pixels.values() for name in counts))
    head = "".join(f"<th>{escape(acquisition)}</th>" for acquisition in pixels)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{counts.get(name, 0):,}</td>".replace(",", " ") for counts in pixels.values())
        + "</tr>"
        for name in classes
        if any(counts.get(name) for counts in pixels.values())
    )
    st.html(f'<table class="pl-table"><tr><th>class</th>{head}</tr>{rows}</table>')
