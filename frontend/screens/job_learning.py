"""Whether a pretraining learns: what it warns of, and curves of its embeddings, gradients and speed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import streamlit as st

from frontend.api_records import JobDetail, JobWarning, MetricPoint
from frontend.charts import Spec, lines
from frontend.page import plain
from frontend.palette import curve_colours
from frontend.wording import grouped, percent

Level = tuple[float, str]


class Curve(NamedTuple):
    """A small chart: of one metric, or of several by their names."""

    title: str
    keys: Mapping[str, str]
    """Names of the metrics' curves, by their keys."""
    level: Level | None = None
    logarithmic: bool = False


EMBEDDINGS = (
    Curve(
        "Spread of embeddings",
        {"embeddings/deviation": "embeddings"},
        level=(1.0, "1/√dim: in all directions"),
    ),
    Curve("Effective rank of embeddings", {"embeddings/effective_rank": "embeddings"}),
    Curve("Effective rank of pooled features", {"features/effective_rank": "pooled features"}),
    Curve("Alignment: distance of positives", {"embeddings/alignment": "embeddings"}),
    Curve("Uniformity: lower is more even", {"embeddings/uniformity": "embeddings"}),
    Curve("Gradient norm", {"gradient_norm": "gradient norm"}, logarithmic=True),
)
RAW_SPREAD = Curve(
    "Standard deviation of embeddings", {"embeddings/raw_deviation": "embeddings"}, level=(1.0, "what VICReg wants")
)
SPEED = (
    Curve("Learning rate", {"learning_rate": "learning rate"}),
    Curve("Pairs per second", {"pairs_per_s": "pairs per second"}),
    Curve(
        "Share of time spent waiting for batches",
        {"waiting_share": "waiting"},
        level=(0.05, "5 %: more is starving"),
    ),
    Curve("Memory, MiB", {"device_memory_mb": "device", "process_memory_mb": "process"}),
)
HEIGHT = 190
IN_A_ROW = 2


def show_warnings(warnings: Sequence[JobWarning]) -> None:
    """Shows what a run told its owner, where anything."""
    if not warnings:
        return
    told = [f"**Step {grouped(each['step'])}.** {plain(each['sentence'])}" for each in warnings]
    st.warning("\n\n".join(told), icon=":material/warning:")


def show_learning(job: JobDetail, points: Sequence[MetricPoint]) -> None:
    """Shows the loss, and below it what tells whether the run learns and how fast it is."""
    losses = [point for point in points if point["key"] == "loss"]
    show_chart(losses, lines(title="Contrastive loss", height=260), "curve-loss")
    wanted = (RAW_SPREAD, *EMBEDDINGS) if job["config"]["method"]["name"].startswith("vicreg") else EMBEDDINGS
    with st.expander("Does it learn?", icon=":material/psychology:", key="curves-learning"):
        words = newest_in_words(job["latest"])
        if words:
            st.caption(words)
        if not show_curves(wanted, points):
            st.caption("This run did not measure its embeddings.")
    with st.expander("Learning rate and speed", icon=":material/speed:", key="curves-speed"):
        show_curves(SPEED, points)


def newest_in_words(latest: Mapping[str, float]) -> str:
    """Returns what the newest figures of the embeddings are, and what they should be; empty without any."""
    if "embeddings/deviation" not in latest:
        return ""
    return (
        f"Embeddings spread by {latest['embeddings/deviation']:.2f} of 1/√dim (0 is collapsed, 1 fills all directions) "
        f"over {latest['embeddings/effective_rank']:.1f} effective dimensions, "
        f"{percent(latest['embeddings/rank_share'], 0)} of what is possible. Of dense methods an embedding is a cell's."
    )


def show_curves(curves: Iterable[Curve], points: Sequence[MetricPoint]) -> int:
    """Shows the charts that have points, some in a row; returns how many."""
    filled = [(curve, rows) for curve in curves if (rows := rows_of(curve, points))]
    for first in range(0, len(filled), IN_A_ROW):
        for column, (curve, rows) in zip(st.columns(IN_A_ROW), filled[first : first + IN_A_ROW], strict=False):
            names = list(dict.fromkeys(str(row["series"]) for row in rows))
            spec = lines(
                title=curve.title,
                colours=curve_colours(names) if len(names) > 1 else None,
                level=curve.level,
                logarithmic=curve.logarithmic,
                height=HEIGHT,
            )
            with column:
                show_chart(rows, spec, f"curve-{next(iter(curve.keys)).replace('/', '-')}")
    return len(filled)


def rows_of(curve: Curve, points: Iterable[MetricPoint]) -> list[dict[str, Any]]:
    """Returns the rows of a chart; what has no logarithm is left out where values are spread by it."""
    return [
        {"series": curve.keys[point["key"]], "step": point["step"], "value": point["value"]}
        for point in points
        if point["key"] in curve.keys and (point["value"] > 0 or not curve.logarithmic)
    ]


def show_chart(rows: Iterable[Mapping[str, Any]], spec: Spec, key: str) -> None:
    """Shows a chart that keeps its place while rows are added."""
    st.vega_lite_chart([dict(row) for row in rows], spec, key=key, alt=str(spec["title"]["text"]))
