"""Colours of classes, errors and change, told apart on imagery and by colour-blind readers."""

from collections.abc import Sequence
from typing import Final, TypedDict


class KindSpec(TypedDict):
    """One kind of labelled object and its colour (`#rrggbb`)."""

    name: str
    color: str


class ClassSpec(TypedDict):
    """One class of a class-index image: its value in the PNG, its name, its colour (`#rrggbb` or `transparent`)."""

    index: int
    name: str
    color: str


TRANSPARENT: Final = "transparent"

CLASS_COLORS: Final[dict[str, str]] = {
    "background": TRANSPARENT,
    "building": "#33bbee",
    "object": "#33bbee",
    "intact": "#33bbee",
    "damaged": "#ee3377",
    "no-damage": "#33bbee",
    "minor-damage": "#ffdd55",
    "major-damage": "#ee7733",
    "destroyed": "#bb1166",
    "un-classified": "#bbbbbb",
}
"""Hues of Paul Tol's vibrant scheme (SRON/EPS/TN/09-002): blue against magenta keeps apart under every common colour
vision deficiency, and neither occurs in ground, vegetation or water."""

STATE_PAIRS: Final = (
    ("#88ccee", "#3355cc"),
    ("#ffdd66", "#dd6600"),
    ("#77ddaa", "#117744"),
    ("#eeaadd", "#aa2288"),
    ("#cccccc", "#555555"),
)
"""Per object class, its intact and its damaged colour: one hue, told apart by lightness."""

SPARE_COLORS: Final = ("#33bbee", "#ee3377", "#ffdd55", "#009988", "#ee7733", "#7755cc", "#bbbbbb")

CHANGE_COLORS: Final[dict[str, tuple[int, str]]] = {
    "relevant change": (1, "#ee3377"),
    "object, unchanged": (2, "#33bbee"),
    "unknown": (255, "#bbbbbb"),
}
"""Values of the change map, as the API serves it."""

ERROR_COLORS: Final[dict[str, str]] = {"missed": "#ee7733", "false alarm": "#ffdd55", "wrong class": "#bb44ff"}
"""missed: an object predicted as background. false alarm: background predicted as an object."""


def class_specs(names: Sequence[str]) -> list[ClassSpec]:
    """Returns one colour per class name, in order of index; the same name has the same colour on every screen."""
    specs: list[ClassSpec] = []
    kinds: list[str] = []
    for index, name in enumerate(names):
        kind, _, state = name.rpartition(" ")
        if name in CLASS_COLORS:
            color = CLASS_COLORS[name]
        elif kind and state in ("intact", "damaged"):
            if kind not in kinds:
                kinds.append(kind)
            color = STATE_PAIRS[kinds.index(kind) % len(STATE_PAIRS)][state == "damaged"]
        else:
            color = SPARE_COLORS[(index - 1) % len(SPARE_COLORS)] if index else TRANSPARENT
        specs.append({"index": index, "name": name, "color": color})
    return specs


def change_specs() -> list[ClassSpec]:
    """Returns the classes of a change map with their colours."""
    return [{"index": index, "name": name, "color": color} for name, (index, color) in CHANGE_COLORS.items()]


def kind_specs(names: Sequence[str]) -> list[KindSpec]:
    """Returns one colour per kind of labelled object, the same as its class has."""
    specs = class_specs(("background", *names))[1:]
    return [
        {"name": spec["name"], "color": SPARE_COLORS[0] if spec["color"] == TRANSPARENT else spec["color"]}
        for spec in specs
    ]
