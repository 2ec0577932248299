"""The verdict of each arm on Compare: the word, what it means, its interval, and the way to the next look."""

from collections.abc import Mapping, Sequence

import streamlit as st

from frontend.connection import ApiProblem
from frontend.interval_chart import difference_intervals
from frontend.page import client, plain, show_problem
from frontend.result_records import Results
from frontend.screens.result_tables import verdict_table
from frontend.verdict_records import Bootstrap, Extension, Verdict
from frontend.verdict_wording import bootstrap_words, extension_words, family_words, look_words, needed_words
from frontend.wording import protocol_words

COLOURS = {"robust": "green", "not_harmed": "green", "benefits": "blue", "harmed": "red", "undecided": "orange"}
EXTENSION = "compare-extension"
"""Where the session keeps what the next look takes, until it is queued or let be."""
BOOTSTRAP = "compare-bootstrap-drawn"
PROBLEM = "compare-extension-problem"


def show_verdicts(results: Results, colours: Mapping[str, str]) -> None:
    """Shows the verdicts under the primary protocol; nothing where no arm may get one."""
    verdicts = results["verdicts"]
    if not verdicts:
        return
    st.subheader("Verdict", anchor=False)
    st.caption(
        f"Difference from “{plain(results['reference'])}” in {protocol_words(results['primary_protocol'])}, paired by "
        f"seed. {family_words(results)} The grey band is the margin."
    )
    _show_intervals(results, colours)
    for number, verdict in enumerate(verdicts):
        _show_verdict(verdict, number)
    with st.expander("Figures behind the words"):
        st.html(verdict_table(results, colours))
        st.caption(
            "p-values are adjusted over the arms, and one-sided against the margin; a sign test counts which way the "
            "seeds went and knows no margin: it stands beside the verdict and never makes it."
        )
        _show_bootstrap(results["id"])
    _show_next_look(results)


def _show_bootstrap(experiment: str) -> None:
    found: dict[str, list[Bootstrap]] = st.session_state.setdefault(BOOTSTRAP, {})
    if experiment not in found:
        st.button("Draw seeds and test scenes again", key="compare-bootstrap", on_click=_draw_again, args=(experiment,))
        return
    st.markdown("\n".join(f"- {plain(bootstrap_words(each))}" for each in found[experiment]))
    st.caption(
        "90 % of the mean differences when seeds and test scenes are drawn again (bootstrap, each arm by itself). With "
        "few seeds these are too narrow: they show what the scenes add, and make no verdict."
    )


def _draw_again(experiment: str) -> None:
    try:
        st.session_state[BOOTSTRAP][experiment] = client().bootstrap(experiment)
    except ApiProblem as problem:
        st.session_state[PROBLEM] = problem


def _show_intervals(results: Results, colours: Mapping[str, str]) -> None:
    rows = [
        {
            "arm": verdict["arm"],
            "endpoint": endpoint["title"],
            "mean": endpoint["mean"],
            "low": endpoint["low"],
            "high": endpoint["high"],
            "word": verdict["word"],
        }
        for verdict in results["verdicts"]
        for endpoint in verdict["endpoints"]
    ]
    if not rows:
        return
    spec = difference_intervals(
        arms=[verdict["arm"] for verdict in results["verdicts"]],
        colours=colours,
        endpoints=list(dict.fromkeys(str(row["endpoint"]) for row in rows)),
        margin=results["margin"],
        reach=reach_of(results["verdicts"], results["margin"]),
    )
    with st.container(key="compare-intervals"):
        st.vega_lite_chart(rows, spec, key="verdict-intervals", alt="Differences and their intervals, per arm")


def reach_of(verdicts: Sequence[Verdict], margin: float) -> float:
    """Returns how far the axis goes: all means and the margin well inside; ends of very wide intervals are cut off."""
    endpoints = [endpoint for verdict in verdicts for endpoint in verdict["endpoints"]]
    means = [abs(each["mean"]) for each in endpoints]
    ends = [abs(end) for each in endpoints for end in (each["low"], each["high"]) if end is not None]
    inner = max([2 * margin, *(1.4 * mean for mean in means)])
    return min(max([inner, *(1.08 * end for end in ends)]), 4 * inner)


def _show_verdict(verdict: Verdict, number: int) -> None:
    with st.container(border=True, key=f"verdict-{number}"):
        with st.container(horizontal=True, vertical_alignment="center", key=f"verdict-head-{number}"):
            st.markdown(f"**{plain(verdict['arm'])}**", width="content")
            st.badge(verdict["word"], color=COLOURS.get(verdict["outcome"] or "", "gray"))  # type: ignore[arg-type]
            st.caption(look_words(verdict), width="content")
        st.markdown(plain(verdict["plain"]))
        lines = [f"**Shown:** {plain(verdict['shown'])}.", f"**Not shown:** {plain(verdict['not_shown'])}."]
        lines += [f"**Mind:** {plain(caveat)}." for caveat in verdict["caveats"]]
        if verdict["outcome"] is not None or verdict["caveats"]:
            st.markdown("\n".join(f"- {line}" for line in lines if verdict["outcome"] or line.startswith("**Mind")))
        if verdict["breaks_at"] == verdict["arm"]:
            st.markdown("Here the ladder breaks: the first rung that is not shown to be not harmed.")


def _show_next_look(results: Results) -> None:
    """Shows the seeds still needed and, before anything is queued, what the next look takes."""
    undecided = [verdict for verdict in results["verdicts"] if verdict["outcome"] in (None, "undecided")]
    if not undecided:
        return
    looks = [verdict["next_look"] for verdict in undecided if verdict["next_look"] is not None]
    told: dict[str, Extension] = st.session_state.setdefault(EXTENSION, {})
    experiment = results["id"]
    with st.container(border=True, key="compare-next-look"):
        st.markdown("**Seeds still needed**")
        sentences = needed_words(undecided) or ["How many it takes is told as soon as there are two seeds."]
        st.markdown("\n".join(f"- {plain(each)}" for each in sentences))
        if experiment in told:
            st.markdown(plain(extension_words(told[experiment])))
            _show_choice(experiment, told[experiment])
        elif looks:
            st.button(
                f"Advance to the look at {min(looks)} seeds…",
                key="compare-extend",
                icon=":material/add:",
                help="Tells what it takes before anything is queued.",
                on_click=_ask,
                args=(experiment,),
            )
        else:
            st.caption("All planned looks are taken: further seeds would have no verdict to read.")
        problem = st.session_state.pop(PROBLEM, None)
        if problem is not None:
            show_problem(problem)


def _show_choice(experiment: str, extension: Extension) -> None:
    with st.container(horizontal=True, key="compare-extension-buttons"):
        if extension["seeds"]:
            st.button(
                "Queue these seeds",
                key="compare-extend-now",
                type="primary",
                on_click=_extend,
                args=(experiment, extension["to"]),
            )
        words = "Not now" if extension["seeds"] else "Close"
        st.button(words, key="compare-extend-not", on_click=_forget, args=(experiment,))


def _ask(experiment: str) -> None:
    try:
        st.session_state[EXTENSION][experiment] = client().extension(experiment)
    except ApiProblem as problem:
        st.session_state[PROBLEM] = problem


def _extend(experiment: str, to: int) -> None:
    try:
        client().extend_experiment(experiment, to=to)
    except ApiProblem as problem:
        st.session_state[PROBLEM] = problem
    _forget(experiment)


def _forget(experiment: str) -> None:
    st.session_state[EXTENSION].pop(experiment, None)
