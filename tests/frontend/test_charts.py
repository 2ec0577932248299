from typing import Any

import altair as alt
import pytest

from frontend.charts import histogram, lines, rate_curves, seed_dots

SPECS = {
    "one curve": lines(title="loss"),
    "curves": lines(title="IoU", colours={"intact": "#0072B2", "damaged": "#E69F00"}, domain=(0, 100)),
    "logarithmic": lines(title="loss", logarithmic=True),
    "a curve and a level": lines(title="spread", level=(1.0, "1/√dim")),
    "dots": seed_dots(arms=["a", "b"], colours={"a": "#0072B2", "b": "#E69F00"}, domain=(40, 60), band=(49, 51)),
    "dots without reference": seed_dots(arms=["a"], colours={"a": "#0072B2"}, domain=(40, 60), band=None),
    "rates": rate_curves(x_title="x", y_title="y", colours={"CVA": "#0072B2"}, chance=None),
    "rates above a level": rate_curves(x_title="x", y_title="y", colours={"CVA": "#0072B2"}, chance=0.25),
    "histogram of shares": histogram(noun="pairs", x_title="object change share"),
    "histogram of roots": histogram(noun="scenes", share=False, root=True),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_specifications_are_valid_vega_lite(spec: dict[str, Any]) -> None:
    chart = alt.Chart.from_dict({"data": {"values": []}, **spec})
    assert chart.to_dict()["$schema"].startswith("https://vega.github.io/schema/vega-lite/v")


def test_every_arm_has_its_place_even_before_its_first_score() -> None:
    spec = seed_dots(arms=["a", "b"], colours={"a": "#0072B2", "b": "#E69F00"}, domain=(40, 60), band=None)
    for layer in spec["layer"]:
        assert layer["encoding"]["y"]["scale"]["domain"] == ["a", "b"]


def test_guessing_is_a_diagonal_or_a_level() -> None:
    def dashed(chance: float | None) -> list[dict[str, float]]:
        spec = rate_curves(x_title="x", y_title="y", colours={}, chance=chance)
        values: list[dict[str, float]] = spec["layer"][0]["data"]["values"]
        return values

    assert dashed(None) == [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]
    assert dashed(0.25) == [{"x": 0.0, "y": 0.25}, {"x": 1.0, "y": 0.25}]


def test_a_level_is_a_dashed_line_with_its_name_across_the_chart() -> None:
    rule, name, curve = lines(title="spread", level=(0.05, "5 %"))["layer"]
    assert rule["data"]["values"] == name["data"]["values"] == [{"value": 0.05, "words": "5 %"}]
    assert rule["mark"]["strokeDash"]
    assert name["encoding"]["text"]["field"] == "words"
    assert "data" not in curve
    assert {layer["encoding"]["y"]["field"] for layer in (rule, name, curve)} == {"value"}
