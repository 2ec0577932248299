"""The overlay viewer: images of a scene, and over them labels, predictions, errors, change and objects."""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any, Literal, TypedDict, get_args

import streamlit as st

from frontend.components.overlay_viewer.state import Mode, Side, ViewerState
from frontend.components.palette import CHANGE_COLORS, ERROR_COLORS, TRANSPARENT, ClassSpec, KindSpec
from frontend.components.same_origin import checked_path

_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,120}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
ERRORS_OF = "errors:"
"""`errors:` and a prediction's key name the overlay that marks where that prediction differs from the label."""


LayerKind = Literal["label", "prediction", "change"]


class ImageSpec(TypedDict):
    """One image of the place. `url` is a path on this server."""

    key: str
    label: str
    url: str


class LayerSpec(TypedDict):
    """One class-index PNG over the images: what is true, what was predicted, or the change map."""

    key: str
    label: str
    url: str
    kind: LayerKind


class ObjectsSpec(TypedDict):
    """The labelled objects of one image. `url` is a path on this server: JSON, a list of name, kind, area and rings."""

    image: str
    """Key of the image."""
    url: str


_SCRIPTS = (
    "pixels.js",
    "camera.js",
    "drawing.js",
    "outlines.js",
    "layers.js",
    "objects.js",
    "flicker.js",
    "controls.js",
    "presenting.js",
    "stage.js",
    "gestures.js",
    "viewer.js",
)
"""Joined into the one module that Streamlit takes; the last one exports the component."""

_assets = files("frontend.components.overlay_viewer")
_mount = st.components.v2.component(
    "pairlab.overlay_viewer",
    html=(_assets / "viewer.html").read_text("utf-8"),
    css=(_assets / "viewer.css").read_text("utf-8"),
    js="\n".join((_assets / name).read_text("utf-8") for name in _SCRIPTS),
)


def overlay_viewer(
    *,
    images: Sequence[ImageSpec],
    layers: Sequence[LayerSpec] = (),
    classes: Sequence[ClassSpec] = (),
    objects: Sequence[ObjectsSpec] = (),
    kinds: Sequence[KindSpec] = (),
    prefetch: Sequence[str] = (),
    initial: ViewerState | None = None,
    height: int = 560,
    description: str = "Overlay viewer",
    key: str,
) -> ViewerState:
    """Returns what the user has on view; shows the images with the layers over them.

    Zoom, opacity, sides and hidden classes stay when a later run shows other addresses under the same `key`.

    Args:
        images: in order of time, at least one; all of the same ground.
        layers: class-index PNGs of the same ground; a label and predictions together also offer their errors.
        classes: of labels and predictions, as `palette.class_specs` gives them.
        objects: where the labelled objects of images are; loaded once the user wants to see them.
        kinds: of the objects.
        prefetch: paths on this server that are likely to be shown next; fetched when all else is here.
        initial: what is on view at first; None is `default_state(images=…, layers=…)`. Keys that do not exist here
            are replaced by the default.
        height: of the picture, in pixels, 120 to 2000.
        description: read to people who do not see the picture.
        key: names the viewer on its page.

    Raises:
        ValueError: no images, keys that repeat, an address that is not a path on this server, or a colour that is none.
    """
    _check_layout(height, key)
    _check_pictures(images, layers)
    _check_classes(classes)
    _check_objects(objects, kinds, images)
    for url in prefetch:
        checked_path(url, what="What comes next")
    default = default_state(images=images, layers=layers)
    kept = st.session_state.get(key) or {}
    shown = _fitted(initial or default, default, images, layers)
    if kept.get("view"):
        shown = _fitted(shown.updated_from_record(kept["view"]), default, images, layers)
    data: dict[str, Any] = {
        "images": list(images),
        "layers": list(layers),
        "classes": list(classes),
        "objects": list(objects),
        "kinds": list(kinds),
        "prefetch": list(prefetch),
        "changes": [{"index": index, "name": name, "color": color} for name, (index, color) in CHANGE_COLORS.items()],
        "errors": [{"name": name, "color": color} for name, color in ERROR_COLORS.items()],
        "initial": shown.to_record(),
        "height": height,
        "description": description,
    }
    result = _mount(key=key, data=data, on_view_change=_rerun)
    view = result.get("view")
    return _fitted(shown.updated_from_record(view), default, images, layers) if view else shown


def default_state(
    *, images: Sequence[ImageSpec], layers: Sequence[LayerSpec] = (), mode: Mode = "single"
) -> ViewerState:
    """Returns what is worth seeing first.

    Two predictions: one on each side. A label and a prediction: label left, prediction right. Otherwise the first and
    the last image. `single` shows the last image under the best layer there is.
    """
    keys = {
        kind: [layer["key"] for layer in layers if layer["kind"] == kind] for kind in ("label", "prediction", "change")
    }
    first, last = images[0]["key"], images[-1]["key"]
    if mode == "single":
        best = next(iter(keys["prediction"] + keys["label"] + keys["change"]), None)
        return ViewerState("single", Side(last, best), Side(last, next(iter(keys["label"]), None)))
    sides = (keys["prediction"] if len(keys["prediction"]) > 1 else keys["label"] + keys["prediction"])[:2]
    if len(sides) == 2:
        return ViewerState(mode, Side(last, sides[0]), Side(last, sides[1]))
    return ViewerState(mode, Side(first), Side(last))


def _rerun() -> None:
    """Named so that Streamlit knows the state; the run that follows reads it."""


def _fitted(
    state: ViewerState, default: ViewerState, images: Sequence[ImageSpec], layers: Sequence[LayerSpec]
) -> ViewerState:
    overlays: set[str | None] = {None, *(layer["key"] for layer in layers)}
    if any(layer["kind"] == "label" for layer in layers):
        overlays |= {ERRORS_OF + layer["key"] for layer in layers if layer["kind"] == "prediction"}
    image_keys = {image["key"] for image in images}

    def fit(side: Side, fallback: Side) -> Side:
        return Side(
            side.image if side.image in image_keys else fallback.image,
            side.overlay if side.overlay in overlays else fallback.overlay,
        )

    return replace(state, left=fit(state.left, default.left), right=fit(state.right, default.right))


def _check_layout(height: int, key: str) -> None:
    if "__" in key:
        raise ValueError(f"the key {key!r} holds two underscores in a row, which Streamlit keeps for itself")
    if not 120 <= height <= 2000:
        raise ValueError(f"height is {height}, it must be between 120 and 2000 pixels")


def _check_pictures(images: Sequence[ImageSpec], layers: Sequence[LayerSpec]) -> None:
    if not images:
        raise ValueError("the overlay viewer needs at least one image")
    pictures = [(each["key"], each["label"], each["url"]) for each in (*images, *layers)]
    seen: set[str] = set()
    for key, label, url in pictures:
        if not _KEY.fullmatch(key) or key.startswith(ERRORS_OF):
            raise ValueError(f"{key!r} cannot name an image or layer: use letters, digits and _ . : -")
        if key in seen:
            raise ValueError(f"two images or layers have the key {key!r}")
        seen.add(key)
        checked_path(url, what=label)
    for layer in layers:
        if layer["kind"] not in get_args(LayerKind):
            raise ValueError(f"layer {layer['key']!r} is of kind {layer['kind']!r}, not label, prediction or change")
    if sum(layer["kind"] == "label" for layer in layers) > 1:
        raise ValueError("the overlay viewer takes one label, the other layers are predictions or change")


def _check_classes(classes: Sequence[ClassSpec]) -> None:
    indices = [each["index"] for each in classes]
    if len(set(indices)) != len(indices):
        raise ValueError(f"class indices repeat: {indices}")
    for each in classes:
        if not 0 <= each["index"] <= 254:
            raise ValueError(f"class {each['name']!r} has index {each['index']}, it must be between 0 and 254")
        if each["color"] != TRANSPARENT and not _COLOR.fullmatch(each["color"]):
            raise ValueError(f"class {each['name']!r} has colour {each['color']!r}, it must look like #33bbee")


def _check_objects(objects: Sequence[ObjectsSpec], kinds: Sequence[KindSpec], images: Sequence[ImageSpec]) -> None:
    known = {image["key"] for image in images}
    for each in objects:
        if each["image"] not in known:
            raise ValueError(f"objects of {each['image']!r}: there is no image of that key")
        checked_path(each["url"], what=f"Objects of {each['image']}")
    for kind in kinds:
        if not _COLOR.fullmatch(kind["color"]):
            raise ValueError(f"kind {kind['name']!r} has colour {kind['color']!r}, it must look like #33bbee")
