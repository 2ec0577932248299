"""Compare: what each arm reached, with every seed visible, and what may be concluded from it."""

from collections.abc import Sequence

import streamlit as st

from frontend.api_records import FINAL_STATUSES
from frontend.charts import seed_dots
from frontend.page import POLL_SECONDS, choose, client, empty, header, plain, problems_in_sentences, screen
from frontend.palette import STATUS_COLOURS, arm_colours
from frontend.result_records import ArmResult, Results
from frontend.screens.other_scores import show_other_scores
from frontend.screens.result_tables import class_table, filter_table, score_table, to_csv
from frontend.screens.verdicts import show_verdicts
from frontend.wording import STATUS_WORDS, experiment_title, protocol_words, sentence

OVER = FINAL_STATUSES


def show() -> None:
    """Shows the screen."""
    header("Compare", "What each arm has shown against the reference arm, and the test scores behind it.")
    experiments = {experiment["id"]: experiment for experiment in client().experiments(limit=100)["items"]}
    if not experiments:
        empty(
            "Nothing to compare yet",
            "An experiment trains several arms and compares their segmentation. Design one first.",
            page="design",
            label="Design an experiment",
        )
        return
    with st.container(width=520, key="compare-experiment"):
        chosen = choose(
            "Experiment",
            list(experiments),
            parameter="experiment",
            shown=lambda each: experiment_title(experiments[each]) if each in experiments else each,
        )
    live = experiments[chosen]["status"] not in OVER
    st.fragment(show_results, run_every=POLL_SECONDS if live else None)(chosen, live)


def show_results(chosen: str, live: bool) -> None:
    """Shows all that was found so far; runs again while anything is left to run."""
    with problems_in_sentences(recover=False):
        results = client().results(chosen)
        if live == (results["status"] in OVER):  # it ended, or was extended
            st.rerun(scope="app")
        show_state(results)
        if not any(row["seeds"] for row in results["rows"]):
            unfinished = "No arm has a test score yet. The first one appears when its segmentation job has ended."
            over = "No job of this experiment reached a test score. Its jobs tell why."
            empty("No score yet", over if results["status"] in OVER else unfinished)
            st.page_link(screen("jobs"), label="See its jobs", query_params={"experiment": chosen})
            return
        show_verdicts(results, colours_of(results))
        st.subheader("Every seed", anchor=False)
        show_charts(results)
        if results["notes"]:
            with st.container(border=True, key="compare-notes"):
                st.markdown("**What this shows, and what it does not**")
                st.markdown("\n".join(f"- {plain(sentence(note))}" for note in results["notes"]))
        st.subheader("Scores", anchor=False)
        st.html(score_table(results, colours_of(results)))
        st.caption(
            "Points of 100. Differences are paired by seed: the mean over the seeds that arm and reference both have. "
            "± is the sample standard deviation over seeds, not an interval."
        )
        if filters := filter_table(results, colours_of(results)):
            st.subheader("What the filters threw away", anchor=False)
            st.html(filters)
            st.caption(
                "Means over seeds. Steps are equal in every arm: a filter lowers the number of distinct pairs alone. "
                "Seconds are those of one worker, for all scenes."
            )
        st.subheader("IoU of each class", anchor=False)
        st.html(class_table(results, colours_of(results)))
        show_other_scores(results, colours_of(results))
        st.download_button(
            "Download as CSV",
            to_csv(results),
            file_name=f"{results['name']}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="compare-csv",
            on_click="ignore",
        )


def show_state(results: Results) -> None:
    """Shows how complete the results are, and where they come from."""
    missing = sum(len(row["missing"]) for row in results["rows"])
    scores = sum(len(row["seeds"]) for row in results["rows"])
    status = results["status"]
    with st.container(horizontal=True, vertical_alignment="center", key="compare-state"):
        st.badge(STATUS_WORDS[status], color=STATUS_COLOURS[status])  # type: ignore[arg-type]
        words = f"{scores} of {scores + missing} scores" if missing else f"all {scores} scores"
        st.markdown(words, width="content")
        st.page_link(screen("jobs"), label="Jobs", query_params={"experiment": results["id"]})
        st.page_link(screen("inspect"), label="Predictions", query_params={"experiment": results["id"]})


def show_charts(results: Results) -> None:
    """Shows one chart per protocol on one common axis, the primary one first."""
    arms = list(dict.fromkeys(row["arm"] for row in results["rows"]))
    protocols = list(dict.fromkeys(row["protocol"] for row in results["rows"]))
    protocols.sort(key=lambda protocol: protocol != results["primary_protocol"])
    colours, domain = colours_of(results), axis_of(results)
    for column, protocol in zip(st.columns(len(protocols)), protocols, strict=True):
        rows = [row for row in results["rows"] if row["protocol"] == protocol]
        primary = " · primary" if protocol == results["primary_protocol"] and len(protocols) > 1 else ""
        with column, st.container(key=f"compare-chart-{protocol}"):
            st.markdown(f"**{plain(protocol_words(protocol).capitalize())}**{primary}")
            spec = seed_dots(arms=arms, colours=colours, domain=domain, band=band_of(results, rows))
            words = f"Test mIoU per arm and seed, {protocol_words(protocol)}"
            st.vega_lite_chart(dots_of(rows), spec, key=f"dots-{protocol}", alt=words)
    st.caption(
        f"Dots: seeds. Bars: means. The grey band is the mean of “{plain(results['reference'])}” ± "
        f"{results['margin']:g} points, the margin declared before the run."
    )


def dots_of(rows: Sequence[ArmResult]) -> list[dict[str, object]]:
    """Returns a row per dot and per mean, in points."""
    dots: list[dict[str, object]] = []
    for row in rows:
        dots += [
            {"arm": row["arm"], "kind": "seed", "seed": str(score["seed"]), "miou": 100 * score["miou"]}
            for score in row["seeds"]
        ]
        if row["mean_miou"] is not None:
            dots.append({"arm": row["arm"], "kind": "mean", "seed": "all", "miou": 100 * row["mean_miou"]})
    return dots


def axis_of(results: Results) -> tuple[float, float]:
    """Returns the bounds of the mIoU axis: all scores and the reference's band, rounded out to whole points."""
    values = [100 * score["miou"] for row in results["rows"] for score in row["seeds"]]
    for row in results["rows"]:
        values += band_of(results, [row]) or ()
    return float(int(min(values)) - 1), float(int(max(values)) + 2)


def band_of(results: Results, rows: Sequence[ArmResult]) -> tuple[float, float] | None:
    """Returns the reference's mean ± margin in points, as soon as it has a score."""
    for row in rows:
        if row["reference"] and row["mean_miou"] is not None:
            return 100 * row["mean_miou"] - results["margin"], 100 * row["mean_miou"] + results["margin"]
    return None


def colours_of(results: Results) -> dict[str, str]:
    """Returns the colour of each arm."""
    arms = list(dict.fromkeys(row["arm"] for row in results["rows"]))
    return arm_colours(arms, [row["arm"] for row in results["rows"] if row["baseline"]])


show()
