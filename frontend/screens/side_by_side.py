"""All arms at the same places of the list they share: what differs between them is seen at a glance."""

from collections import Counter
from collections.abc import Mapping

import streamlit as st

from frontend.components.arm_table.arm_table import CellSpec, ColumnSpec, RowSpec, arm_table
from frontend.components.pair_grid.grid import BadgeSpec
from frontend.connection import ApiProblem
from frontend.page import plain, show_problem
from frontend.pair_records import ArmPreview, Preview, PreviewPair
from frontend.screens.arm_cards import colours_of
from frontend.screens.arm_previews import choose_page, choose_seed, previews_of, show_pages
from frontend.screens.arm_words import factors_in_words
from frontend.screens.preview_balance import balance_table
from frontend.screens.preview_cards import badges, change_legend, place_words, thumbnails
from frontend.wording import percent, sentence
from pairlab.experiment.experiment import Experiment

COUNT = 6
PAGE = "arms-page"
SEEN_AT_ONCE = 3


def show_side_by_side(experiment: Experiment, text: str) -> None:
    """Shows a column per arm that is pretrained and a row per place."""
    pairs = max((arm.pairing.pairs for arm in experiment.arms.values() if arm.pairing is not None), default=0)
    if not pairs:
        st.info("All arms are baselines: none of them draws pairs.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="arms-choice"):
        seed = choose_seed(experiment)
        overlaid = st.toggle("Change over the images", key="arms-change")
    if overlaid:
        st.html(change_legend())
    first = choose_page(pairs, COUNT, key=PAGE)
    previews = previews_of(text, arms=None, seed=seed, first=first, count=COUNT)
    if isinstance(previews, ApiProblem):
        show_problem(previews)
        return
    for arm in previews.values():
        if arm["problem"] is not None:
            st.error(f"**{plain(arm['arm'])}:** {plain(sentence(arm['problem']))}")
    colours = colours_of(experiment)
    arm_table(
        columns=[column(arm, colours[name], name == experiment.reference) for name, arm in previews.items()],
        rows=[row(previews, position, overlaid=overlaid) for position in range(first, min(first + COUNT, pairs))],
        description="The pairs that the arms draw at the same places",
        key="design-arms",
    )
    sideways = f" {len(previews)} arms: scroll sideways to see all." if len(previews) > SEEN_AT_ONCE else ""
    st.caption(f"Left the anchor, right the positive.{sideways}")
    show_pages(pairs, COUNT, key=PAGE)
    balances = {name: arm["pairs"]["balance"] for name, arm in previews.items() if arm["pairs"] is not None}
    if balances:
        st.markdown("**What they show**")
        st.html(balance_table(balances, experiment.reference))
        st.caption("≠ marks what differs from the reference. Shares are of all images shown in one pass.")


def column(arm: ArmPreview, colour: str, is_reference: bool) -> ColumnSpec:
    """Returns an arm's column: its noise as it is realised, and in what it differs from the reference."""
    found: list[BadgeSpec] = [{"text": "reference", "tone": "info"}] if is_reference else []
    preview = arm["pairs"]
    if preview is not None:
        found.append({"text": f"{percent(preview['realised_rate'], 0)} noisy", "tone": "neutral"})
        if preview["realised_mismatch"]:
            found.append({"text": f"{percent(preview['realised_mismatch'], 0)} other place", "tone": "neutral"})
        if not preview["exposure_matched"]:
            found.append({"text": "not exposure-matched", "tone": "warning"})
    if len(arm["factors"]) > 1:
        found.append({"text": factors_in_words(arm["factors"]), "tone": "warning"})
    return {"title": arm["arm"], "color": colour, "badges": found}


def row(previews: Mapping[str, ArmPreview], position: int, *, overlaid: bool) -> RowSpec:
    """Returns the pairs of all arms at a place of the list; its title is the place that most of them show."""
    pairs = {name: pair_at(arm, position) for name, arm in previews.items()}
    shown = [" · ".join(filter(None, [pair["scene"], place_words(pair)])) for pair in pairs.values() if pair]
    title = Counter(shown).most_common(1)[0][0] if shown else "no arm shows it"
    cells = [cell(arm, pairs[name], overlaid=overlaid) for name, arm in previews.items()]
    return {"title": f"{position + 1} · {title}", "cells": cells}


def pair_at(arm: ArmPreview, position: int) -> PreviewPair | None:
    """Returns the arm's pair at a place of the list; None where it has none there."""
    pairs = arm["pairs"]["pairs"] if arm["pairs"] is not None else []
    return next((pair for pair in pairs if pair["position"] == position), None)


def cell(arm: ArmPreview, pair: PreviewPair | None, *, overlaid: bool) -> CellSpec:
    """Returns a pair as a cell, or why there is none."""
    if pair is not None:
        return {"images": thumbnails(pair, overlaid=overlaid), "badges": badges(pair), "note": ""}
    return {"images": [], "badges": [], "note": why_none(arm["pairs"])}


def why_none(preview: Preview | None) -> str:
    """Returns why an arm has no pair at a place."""
    if preview is None:
        return "draws no pairs"
    return "has no such pair" if preview["filtered"] is None else "thrown away by the filter"
