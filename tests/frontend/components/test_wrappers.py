"""What the wrappers accept, refuse and remember."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.components.arm_table.arm_table import arm_table
from frontend.components.overlay_viewer.state import Mode, Side, ViewerState
from frontend.components.overlay_viewer.viewer import ImageSpec, LayerSpec, default_state, overlay_viewer
from frontend.components.page_keys.keys import KeySpec, page_keys
from frontend.components.pair_grid.grid import PairSpec, pair_grid
from frontend.components.palette import CLASS_COLORS, ClassSpec, class_specs, kind_specs
from frontend.components.same_origin import checked_path
from frontend.components.view_pair.view_pair import view_pair

IMAGES: list[ImageSpec] = [
    {"key": "pre", "label": "Before", "url": "/api/v1/a"},
    {"key": "post", "label": "After", "url": "/api/v1/b"},
]
LABEL: LayerSpec = {"key": "label", "label": "Label", "url": "/api/v1/c", "kind": "label"}
PREDICTION: LayerSpec = {"key": "probe", "label": "Probe", "url": "/api/v1/d", "kind": "prediction"}
OTHER: LayerSpec = {"key": "tuned", "label": "Tuned", "url": "/api/v1/e", "kind": "prediction"}
STATE = ViewerState("swipe", Side("pre"), Side("post", "errors:probe"), 0.35, (1, 255), outline=True)


@pytest.mark.parametrize("url", ["/api/v1/artifacts/3", "/api/v1/x?size=64&y=0", "/api/v1/sc%C3%A8ne"])
def test_path_on_this_server_passes(url: str) -> None:
    assert checked_path(url, what="Image") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api/v1/a",
        "//evil.example/a",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "data:image/png,",
        "/a b",
        "/a\n",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not a path on this server"):
        checked_path(url, what="Image")


def test_viewer_refuses_each_bad_argument_by_name() -> None:
    def refusal(**changed: Any) -> str:  # noqa: ANN401
        arguments = {
            "images": IMAGES,
            "layers": [LABEL],
            "classes": class_specs(["background", "intact"]),
            "key": "viewer",
        }
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            overlay_viewer(**{**arguments, **changed})
        return str(caught.value)

    wrong_color: ClassSpec = {"index": 1, "name": "intact", "color": "red;}"}
    assert "at least one image" in refusal(images=[])
    assert "'pre'" in refusal(images=[*IMAGES, IMAGES[0]])
    assert "'http://x/'" in refusal(images=[{**IMAGES[0], "url": "http://x/"}])
    assert "'a b' cannot name" in refusal(images=[{**IMAGES[0], "key": "a b"}])
    assert "kind 'mask'" in refusal(layers=[{**LABEL, "kind": "mask"}])
    assert "one label" in refusal(layers=[LABEL, {**LABEL, "key": "second"}])
    assert "colour 'red;}'" in refusal(classes=[wrong_color])
    assert "index 300" in refusal(classes=[{**wrong_color, "color": "#ffffff", "index": 300}])
    assert "repeat: [1, 1]" in refusal(classes=[wrong_color, wrong_color])
    assert "objects of 'later'" in refusal(objects=[{"image": "later", "url": "/api/v1/o"}])
    assert "Objects of pre: 'o'" in refusal(objects=[{"image": "pre", "url": "o"}])
    assert "kind 'roof' has colour 'red'" in refusal(kinds=[{"name": "roof", "color": "red"}])
    assert "What comes next: '//x'" in refusal(prefetch=["//x"])
    assert "height is 5" in refusal(height=5)
    assert "two underscores" in refusal(key="my__viewer")


def test_viewer_outside_a_page_returns_what_it_would_show() -> None:
    shown = overlay_viewer(images=IMAGES, layers=[LABEL, PREDICTION], initial=STATE, key="viewer")
    assert shown == STATE
    gone = ViewerState("swipe", Side("2016"), Side("post", "change"), 0.35)
    fitted = overlay_viewer(images=IMAGES, layers=[LABEL, PREDICTION], initial=gone, key="viewer")
    assert (fitted.mode, fitted.left, fitted.right) == ("swipe", Side("post", None), Side("post", "label"))


@pytest.mark.parametrize(
    ("layers", "mode", "left", "right"),
    [
        ([], "single", Side("post"), Side("post")),
        ([LABEL], "single", Side("post", "label"), Side("post", "label")),
        ([LABEL, PREDICTION], "single", Side("post", "probe"), Side("post", "label")),
        ([], "swipe", Side("pre"), Side("post")),
        ([LABEL], "side_by_side", Side("pre"), Side("post")),
        ([LABEL, PREDICTION], "swipe", Side("post", "label"), Side("post", "probe")),
        ([LABEL, PREDICTION, OTHER], "swipe", Side("post", "probe"), Side("post", "tuned")),
    ],
)
def test_default_state_shows_what_is_worth_comparing(
    layers: list[LayerSpec], mode: Mode, left: Side, right: Side
) -> None:
    state = default_state(images=IMAGES, layers=layers, mode=mode)
    assert (state.mode, state.left, state.right) == (mode, left, right)


KEYS = st.text("abcdefgh:-_.0123", min_size=1, max_size=12)
SIDES = st.builds(Side, KEYS, st.none() | KEYS)
STATES = st.builds(
    ViewerState,
    st.sampled_from(["single", "swipe", "flicker", "side_by_side"]),
    SIDES,
    SIDES,
    st.integers(0, 100).map(lambda percent: percent / 100),
    st.sets(st.integers(0, 255)).map(lambda indices: tuple(sorted(indices))),
    st.booleans(),
    st.booleans(),
    st.integers(1, 10).map(lambda halves: halves / 2),
)


@given(STATES)
def test_state_comes_back_from_the_address_and_from_the_browser(state: ViewerState) -> None:
    assert STATE.updated_from_params(state.to_params()) == state
    assert STATE.updated_from_record(state.to_record()) == state


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"mode": "spin", "opacity": "300", "left": "", "right": ""},
        {"opacity": "-1"},
        {"opacity": "nan"},
        {"speed": "nan"},
        {"speed": "99"},
        {"speed": "fast", "polygons": ""},
        {"unknown": "1"},
    ],
)
def test_nonsense_in_the_address_changes_nothing(params: dict[str, str]) -> None:
    assert STATE.updated_from_params(params) == STATE


def test_nonsense_from_the_browser_changes_nothing() -> None:
    record = {"mode": 3, "left": "pre", "right": {"image": None}, "opacity": True, "hidden": "12", "outline": 1}
    assert STATE.updated_from_record({**record, "polygons": "1", "speed": 1000}) == STATE
    assert STATE.updated_from_record({"hidden": [1, -1, 999, "2", True, 3]}).hidden == (1, 3)


def test_colours_are_distinct_and_the_same_for_a_name() -> None:
    for names in (
        ["background", "building"],
        ["background", "intact", "damaged"],
        ["background", "no-damage", "minor-damage", "major-damage", "destroyed"],
        ["background", *(f"object {kind} {state}" for kind in "ABC" for state in ("intact", "damaged"))],
        ["background", "road", "water", "field"],
    ):
        specs = class_specs(names)
        assert [each["name"] for each in specs] == names
        assert [each["index"] for each in specs] == list(range(len(names)))
        assert specs[0]["color"] == "transparent"
        assert len({each["color"] for each in specs}) == len(names)
    assert class_specs(["background", "damaged"])[1]["color"] == CLASS_COLORS["damaged"]


def test_objects_have_the_colour_of_their_class_and_are_always_seen() -> None:
    kinds = kind_specs(["no-damage", "destroyed", "background", "<b>"])
    assert [kind["name"] for kind in kinds] == ["no-damage", "destroyed", "background", "<b>"]
    assert kinds[1]["color"] == CLASS_COLORS["destroyed"]
    assert all(re.fullmatch("#[0-9a-f]{6}", kind["color"]) for kind in kinds)


def test_keys_of_a_page_are_refused_where_two_buttons_want_one() -> None:
    binding: KeySpec = {"keys": ("j",), "label": "next", "button": "scene-next"}
    page_keys([binding], key="keys")
    with pytest.raises(ValueError, match="two buttons want the key 'j'"):
        page_keys([binding, {**binding, "button": "other"}], key="keys")
    with pytest.raises(ValueError, match="cannot be the key of a button"):
        page_keys([{**binding, "button": "a b"}], key="keys")


def test_states_stay_apart_for_colour_blind_readers() -> None:
    """CIELAB distance after simulating each dichromacy (Viénot, Brettel and Mollon 1999, in linear RGB)."""
    names = ["no-damage", "minor-damage", "major-damage", "destroyed"]
    for colors in ([CLASS_COLORS[name] for name in names], [CLASS_COLORS["intact"], CLASS_COLORS["damaged"]]):
        for matrix in (DEUTERANOPE, PROTANOPE):
            seen = [_lab(_through(matrix, color)) for color in colors]
            for place, one in enumerate(seen):
                for other in seen[place + 1 :]:
                    assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 15


Matrix = tuple[tuple[float, float, float], ...]
PROTANOPE: Matrix = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
DEUTERANOPE: Matrix = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))
XYZ: Matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def _through(matrix: Matrix, color: str) -> list[float]:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return [min(max(sum(w * c for w, c in zip(row, linear, strict=True)), 0.0), 1.0) for row in matrix]


def _lab(linear: list[float]) -> tuple[float, float, float]:
    white = (0.9505, 1.0, 1.089)
    xyz = [sum(w * c for w, c in zip(row, linear, strict=True)) / n for row, n in zip(XYZ, white, strict=True)]
    x, y, z = (each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116 for each in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_grid_refuses_each_bad_argument_by_name() -> None:
    pair: PairSpec = {
        "key": "one",
        "title": "One",
        "subtitle": "",
        "badges": [{"text": "clean", "tone": "good"}],
        "images": [{"url": "/api/v1/a", "label": "pre"}],
    }

    def refusal(pairs: Any, **changed: Any) -> str:  # noqa: ANN401
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            pair_grid(pairs=pairs, key="grid", **changed)
        return str(caught.value)

    assert pair_grid(pairs=[pair], key="grid") is None
    assert "'one'" in refusal([pair, pair])
    assert "0 images" in refusal([{**pair, "images": []}])
    assert "One, pre: '//x'" in refusal([{**pair, "images": [{"url": "//x", "label": "pre"}]}])
    assert "tone 'loud'" in refusal([{**pair, "badges": [{"text": "clean", "tone": "loud"}]}])
    assert "columns_min_px is 5" in refusal([pair], columns_min_px=5)
    overlaid = {"url": "/api/v1/a", "label": "pre", "overlay": "http://x/"}
    assert "One, change map of pre: 'http://x/'" in refusal([{**pair, "images": [overlaid]}])


def test_views_refuse_each_bad_argument_by_name() -> None:
    view = {"label": "anchor", "url": "/api/v1/a", "change_url": None, "matrix": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]}
    arguments: dict[str, Any] = {
        "anchor": view,
        "positive": view,
        "size": 64,
        "chip_size": 64,
        "points": [],
        "key": "v",
    }

    def refusal(**changed: Any) -> str:  # noqa: ANN401
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            view_pair(**{**arguments, **changed})
        return str(caught.value)

    view_pair(**arguments)
    assert "size is 0" in refusal(size=0)
    assert "anchor: '//x'" in refusal(positive={**view, "url": "//x"})
    assert "anchor, change map: 'x'" in refusal(anchor={**view, "change_url": "x"})
    assert "2 × 3 numbers" in refusal(anchor={**view, "matrix": [[1.0, 0.0], [0.0, 1.0]]})
    assert "2 × 3 numbers" in refusal(anchor={**view, "matrix": [[1.0, 0.0, float("nan")], [0.0, 1.0, 0.0]]})
    assert "got [1.0]" in refusal(points=[{"a": [1.0], "b": [1.0, 2.0], "excluded": False}])
    assert "reach is 0.0, it must be above 0 pixels" in refusal(reach=0.0)


def test_arms_side_by_side_refuse_each_bad_argument_by_name() -> None:
    column = {"title": "One", "color": "#1F7FC4", "badges": []}
    cell = {"images": [{"url": "/api/v1/a", "label": "pre"}], "badges": [], "note": ""}
    row = {"title": "place", "cells": [cell]}

    def refusal(columns: Any, rows: Any) -> str:  # noqa: ANN401
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            arm_table(columns=columns, rows=rows, description="Arms", key="arms")
        return str(caught.value)

    assert "at least one arm" in refusal([], [])
    assert "'One' has colour 'red'" in refusal([{**column, "color": "red"}], [])
    assert "row 'place' has 1 cells for 2 arms" in refusal([column, column], [row])
    bad = {**cell, "images": [{"url": "//x", "label": "pre"}]}
    assert "place, pre: '//x'" in refusal([column], [{**row, "cells": [bad]}])
