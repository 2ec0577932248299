"""The chart of a verdict: an interval per arm and endpoint, beside the margin."""

from collections.abc import Mapping, Sequence
from typing import Any

from frontend.charts import GRID, Spec

ROW = 30
NEUTRAL = "#7A8C90"
SHAPES = ("circle", "diamond")


def difference_intervals(
    *, arms: Sequence[str], colours: Mapping[str, str], endpoints: Sequence[str], margin: float, reach: float
) -> Spec:
    """Returns a chart with a line per arm and endpoint from `low` to `high`, a mark at `mean`, the margin as a band.

    Rows have `arm`, `endpoint`, `mean`, `low` and `high` (points; null without an interval) and `word`.

    Args:
        arms: from top to bottom.
        colours: of each arm.
        endpoints: their titles, in order.
        margin: δ, points.
        reach: the axis goes from −reach to +reach.
    """
    scale = {"domain": [-reach, reach], "nice": False}
    x: dict[str, Any] = {
        "type": "quantitative",
        "title": "difference from the reference, points",
        "scale": scale,
        "axis": {**GRID, "tickCount": 7, "format": "~g"},
    }
    y: dict[str, Any] = {
        "field": "arm",
        "type": "nominal",
        "sort": list(arms),
        "title": None,
        "scale": {"domain": list(arms)},
        "axis": {"labelLimit": 150, "domain": False, "ticks": False, "labelPadding": 8},
    }
    offset = {"field": "endpoint", "type": "nominal", "sort": list(endpoints), "scale": {"paddingOuter": 0.3}}
    colour = {
        "field": "arm",
        "type": "nominal",
        "scale": {"domain": list(arms), "range": [colours[arm] for arm in arms]},
        "legend": None,
    }
    number = {"type": "quantitative", "format": "+.2f"}
    tooltip = [
        {"field": "arm", "type": "nominal"},
        {"field": "endpoint", "type": "nominal"},
        {"field": "word", "type": "nominal", "title": "verdict"},
        {"field": "mean", "title": "mean, points", **number},
        {"field": "low", "title": "from", **number},
        {"field": "high", "title": "to", **number},
    ]
    legend = {
        "orient": "top",
        "title": None,
        "labelLimit": 300,
        "symbolFillColor": NEUTRAL,
        "symbolStrokeColor": NEUTRAL,
    }
    shape = {
        "field": "endpoint",
        "type": "nominal",
        "scale": {"domain": list(endpoints), "range": list(SHAPES[: len(endpoints)])},
        "legend": legend if len(endpoints) > 1 else None,
    }
    encoding = {"y": y, "yOffset": offset, "color": colour, "tooltip": tooltip}
    lines: Spec = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "strokeWidth": 2.5, "clip": True},
        "encoding": {**encoding, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
    }
    means: Spec = {
        "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1, "clip": True},
        "encoding": {**encoding, "x": {**x, "field": "mean"}, "shape": shape},
    }
    band: Spec = {
        "data": {"values": [{"from": -margin, "to": margin}]},
        "mark": {"type": "rect", "opacity": 0.13, "color": NEUTRAL},
        "encoding": {"x": {**x, "field": "from"}, "x2": {"field": "to"}},
    }
    zero: Spec = {
        "data": {"values": [{"at": 0}]},
        "mark": {"type": "rule", "strokeDash": [3, 3], "color": NEUTRAL},
        "encoding": {"x": {**x, "field": "at"}},
    }
    height = ROW * len(arms) * max(1, len(endpoints)) + (
        100 if len(endpoints) > 1 else 60
    )  # axis and legend lie within
    return {"layer": [band, zero, lines, means], "height": height, "width": "container"}
