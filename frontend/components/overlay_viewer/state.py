"""What an overlay viewer shows: mode, sides, opacity, outlines, objects, to and from the page's address."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

Mode = Literal["single", "swipe", "flicker", "side_by_side"]
MODES: tuple[Mode, ...] = get_args(Mode)

DEFAULT_OPACITY = 0.6
SPEEDS = (0.5, 5.0)
"""Changes of picture per second, least and greatest; the greatest stays below three flashes a second (WCAG 2.3.1)."""
DEFAULT_SPEED = 1.5


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the viewer: the key of its image and of the layer over it (None: no layer)."""

    image: str
    overlay: str | None = None


@dataclass(frozen=True, slots=True)
class ViewerState:
    """What is on view. `right` is not seen in the mode single."""

    mode: Mode
    left: Side
    right: Side
    opacity: float = DEFAULT_OPACITY
    """Of the layers, in [0, 1]."""
    hidden: tuple[int, ...] = ()
    """Class indices that are switched off."""
    outline: bool = False
    """Outlines of the classes in place of areas."""
    polygons: bool = False
    """The labelled objects over the images."""
    speed: float = DEFAULT_SPEED
    """Changes of picture per second in the mode flicker."""

    def to_params(self) -> dict[str, str]:
        """Returns the state as query parameters: mode, left, right, opacity (percent) and so on."""
        return {
            "mode": self.mode,
            "left": _side_text(self.left),
            "right": _side_text(self.right),
            "opacity": str(round(self.opacity * 100)),
            "hidden": ",".join(str(index) for index in self.hidden),
            "outline": "1" if self.outline else "",
            "polygons": "1" if self.polygons else "",
            "speed": f"{self.speed:g}",
        }

    def updated_from_params(self, params: Mapping[str, str]) -> "ViewerState":
        """Returns the state with what `params` validly say; what they do not say, or say wrongly, stays."""
        record: dict[str, Any] = {"mode": params.get("mode")}
        for name in ("left", "right"):
            if text := params.get(name):
                image, _, overlay = text.partition("+")
                record[name] = {"image": image, "overlay": overlay or None}
        if (percent := params.get("opacity", "")).isdecimal():
            record["opacity"] = int(percent) / 100
        for name in ("outline", "polygons"):
            if name in params:
                record[name] = params[name] == "1"
        with suppress(ValueError):
            record["speed"] = float(params.get("speed", ""))
        if "hidden" in params:
            record["hidden"] = [int(each) for each in params["hidden"].split(",") if each.isdecimal()]
        return self.updated_from_record(record)

    def updated_from_record(self, record: Mapping[str, Any]) -> "ViewerState":
        """Returns the state with the valid fields of a record as the browser sends it."""
        mode, hidden = record.get("mode"), record.get("hidden")
        outline, polygons = record.get("outline"), record.get("polygons")
        opacity, speed = _within(record.get("opacity"), 0.0, 1.0), _within(record.get("speed"), *SPEEDS)
        return ViewerState(
            mode=mode if mode in MODES else self.mode,
            left=_side(record.get("left")) or self.left,
            right=_side(record.get("right")) or self.right,
            opacity=self.opacity if opacity is None else opacity,
            hidden=tuple(sorted({each for each in hidden if type(each) is int and 0 <= each <= 255}))
            if isinstance(hidden, list)
            else self.hidden,
            outline=outline if isinstance(outline, bool) else self.outline,
            polygons=polygons if isinstance(polygons, bool) else self.polygons,
            speed=self.speed if speed is None else speed,
        )

    def to_record(self) -> dict[str, Any]:
        """Returns the state as the browser's code reads it."""
        return {
            "mode": self.mode,
            "left": {"image": self.left.image, "overlay": self.left.overlay},
            "right": {"image": self.right.image, "overlay": self.right.overlay},
            "opacity": self.opacity,
            "hidden": list(self.hidden),
            "outline": self.outline,
            "polygons": self.polygons,
            "speed": self.speed,
        }


def _side_text(side: Side) -> str:
    return side.image if side.overlay is None else f"{side.image}+{side.overlay}"


def _side(record: object) -> Side | None:
    if not isinstance(record, Mapping):
        return None
    image, overlay = record.get("image"), record.get("overlay")
    if not isinstance(image, str) or not (overlay is None or isinstance(overlay, str)):
        return None
    return Side(image, overlay)


def _within(value: object, low: float, high: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if low <= value <= high else None
