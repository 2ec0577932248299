"""What an arm does about noisy pairs beforehand: nothing, a filter by the labels, or one by a change score."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from frontend.score_wording import SCORE_WORDS, WEIGHT_WORDS, WHAT_THEY_ARE
from frontend.screens.arm_place import ArmPlace
from frontend.screens.score_form import ENCODERS, finished_pretrainings, pretraining_words
from pairlab.experiment.change_scores import ChangeScore, EmbeddingDistance, IrMad
from pairlab.experiment.pairing import ChangeScoreFilter, Pairing

FILTER_WORDS: Mapping[str, str] = {
    "none": "none: all pairs are used",
    "oracle": "the labels throw noisy pairs away",
    "change_score": "a change score throws pairs away",
}
FIRST_SCORE: dict[str, Any] = {"by": "change_score", "score": {"name": "cva"}, "quantile": 0.9}
BOUNDS = {"quantile": "share of the chips", "threshold": "value of the score"}


def show_filter(place: ArmPlace, pairing: Pairing) -> None:
    """Shows which filter there is, of those that apply."""
    by = pairing.filter.by
    fits = {
        "none": True,
        "oracle": not place.transductive,
        "change_score": not pairing.noise.mismatch_rate and pairing.time_gap is None,
    }
    options = [name for name in FILTER_WORDS if fits[name] or name == by]
    chosen = st.selectbox(
        "Filter",
        options,
        index=options.index(by),
        format_func=FILTER_WORDS.__getitem__,
        key=place.key("filter"),
        help="What one could do before pretraining. It lowers the number of distinct pairs, never the steps.",
    )
    if chosen != by:
        new: object = {"none": None, "oracle": "oracle", "change_score": FIRST_SCORE}[chosen]
        place.form.restructure(place.pairing("filter"), new)
    elif isinstance(pairing.filter, ChangeScoreFilter):
        show_score(place, pairing.filter.score)
        show_bound(place, pairing.filter)


def show_score(place: ArmPlace, score: ChangeScore) -> None:
    """Shows which score it goes by, and the score's own settings."""
    path = place.pairing("filter", "score")
    name = st.selectbox(
        "Change score",
        list(SCORE_WORDS),
        index=list(SCORE_WORDS).index(score.name),
        format_func=SCORE_WORDS.__getitem__,
        key=place.key("score"),
        help="It is computed once per dataset before the pretrainings that need it, and judged on the screen Pairs.",
    )
    st.caption(WHAT_THEY_ARE[name])
    if name != score.name:
        place.form.restructure(path, {"name": name})
    elif isinstance(score, IrMad):
        place.form.number(
            "Iterations",
            (*path, "iterations"),
            score.iterations,
            key=place.key("iterations"),
            default=IrMad().iterations,
            min_value=1,
            max_value=200,
        )
    elif isinstance(score, EmbeddingDistance):
        show_encoder(place, score)


def show_encoder(place: ArmPlace, score: EmbeddingDistance) -> None:
    """Shows encoder and weights of an embedding distance."""
    path, default = place.pairing("filter", "score"), EmbeddingDistance()
    pretrainings = {job["key"]: pretraining_words(job) for job in finished_pretrainings()}
    words = {**WEIGHT_WORDS, **pretrainings}
    left, right = st.columns(2)
    with left:
        place.form.option(
            "Weights",
            (*path, "weights"),
            score.weights,
            list(words),
            key=place.key("weights"),
            default=default.weights,
            shown=lambda key: words.get(key, f"pretraining {key[:8]}"),
            restructures=True,
            help="Published weights are downloaded once.",
        )
    if score.weights in WEIGHT_WORDS:
        with right:
            place.form.option(
                "Encoder",
                (*path, "encoder"),
                score.encoder,
                ENCODERS,
                key=place.key("encoder"),
                default=default.encoder,
                accept_new_options=True,
            )


def show_bound(place: ArmPlace, chosen: ChangeScoreFilter) -> None:
    """Shows from which score on a pair is thrown away."""
    path = place.pairing("filter")
    by = "threshold" if chosen.quantile is None else "quantile"
    left, right = st.columns(2)
    with left:
        given = st.segmented_control(
            "Throw away by",
            list(BOUNDS),
            format_func=BOUNDS.__getitem__,
            default=by,
            required=True,
            key=place.key("bound"),
        )
    if given != by:
        values = {"quantile": (0.9, None), "threshold": (None, 1.0)}[str(given)]
        for field, value in zip(("quantile", "threshold"), values, strict=True):
            place.form.restructure((*path, field), value)
        return
    with right:
        if chosen.quantile is not None:
            shown = 100 - round(100 * chosen.quantile)
            away = st.slider(
                "Highest scores thrown away, %",
                0,
                100,
                shown,
                step=5,
                key=place.key("quantile"),
                help="Of all chips of the train split: the threshold is this quantile of their scores.",
            )
            if away != shown:
                place.form.edits[(*path, "quantile")] = (100 - away) / 100
        else:
            place.form.number(
                "Threshold",
                (*path, "threshold"),
                chosen.threshold or 0.0,
                key=place.key("threshold"),
                step=0.1,
                help="Pairs with a higher score are thrown away, in the score's own unit.",
            )
