"""The pairs that an arm would draw, before anything is queued: figures, histogram, pictures, balance."""

from itertools import pairwise

import streamlit as st

from frontend.charts import histogram
from frontend.components.pair_grid.grid import pair_grid
from frontend.connection import ApiProblem
from frontend.draft import with_edits
from frontend.page import plain, remember_in_url, show_problem
from frontend.pair_records import ArmPreview, Preview
from frontend.score_wording import filtered_words
from frontend.screens.arm_previews import (
    BASELINE,
    choose_arm,
    choose_page,
    choose_seed,
    previews_of,
    show_pages,
    with_reference,
)
from frontend.screens.arm_words import factors_in_words
from frontend.screens.preview_balance import balance_table
from frontend.screens.preview_cards import CHANGE_MAPS, card, change_legend
from frontend.screens.refused_arm import show_refusal
from frontend.wording import grouped, percent, plural, sentence
from pairlab.experiment.experiment import Experiment

COUNT = 12
PAGE = "preview-page"


def show_preview(experiment: Experiment, text: str) -> None:
    """Shows pairs of one arm, and figures over all of them."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="preview-choice"):
        arm = choose_arm(experiment)
        seed = choose_seed(experiment)
    pairing = experiment.arms[arm].pairing
    if pairing is None:
        st.info(BASELINE)
        return
    first = choose_page(pairing.pairs, COUNT, key=PAGE)
    arms = with_reference(experiment, arm)
    previews = previews_of(text, arms=arms, seed=seed, first=first, count=COUNT)
    if not isinstance(previews, ApiProblem) and previews[arm]["pairs"] is None:
        if not show_refusal(experiment, arm, seed, previews[arm]["problem"]):
            return
        st.markdown("**Before the filter**")
        unfiltered = with_edits(text, {("arms", arm, "pairing", "filter"): None})
        previews = previews_of(unfiltered, arms=arms, seed=seed, first=first, count=COUNT)
    if isinstance(previews, ApiProblem):
        show_problem(previews)
        return
    shown = previews[arm]
    if shown["pairs"] is None:
        show_problem(ApiProblem([shown["problem"] or "The arm draws no pairs."]))
        return
    show_figures(shown["pairs"])
    show_warnings(shown)
    show_histogram(shown["pairs"])
    show_pairs(shown["pairs"], arm)
    show_pages(pairing.pairs, COUNT, key=PAGE)
    show_balance(previews, experiment.reference)


def show_figures(preview: Preview) -> None:
    """Shows asked and realised noise and mismatch, the number of pairs, and what they are drawn from."""
    asked, filtered = preview["asked_rate"], preview["filtered"]
    with st.container(horizontal=True, key="preview-figures"):
        st.metric("Noisy, asked for", "as the data has it" if asked is None else percent(asked, 0), width="content")
        st.metric("Noisy, realised", percent(preview["realised_rate"]), width="content")
        if preview["asked_mismatch"] or preview["realised_mismatch"]:
            st.metric("Other place, asked for", percent(preview["asked_mismatch"], 0), width="content")
            st.metric("Other place, realised", percent(preview["realised_mismatch"]), width="content")
        st.metric("Pairs drawn", grouped(preview["drawn"]), width="content")
        if filtered is not None:
            st.metric("Thrown away", grouped(filtered["thrown_away"]), width="content")
    pool = preview["chips"]
    words = (
        f"Drawn from {plural(pool.get('chips', 0), 'chip')}: {grouped(pool.get('noisy', 0))} noisy, "
        f"{grouped(pool.get('clean', 0))} clean"
    )
    unknown = pool.get("unknown", 0)
    st.caption(words + (f", {grouped(unknown)} with unknown change." if unknown else "."))
    if filtered is not None:
        threshold = filtered["threshold"]
        above = "" if threshold is None else f", those with a score above {threshold:.4g}"
        st.caption(f"{sentence(f'The filter {filtered_words(filtered)}{above}')}")


def show_warnings(arm: ArmPreview) -> None:
    """Shows what the API remarks on the draw, and what keeps a difference from being put down to one thing."""
    preview = arm["pairs"]
    badges = []
    if len(arm["factors"]) > 1:
        badges.append(f":orange-badge[{factors_in_words(arm['factors'])}]")
    if preview is not None and not preview["exposure_matched"]:
        badges.append(":orange-badge[not exposure-matched]")
    if badges:
        st.markdown(" ".join(badges))
    for warning in preview["warnings"] if preview is not None else ():
        st.warning(plain(sentence(warning)))


def show_histogram(preview: Preview) -> None:
    """Shows how much change the loss sees in how many pairs."""
    edges, counts = preview["object_change_histogram"]["edges"], preview["object_change_histogram"]["counts"]
    rows = [{"low": low, "high": high, "count": n} for (low, high), n in zip(pairwise(edges), counts, strict=True)]
    st.vega_lite_chart(
        rows,
        histogram(noun="pairs", x_title="object change share as the loss sees it", height=110),
        key="preview-histogram",
        alt="Realised noise over all pairs drawn",
    )


def show_pairs(preview: Preview, arm: str) -> None:
    """Shows a card per pair; a click shows its views."""
    if not preview["pairs"]:
        st.info("The filter throws all pairs of this page away.")
        return
    change = st.segmented_control(
        "Change map",
        CHANGE_MAPS,
        default=CHANGE_MAPS[0],
        required=True,
        key="preview-change",
        help="Relevant change of the anchor's place, by the labels.",
    )
    if change != "off":
        st.html(change_legend())
    clicked = pair_grid(
        pairs=[card(pair, change=change or CHANGE_MAPS[0]) for pair in preview["pairs"]],
        columns_min_px=250,
        description=f"Pairs of arm {arm}: anchor, positive{', change' * (change == 'beside')}",
        key="design-pairs",
    )
    if clicked is not None:
        remember_in_url({"side": "Views", "pair": str(int(clicked) + 1)})
        st.rerun()


def show_balance(previews: dict[str, ArmPreview], reference: str) -> None:
    """Shows what the arm shows beside what the reference shows."""
    balances = {name: each["pairs"]["balance"] for name, each in previews.items() if each["pairs"] is not None}
    st.markdown("**What it shows**" if len(balances) < 2 else "**What it shows, beside the reference**")
    st.html(balance_table(balances, reference))
    if len(balances) > 1:
        st.caption("≠ marks what differs. Shares are of all images shown in one pass over the pairs.")
