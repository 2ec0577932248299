"""The two views of a pair that training would cut, and the pixels that the loss matches."""

from collections.abc import Iterator
from typing import Literal

import streamlit as st

from frontend.api_paths import api_path
from frontend.components.view_pair.view_pair import ViewSpec, view_pair
from frontend.connection import ApiProblem
from frontend.page import plain, remember_in_url, set_widget, show_problem, verbatim
from frontend.pair_records import PreviewPair
from frontend.screens.arm_previews import (
    BASELINE,
    choose_arm,
    choose_seed,
    is_one_place,
    previews_of,
)
from frontend.screens.preview_cards import badges, place_words, shift_words
from frontend.screens.refused_arm import show_refusal
from frontend.wording import grouped, percent, plural
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.methods import DenseCL, Method, PixelInfoNCE, PixPro, VICRegL

PAIR = "views-pair"
MARK_COLOURS = {"neutral": "gray", "good": "green", "warning": "orange", "bad": "red", "info": "blue"}


def show_views(experiment: Experiment, text: str) -> None:
    """Shows the views of one pair of an arm."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="views-choice"):
        arm = choose_arm(experiment)
        seed = choose_seed(experiment)
        pairing = experiment.arms[arm].pairing
        position = 0 if pairing is None else choose_position(pairing.pairs)
    if pairing is None:
        st.info(BASELINE)
        return
    previews = previews_of(text, arms=[arm], seed=seed, first=position, count=1)
    if isinstance(previews, ApiProblem):
        show_problem(previews)
        return
    preview = previews[arm]["pairs"]
    if preview is None:
        show_refusal(experiment, arm, seed, previews[arm]["problem"])
    elif not preview["pairs"]:
        st.info("The arm's filter throws this pair away. Choose another one.")
    else:
        show_pair(preview["pairs"][0], experiment.method_of(experiment.arms[arm]))


def choose_position(pairs: int) -> int:
    """Returns the place of the pair that the URL names, from 0, after the user's choice."""
    named = st.query_params.get("pair", "")
    number = min(max(int(named), 1), pairs) if named.isdecimal() and len(named) < 10 else 1

    def follow() -> None:
        remember_in_url({"pair": str(st.session_state[PAIR])})

    return (
        st.number_input(
            "Pair", 1, pairs, key=set_widget(PAIR, number), on_change=follow, width=140, help=f"1 to {grouped(pairs)}."
        )
        - 1
    )


def show_pair(pair: PreviewPair, method: Method) -> None:
    """Shows a pair's views with what there is to say about it."""
    marks = " ".join(f":{MARK_COLOURS[badge['tone']]}-badge[{plain(badge['text'])}]" for badge in badges(pair))
    st.markdown(f"**{verbatim(pair['scene'])}** {marks}")
    if words := place_words(pair):
        st.caption(verbatim(words))
    view_pair(
        anchor=view_spec(pair, "anchor"),
        positive=view_spec(pair, "positive"),
        size=pair["views"]["size"],
        chip_size=pair["size"],
        points=[{"a": each["a"], "b": each["b"], "excluded": each["excluded"]} for each in pair["views"]["points"]],
        reach=pair["views"]["reach"],
        notes=list(notes(pair, method)),
        description=f"Views of pair {pair['position'] + 1}",
        key="design-views",
    )
    shares = (("change share", pair["change_share"]), ("object change share", pair["object_change_share"]))
    words = " · ".join(f"{name} {percent(share)}" for name, share in shares)
    st.caption(f"Of the anchor's place: {words} · {plural(pair['changed_pixels'], 'changed pixel')}")


def view_spec(pair: PreviewPair, role: Literal["anchor", "positive"]) -> ViewSpec:
    """Returns one side of a pair; the change map is one of the anchor's place."""
    view, shows_place = pair[role], role == "anchor" or is_one_place(pair)
    return {
        "label": f"{role} · {view['acquisition']}",
        "url": api_path(view["image_url"]),
        "change_url": api_path(pair["change_url"]) if shows_place else None,
        "matrix": pair["views"][role],
    }


def notes(pair: PreviewPair, method: Method) -> Iterator[str]:
    """Yields what the picture does not say by itself."""
    if isinstance(method, PixPro):
        yield (
            "This method draws no points: shown are all cells of the anchor that match, and each of them matches all "
            "cells whose centres lie in the circle that it shows when it is chosen."
        )
    elif isinstance(method, DenseCL | VICRegL):
        yield "This method chooses the cells that it matches as it learns; they are not drawn."
    elif not isinstance(method, PixelInfoNCE):
        yield "This method compares the two views as a whole: no pixel is matched with another."
    elif method.match_tolerance_px:
        yield (
            "A point's positives are all cells of the other view whose centres lie within "
            f"{method.match_tolerance_px:g} px of it on the ground: the circle that it shows when it is chosen."
        )
    elif method.matching == "feature":
        yield (
            "This method matches a point with the one whose features are most alike, which it finds as it learns. The "
            "points drawn are the same ground, not its choice."
        )
    if isinstance(method, PixelInfoNCE) and method.change_weight is not None:
        yield "Points that look changed count less in the loss; the weights are not drawn."
    if any(pair["shift"]):
        yield (
            f"The positive's content is {shift_words(pair['shift'])}, and the loss does not know: a point's partner is "
            "drawn where the loss takes it to be."
        )
    if pair["mismatched"]:
        yield "The positive shows another place, so matched points are not the same ground."
    yield (
        "These are the views of the step that shows the pair first; later steps cut others. Colours, light and blur "
        "are varied as well; that is not drawn."
    )
