"""A page with all components and the buttons that a test needs; pictures come from gallery_server.py."""

import json

import streamlit as st

from frontend.components.arm_table.arm_table import RowSpec, arm_table
from frontend.components.overlay_viewer.state import ViewerState
from frontend.components.overlay_viewer.viewer import ImageSpec, LayerSpec, default_state, overlay_viewer
from frontend.components.page_keys.keys import page_keys
from frontend.components.pair_grid.grid import PairSpec, Tone, pair_grid
from frontend.components.palette import class_specs, kind_specs
from frontend.components.view_pair.view_pair import PointSpec, view_pair

st.set_page_config(layout="wide")
size = int(st.query_params.get("size", "64"))
step = st.session_state.setdefault("step", 0)
with st.container(horizontal=True):
    if st.button("Next step"):
        st.session_state["step"] = step = step + 1
    st.button("Run again")
    is_broken = st.toggle("Broken prediction")
    is_hostile = st.toggle("Hostile names")
    is_away = st.toggle("No viewer")


def url(kind: str, seed: int = 0, pixels: int = size) -> str:
    return f"/api/v1/pictures/{kind}?size={pixels}&seed={seed}"


name = "<img src=x onerror=\"document.title='broken in'\">" if is_hostile else "Prediction"
images: list[ImageSpec] = [
    {"key": "pre", "label": "Before", "url": url("pre")},
    {"key": "post", "label": "After", "url": url("post")},
]
layers: list[LayerSpec] = [
    {"key": "label", "label": "Label", "url": url("label"), "kind": "label"},
    {"key": "prediction", "label": name, "url": url("gone" if is_broken else "prediction", step), "kind": "prediction"},
    {"key": "change", "label": "Change", "url": url("change"), "kind": "change"},
]
first: ViewerState = default_state(images=images, layers=layers)
if not is_away:
    shown = overlay_viewer(
        images=images,
        layers=layers,
        classes=class_specs(["background", "intact", "damaged"]),
        objects=[{"image": each, "url": url(f"objects-{each}")} for each in ("pre", "post")],
        kinds=kind_specs(["no-damage", "destroyed"]),
        prefetch=[url("pre", step + 1)],
        initial=first.updated_from_params(st.query_params),
        height=560,
        description="Scene 1",
        key="viewer",
    )
    st.code(json.dumps({"step": step, **shown.to_params()}), language="json")

tones: list[Tone] = ["good", "bad", "warning", "neutral", "info"]
texts = ["clean", "noisy", "unknown", "64 px", "train"]
pairs: list[PairSpec] = [
    {
        "key": f"pair-{number}",
        "title": name if is_hostile else f"hurricane-michael_{number:08d}",
        "subtitle": f"x {number * 64}, y 128 · change share {number * 1.7:.1f} %",
        "badges": [{"text": texts[each % 5], "tone": tones[each % 5]} for each in range(number % 5 + 1)],
        "images": [
            {"url": url("pre", number, 64), "label": "anchor · pre"},
            {"url": url("gone" if number == 3 else "post", number, 64), "label": "positive · post"},
        ],
    }
    for number in range(40)
]
page_keys(
    [
        {"keys": ("ArrowRight", "j"), "label": "count", "button": "count"},
        {"keys": ("f",), "label": "never", "button": "never"},
    ],
    key="keys",
)
if st.button("Count", key="count"):
    st.session_state["counted"] = st.session_state.get("counted", 0) + 1
st.button("Never", key="never", disabled=True)
st.text_input("Written", key="written")
st.write(f"Counted: {st.session_state.get('counted', 0)}")
focus = f"pair-{st.query_params['focus']}" if "focus" in st.query_params else None
clicked = pair_grid(pairs=pairs, columns_min_px=240, description="Pairs", focus=focus, key="grid")
st.write(f"Clicked: {clicked}")

colours = ("#1F7FC4", "#E69F00", "#009E73")
rows: list[RowSpec] = [
    {
        "title": f"{name if is_hostile else 'hurricane-michael'} · y {place * 64}",
        "cells": [
            {
                "images": [] if (arm, place) == (1, 1) else [
                    {"url": url("pre", place, 64), "label": "pre"},
                    {"url": url("post", place, 64), "label": "post", "overlay": url("change", place, 64)},
                ],
                "badges": [{"text": texts[arm], "tone": tones[arm]}],
                "note": "thrown away by the filter",
            }
            for arm in range(3)
        ],
    }
    for place in range(2)
]  # fmt: skip
arm_table(
    columns=[{"title": f"Arm {arm}", "color": color, "badges": []} for arm, color in enumerate(colours)],
    rows=rows,
    description="Arms side by side",
    key="arms",
)

turned = [[0.0, 0.5, 8.0], [0.5, 0.0, 4.0]]
moved = [[0.75, 0.0, -6.0], [0.0, 0.75, 2.0]]
places = [(8 + 4 * number, 8 + 6 * number % 40) for number in range(9)]
points: list[PointSpec] = [
    {
        "a": [(y - 4) / 0.5, (x - 8) / 0.5],
        "b": [(x + 6) / 0.75, (y - 2) / 0.75],
        "excluded": number % 4 == 3,
    }
    for number, (x, y) in enumerate(places)
]
view_pair(
    anchor={"label": "anchor · pre", "url": url("pre", 0, 64), "matrix": turned, "change_url": url("change", 0, 64)},
    positive={
        "label": name if is_hostile else "positive · post",
        "url": url("gone" if is_broken else "post", 0, 64),
        "matrix": moved,
        "change_url": None,
    },
    size=64,
    chip_size=64,
    points=[] if is_away else points,
    reach=6.0,
    notes=["Colours, light and blur are varied too; that is not drawn."],
    description="Views of pair 1",
    key="views",
)
