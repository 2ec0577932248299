"""Chart specifications in Vega-Lite: they take rows as they are and only place them."""

from collections.abc import Mapping, Sequence
from typing import Any

from frontend.palette import BASELINE_COLOUR, LINE_COLOUR

Spec = dict[str, Any]
GRID = {"gridOpacity": 0.5, "domainOpacity": 0.5, "tickOpacity": 0.5}
IN_ONE_ROW = 3
"""Curves whose names fit beside each other above a narrow chart; names of more stand two in a row."""
LEGEND_ROW = 26
"""Pixels, taken from the chart otherwise."""


def lines(
    *,
    title: str,
    colours: Mapping[str, str] | None = None,
    domain: tuple[float, float] | None = None,
    logarithmic: bool = False,
    level: tuple[float, str] | None = None,
    number: str = ".4~g",
    height: int = 240,
) -> Spec:
    """Returns a chart of values over steps; rows have `step`, `value` and, with `colours`, `series`.

    Args:
        title: above it.
        colours: of each series.
        domain: of the values.
        logarithmic: whether values are spread by their logarithm; all must be positive.
        level: a value to compare with, drawn as a dashed line, and what it is.
        number: how a value is written.
        height: pixels.
    """
    scale: Spec = {"zero": False, "type": "log"} if logarithmic else {"zero": False}
    if domain is not None:
        scale["domain"] = list(domain)
    encoding: Spec = {
        "x": {
            "field": "step",
            "type": "quantitative",
            "title": "step",
            "axis": {**GRID, "grid": False, "tickCount": 6, "tickMinStep": 1},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": None,
            "scale": scale,
            "axis": {**GRID, "tickCount": 5},
        },
        "tooltip": [
            {"field": "step", "type": "quantitative", "title": "step"},
            {"field": "value", "type": "quantitative", "format": number, "title": title},
        ],
    }
    mark: Spec = {"type": "line", "strokeWidth": 1.8, "interpolate": "linear", "point": {"size": 14, "filled": True}}
    if colours is None:
        mark["color"] = LINE_COLOUR
        mark["point"]["color"] = LINE_COLOUR
    else:
        legend: Spec = {"orient": "top", "title": None, "labelLimit": 260}
        if len(colours) > IN_ONE_ROW:
            legend["columns"] = 2
            height += LEGEND_ROW * ((len(colours) + 1) // 2 - 1)
        encoding["color"] = {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": list(colours), "range": list(colours.values())},
            "legend": legend,
        }
        encoding["tooltip"].insert(0, {"field": "series", "type": "nominal", "title": "curve"})
    heading = {"text": title, "anchor": "start", "fontSize": 13, "fontWeight": 600, "offset": 8}
    frame: Spec = {"title": heading, "height": height, "width": "container"}
    if level is None:
        return {**frame, "mark": mark, "encoding": encoding}
    return {**frame, "layer": [*_level(*level, scale=scale), {"mark": mark, "encoding": encoding}]}


def _level(value: float, words: str, *, scale: Spec) -> list[Spec]:
    """Returns the layers of a dashed line across a chart and of its name."""
    data = {"data": {"values": [{"value": value, "words": words}]}}
    y = {"field": "value", "type": "quantitative", "scale": scale}
    text = {"type": "text", "align": "right", "baseline": "bottom", "dy": -3, "x": "width", "color": BASELINE_COLOUR}
    return [
        {**data, "mark": {"type": "rule", "strokeDash": [4, 4], "color": BASELINE_COLOUR}, "encoding": {"y": y}},
        {**data, "mark": text, "encoding": {"y": y, "text": {"field": "words"}}},
    ]


def seed_dots(
    *, arms: Sequence[str], colours: Mapping[str, str], domain: tuple[float, float], band: tuple[float, float] | None
) -> Spec:
    """Returns a chart with a dot per seed and a bar at the mean, arms below each other.

    Rows have `arm`, `miou` (points), `kind` (seed or mean) and `seed`.

    Args:
        arms: from top to bottom.
        colours: of each arm.
        domain: of the mIoU axis, points.
        band: the reference's mean ± margin, points.
    """
    x: Spec = {
        "field": "miou",
        "type": "quantitative",
        "title": "test mIoU, points",
        "scale": {"domain": list(domain), "zero": False, "nice": False},
        "axis": {**GRID, "tickCount": 6},
    }
    y: Spec = {
        "field": "arm",
        "type": "nominal",
        "sort": list(arms),
        "title": None,
        "scale": {"domain": list(arms)},
        "axis": {"labelLimit": 190, "domain": False, "ticks": False, "labelPadding": 8},
    }
    colour = {
        "field": "arm",
        "type": "nominal",
        "scale": {"domain": list(arms), "range": [colours[arm] for arm in arms]},
        "legend": None,
    }
    tooltip = [
        {"field": "arm", "type": "nominal", "title": "arm"},
        {"field": "kind", "type": "nominal", "title": "shows"},
        {"field": "seed", "type": "nominal", "title": "seed"},
        {"field": "miou", "type": "quantitative", "format": ".1f", "title": "mIoU, points"},
    ]
    encoding = {"x": x, "y": y, "color": colour, "tooltip": tooltip}
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.kind == 'mean'"}],
            "mark": {"type": "tick", "thickness": 3, "size": 24, "opacity": 0.95},
            "encoding": encoding,
        },
        {
            "transform": [{"filter": "datum.kind == 'seed'"}],
            "mark": {
                "type": "point",
                "filled": True,
                "size": 75,
                "opacity": 0.75,
                "stroke": "white",
                "strokeWidth": 0.6,
            },
            "encoding": encoding,
        },
    ]
    if band is not None:
        layers.insert(
            0,
            {
                "data": {"values": [{"low": band[0], "high": band[1]}]},
                "mark": {"type": "rect", "opacity": 0.13, "color": "#7A8C90"},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative", "scale": {"domain": list(domain)}},
                    "x2": {"field": "high"},
                },
            },
        )
    return {"layer": layers, "height": 46 * len(arms) + 40, "width": "container"}


def histogram(
    *, noun: str, x_title: str | None = None, share: bool = True, root: bool = False, height: int = 150
) -> Spec:
    """Returns a chart of bars; rows have `low`, `high` and `count`.

    Args:
        noun: what is counted, in the plural.
        x_title: of the axis.
        share: whether edges are shares in [0, 1], shown as percentages.
        root: heights are square roots of counts, so that few are seen beside many.
        height: pixels.
    """
    number = "~%" if share else ".4~r"
    exact = ".3~%" if share else ".4~r"
    return {
        "mark": {"type": "bar", "color": LINE_COLOUR, "binSpacing": 1},
        "encoding": {
            "x": {
                "field": "low",
                "type": "quantitative",
                "bin": {"binned": True},
                "title": x_title,
                "axis": {**GRID, "grid": False, "format": number, "tickCount": 5},
            },
            "x2": {"field": "high"},
            "y": {
                "field": "count",
                "type": "quantitative",
                "title": None if root else noun,
                "scale": {"type": "sqrt"} if root else {},
                "axis": {**GRID, "tickCount": 3, "format": "~s"},
            },
            "tooltip": [
                {"field": "low", "type": "quantitative", "format": exact, "title": "from"},
                {"field": "high", "type": "quantitative", "format": exact, "title": "to"},
                {"field": "count", "type": "quantitative", "format": ",", "title": noun},
            ],
        },
        "height": height,
        "width": "container",
    }


def rate_curves(
    *, x_title: str, y_title: str, colours: Mapping[str, str], chance: float | None, top: float = 1.0, height: int = 340
) -> Spec:
    """Returns curves between two rates, each with the point that is chosen on it; a table beside it names the colours.

    Rows have `series`, `place` (order along the curve), `x`, `y` (rates in [0, 1]), `threshold` and `chosen`: of a
    chosen point true, of the curve false.

    Args:
        x_title: of the axis.
        y_title: of the axis.
        colours: of each curve.
        chance: what guessing gives: a diagonal (None) or a level of y.
        top: of the y axis at least.
        height: pixels.
    """
    axes = {
        axis: {
            "field": axis,
            "type": "quantitative",
            "title": title,
            "scale": {"domain": [0, end], "nice": end < 1},
            "axis": {**GRID, "format": "~%", "tickCount": 5},
        }
        for axis, title, end in (("x", x_title, 1.0), ("y", y_title, top))
    }
    encoding: Spec = {
        **axes,
        "color": {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": list(colours), "range": list(colours.values())},
            "legend": None,
        },
        "tooltip": [
            {"field": "series", "type": "nominal", "title": "curve"},
            {"field": "x", "type": "quantitative", "format": ".3~%", "title": x_title},
            {"field": "y", "type": "quantitative", "format": ".3~%", "title": y_title},
            {"field": "threshold", "type": "quantitative", "format": ".4~g", "title": "threshold"},
        ],
    }
    ends = [0.0, 1.0] if chance is None else [chance, chance]
    return {
        "layer": [
            {
                "data": {"values": [{"x": x, "y": y} for x, y in zip((0.0, 1.0), ends, strict=True)]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": BASELINE_COLOUR, "strokeWidth": 1},
                "encoding": axes,
            },
            {
                "transform": [{"filter": "!datum.chosen"}],
                "mark": {"type": "line", "strokeWidth": 1.8, "interpolate": "linear"},
                "encoding": {**encoding, "order": {"field": "place", "type": "quantitative"}},
            },
            {
                "transform": [{"filter": "datum.chosen"}],
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1, "stroke": "white"},
                "encoding": encoding,
            },
        ],
        "height": height,
        "width": "container",
    }
