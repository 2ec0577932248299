"""A page with all components and the buttons that a test needs; pictures come from gallery_server.py."""

import json

import streamlit as st

from frontend.components.overlay_viewer.state import ViewerState
from frontend.components.overlay_viewer.viewer import ImageSpec, LayerSpec, default_state, overlay_viewer
from frontend.components.page_keys.keys import page_keys
from frontend.components.pair_grid.grid import PairSpec, Tone, pair_grid
from frontend.components.palette import class_specs, kind_specs

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
