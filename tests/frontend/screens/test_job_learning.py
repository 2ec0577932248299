from typing import Any

from streamlit.testing.v1 import AppTest

from frontend.api_records import EmbeddingMap, MetricPoint
from frontend.screens.job_learning import EMBEDDINGS, SPEED, newest_in_words, rows_of
from frontend.screens.job_maps import picture_of
from tests.frontend.screens.conftest import charts, texts


def shown(points: list[MetricPoint], *, method: str = "pixel_infonce", **latest: float) -> AppTest:
    """Returns what a pretraining with these figures shows."""

    def page(job: "Any", points: "list[Any]") -> None:  # noqa: ANN401  (Streamlit runs its text as a script)
        from frontend.screens.job_learning import show_learning, show_warnings

        show_warnings(job["warnings"])
        show_learning(job, points)

    job = {
        "config": {"method": {"name": method}},
        "latest": latest,
        "warnings": [
            {"step": 1014, "sentence": "The embeddings collapse: <b>0.01</b> of 1/√512."},
            {"step": 2000, "sentence": "It waits for `images`."},
        ],
    }
    return AppTest.from_function(page, kwargs={"job": job, "points": points}, default_timeout=60).run()


def point(step: int, key: str, value: float) -> MetricPoint:
    return {"seq": step, "step": step, "key": key, "value": value}


def test_a_job_of_an_earlier_version_has_its_loss_and_speed() -> None:
    app = shown([point(1, "loss", 3.0), point(1, "pairs_per_s", 20.0)])
    assert not app.exception
    assert len(charts(app)) == 2
    assert "did not measure its embeddings" in texts(app)


def test_warnings_are_one_callout_with_their_steps_and_no_markup() -> None:
    app = shown([])
    (callout,) = app.warning
    assert "**Step 1 014.** The embeddings collapse\\: \\<b\\>0.01\\</b\\> of 1/√512." in callout.value
    assert "**Step 2 000.** It waits for `images`." in callout.value


def test_vicreg_shows_what_its_variance_term_holds() -> None:
    points = [point(1, "embeddings/raw_deviation", 0.4), point(1, "embeddings/deviation", 0.8)]
    assert len(charts(shown(points))) == 2  # the loss has its place before the first point
    assert len(charts(shown(points, method="vicregl"))) == 3


def test_the_newest_figures_are_told_with_what_they_should_be() -> None:
    latest = {"embeddings/deviation": 0.55, "embeddings/effective_rank": 13.81, "embeddings/rank_share": 0.216}
    words = newest_in_words(latest)
    assert "0.55 of 1/√dim" in words
    assert "13.8 effective dimensions, 22 % of what is possible" in words
    assert newest_in_words({"loss": 1.0}) == ""


def test_what_has_no_logarithm_is_left_out_of_a_logarithmic_chart() -> None:
    norms = next(curve for curve in EMBEDDINGS if curve.logarithmic)
    rows = rows_of(norms, [point(1, "gradient_norm", 0.0), point(2, "gradient_norm", 2.0), point(2, "loss", 1.0)])
    assert [(row["step"], row["value"]) for row in rows] == [(2, 2.0)]
    waiting = next(curve for curve in SPEED if "waiting_share" in curve.keys)
    assert waiting.level is not None
    assert [row["value"] for row in rows_of(waiting, [point(1, "waiting_share", 0.0)])] == [0.0]


def a_map(scene: str = "a", *, step: int = 10) -> EmbeddingMap:
    return {
        "artifact": f"m{step}",
        "step": step,
        "url": f"/api/v1/artifacts/m{step}",
        "cells": 16,
        "explained": [0.5, 0.2, 0.1],
        "tiles": [
            {
                "scene": scene,
                "acquisition": acquisition,
                "y": 0,
                "x": 0,
                "size": 64,
                "changed_pixels": 1200 * row,
                "row": row,
                "column": column,
                "image_url": f"/api/v1/datasets/d/scenes/a/images/{acquisition}?y=0&x=0&chip=64",
            }
            for row in range(2)
            for column, acquisition in enumerate(("pre", "post"))
        ],
    }


def test_each_chip_stands_beside_its_part_of_the_map() -> None:
    chosen = a_map("<b>scene</b>")
    html = picture_of(chosen, [a_map(step=0), chosen])
    assert "&lt;b&gt;scene&lt;/b&gt; · no known change" in html
    assert "1 200 changed pixels" in html
    assert html.count("<figure>") == 2
    places = [f"left:-{column}00%;top:-{row}00%" for row in range(2) for column in range(2)]
    assert [html.index(place) for place in places] == sorted(html.index(place) for place in places)
    assert html.count("width:200%;height:200%") == 4
    assert "images/post?y=0&amp;x=0&amp;chip=64" in html
    assert '<img src="/api/v1/artifacts/m0" alt="" hidden>' in html
