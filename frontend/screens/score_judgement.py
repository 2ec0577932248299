"""What finished change scores are worth: curves against the labels, cost, and what a filter would throw away."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from frontend.cached_answers import score_curve_of
from frontend.charts import rate_curves
from frontend.connection import ApiProblem
from frontend.page import choose_else_default, plain, remember_in_url, screen, set_widget, show_problem
from frontend.palette import curve_colours
from frontend.scene_records import Dataset
from frontend.score_records import Score, ScoreCurve, ScoreQuantile
from frontend.score_wording import figure, filter_sentence, ratio
from frontend.wording import grouped, percent, plural

SCORE_PARAMETERS = ("score", "quantile", "chip", "changed", "curves")
PENDING_FILTER = "pending-filter"
"""In the session's state: dataset and filter that the Design screen is to take into its file."""
CHIP_SIZES = ("32", "64", "96", "128", "192", "256", "512")
CHIP_SIZE = "64"
CHANGED_PIXELS = ("1", "4", "16", "64", "256")
LEAST_CHANGED = "16"
QUANTILE = 0.8
MOST_CURVES = 8
Curves = Mapping[str, ScoreCurve]


def show_judgement(dataset: Dataset, scores: Sequence[Score], titles: Mapping[str, str]) -> None:
    """Shows the finished scores in one table and in two charts, and what a filter by one of them would do."""
    st.subheader("What they are worth", anchor=False)
    compared = choose_compared(scores, titles)
    with st.container(horizontal=True, vertical_alignment="bottom", key="score-chips"):
        with st.container(width=140):
            chip = choose_else_default("Chip size, pixels", CHIP_SIZES, parameter="chip", default=CHIP_SIZE)
        with st.container(width=200):
            changed = choose_else_default(
                "Noisy from changed pixels", CHANGED_PIXELS, parameter="changed", default=LEAST_CHANGED
            )
    curves = ask(dataset, compared, chip_size=int(chip), min_changed_pixels=int(changed))
    if not curves:
        return
    colours = curve_colours([titles[key] for key in curves])
    st.html(score_table(curves, titles, colours))
    first = next(iter(curves.values()))
    missing = max(curve["without_score"] for curve in curves.values())
    st.caption(
        "Chips of the train split alone, as their labels have them"
        + (f"; {plural(missing, 'chip')} without a score are kept by every filter" if missing else "")
        + ". Seconds are those of one worker."
    )
    if not all(curve["quantiles"] for curve in curves.values()):
        st.info("No chip of the train split has a score: take smaller chips, or look at its scenes for missing data.")
        return
    if not judged(curves):
        show_no_labels(first, int(changed))
    show_filter(dataset, [each for each in scores if each["id"] in curves], curves, titles, colours)


def judged(curves: Curves) -> dict[str, ScoreCurve]:
    """Returns the curves of scores that labels can judge: they know noisy and clean chips."""
    return {key: curve for key, curve in curves.items() if curve["noisy"] and curve["clean"]}


def choose_compared(scores: Sequence[Score], titles: Mapping[str, str]) -> list[str]:
    """Returns the scores to compare, as the URL names them; the newest where it names none."""
    ids = [each["id"] for each in scores]
    usual = ids[-MOST_CURVES:]
    named = [key for key in st.query_params.get_all("curves") if key in ids]
    chosen = named[:MOST_CURVES] or usual
    if len(ids) < 2:
        return chosen
    key = set_widget("score-curves", chosen)

    def follow() -> None:
        new = st.session_state[key]
        if new and new != usual:
            st.query_params["curves"] = new
        else:
            remember_in_url({"curves": ""})

    st.pills("Compare", ids, format_func=titles.__getitem__, selection_mode="multi", key=key, on_change=follow)
    return chosen


def ask(dataset: Dataset, ids: Sequence[str], *, chip_size: int, min_changed_pixels: int) -> dict[str, ScoreCurve]:
    """Returns the curves of scores; a problem is shown where one has none, and once where all have the same."""
    found: dict[str, ScoreCurve] = {}
    problems: dict[str, ApiProblem] = {}
    for key in ids:
        try:
            found[key] = score_curve_of(dataset, key, chip_size=chip_size, min_changed_pixels=min_changed_pixels)
        except ApiProblem as problem:
            if problem.unreachable:
                raise
            problems.setdefault(str(problem), problem)
    for each in problems.values():
        show_problem(each)
    return found


def score_table(curves: Curves, titles: Mapping[str, str], colours: Mapping[str, str]) -> str:
    """Returns a table with a row per score: how well it tells noisy from clean, and what it cost."""
    heads = ["score", "noisy", "clean", "unknown", "AUROC", "average precision", "seconds", "per 1000 chips"]
    body = []
    for key, curve in curves.items():
        chip = f'<span class="pl-chip" style="background:{colours[titles[key]]}"></span>'
        figures = [grouped(curve["noisy"]), grouped(curve["clean"]), grouped(curve["unknown"])]
        figures += [ratio(curve["auroc"]), ratio(curve["average_precision"])]
        figures += [figure(curve["seconds"]), figure(curve["seconds_per_1000_chips"])]
        cells = "".join(f"<td>{each}</td>" for each in figures)
        body.append(f"<tr><td>{chip}{escape(titles[key])}</td>{cells}</tr>")
    head = "".join(f"<th>{each}</th>" for each in heads)
    rows = f"<tr>{head}</tr>{''.join(body)}"
    return f'<div class="pl-scroll"><table class="pl-table" data-testid="change-scores">{rows}</table></div>'


def show_no_labels(curve: ScoreCurve, changed: int) -> None:
    """Says why the scores cannot be judged, and what to do."""
    if curve["noisy"]:
        words = "No chip of the train split is known to be clean, so nothing tells how many a filter would lose."
    else:
        words = (
            f"No chip of the train split has {changed} pixels of labelled change, so nothing tells noisy from clean."
        )
    st.info(
        f"{words} Take a smaller number of pixels, another chip size, or a dataset with labels of change. "
        "A filter by a score needs none of them: it can be used all the same."
    )


def show_filter(
    dataset: Dataset, scores: Sequence[Score], curves: Curves, titles: Mapping[str, str], colours: Mapping[str, str]
) -> None:
    """Shows the charts with the point of a threshold, what a filter there would do, and hands it to an experiment."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="score-filter"):
        with st.container(width=340):
            ids = list(curves)
            key = choose_else_default("Filter by", ids, parameter="score", default=ids[0], shown=titles.__getitem__)
        quantile = choose_quantile(curves[key])
    at = quantile_of(curves[key], quantile)
    st.markdown(plain(filter_sentence(curves[key], at)))
    st.caption(
        f"Threshold {at['threshold']:.4g}: the {percent(quantile, 0)} quantile of this score over all chips of the "
        "train split. An experiment fits it to its own train split."
    )
    chosen = next(each for each in scores if each["id"] == key)
    if st.button("Use this filter in Design", key="score-design", type="primary", icon=":material/tune:"):
        given = {"by": "change_score", "score": chosen["score"], "quantile": quantile}
        st.session_state[PENDING_FILTER] = {"dataset": dataset["name"], "filter": given}
        st.switch_page(screen("design"))
    if known := judged(curves):
        show_charts(known, titles, colours, quantile)


def choose_quantile(curve: ScoreCurve) -> float:
    """Returns the quantile up to which pairs are kept, as the URL names it."""
    options = [each["quantile"] for each in curve["quantiles"]]
    named = st.query_params.get("quantile", "")
    wanted = float(named) if named.replace(".", "", 1).isdecimal() else QUANTILE
    value = min(options, key=lambda each: abs(each - wanted))

    def follow() -> None:
        chosen = st.session_state["score-quantile"]
        remember_in_url({"quantile": "" if chosen == QUANTILE else f"{chosen:g}"})

    chosen: float = st.select_slider(
        "Keep the pairs up to this quantile of the score",
        options,
        key=set_widget("score-quantile", value),
        format_func=lambda each: percent(each, 0),
        on_change=follow,
    )
    return chosen


def quantile_of(curve: ScoreCurve, quantile: float) -> ScoreQuantile:
    """Returns what a curve says of a quantile."""
    return min(curve["quantiles"], key=lambda each: abs(each["quantile"] - quantile))


def show_charts(curves: Curves, titles: Mapping[str, str], colours: Mapping[str, str], quantile: float) -> None:
    """Shows ROC and precision over recall of all scores, each with the point of the quantile."""
    first = next(iter(curves.values()))
    noisy_share = first["noisy"] / (first["noisy"] + first["clean"])
    left, right = st.columns(2, gap="large")
    with left, st.container(key="score-roc"):
        st.markdown("**ROC**")
        spec = rate_curves(
            x_title="clean pairs thrown away", y_title="noisy pairs thrown away", colours=colours, chance=None
        )
        rows = rows_of(curves, titles, "roc", quantile)
        st.vega_lite_chart(rows, spec, key="chart-roc", alt="ROC of the change scores")
    with right, st.container(key="score-precision"):
        st.markdown("**Precision and recall**")
        spec = rate_curves(
            x_title="recall: noisy pairs thrown away",
            y_title="precision: noisy among those thrown away",
            colours=colours,
            chance=noisy_share,
            top=min(max(point[1] for curve in curves.values() for point in curve["precision_recall"]), 1.0),
        )
        rows = rows_of(curves, titles, "precision_recall", quantile)
        st.vega_lite_chart(rows, spec, key="chart-precision-recall", alt="Precision over recall of the change scores")
    st.caption(
        f"Colours as in the table. Dots: each score's filter at its {percent(quantile, 0)} quantile. Dashed: guessing."
    )


def rows_of(curves: Curves, titles: Mapping[str, str], kind: str, quantile: float) -> list[dict[str, object]]:
    """Returns a row per point of each curve, and one for the chosen quantile, by ROC or precision_recall."""
    rows: list[dict[str, object]] = []
    for key, curve in curves.items():
        points = curve["roc"] if kind == "roc" else curve["precision_recall"]
        given = [(*point, False) for point in points]
        chosen = chosen_point(curve, quantile_of(curve, quantile), kind)
        for place, (x, y, threshold, is_chosen) in enumerate([*given, *chosen]):
            row = {"series": titles[key], "place": place, "x": x, "y": y}
            rows.append({**row, "threshold": threshold, "chosen": is_chosen})
    return rows


def chosen_point(curve: ScoreCurve, at: ScoreQuantile, kind: str) -> list[tuple[float, float, float, bool]]:
    """Returns the point of a filter; none of precision where it throws nothing away that labels know."""
    noisy, clean = at["noisy_thrown_away"], at["clean_thrown_away"]
    caught = noisy / curve["noisy"]
    if kind == "roc":
        return [(clean / curve["clean"], caught, at["threshold"], True)]
    return [(caught, noisy / (noisy + clean), at["threshold"], True)] if noisy + clean else []
