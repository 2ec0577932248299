"""What an arm would draw, and what the whole experiment would cost, before anything is queued."""

from itertools import pairwise

import streamlit as st

from frontend.api_paths import api_path
from frontend.api_records import Plan
from frontend.charts import histogram
from frontend.components.pair_grid.grid import BadgeSpec, PairSpec, pair_grid
from frontend.connection import ApiProblem, find_endpoint
from frontend.page import choose, client, plain, show_problem
from frontend.scene_records import Dataset, Preview, PreviewPair
from frontend.wording import duration, percent, plural, sentence
from pairlab.experiment.expansion import DatasetReference, ExpansionError, PretrainJob, expand
from pairlab.experiment.experiment import Experiment

COUNT = 12
CONTROL_WORDS = {"rerender": "rendered again", "masked": "change masked"}


def show_preview(experiment: Experiment, dataset: Dataset) -> None:
    """Shows the first pairs of one arm, and figures over all of them."""
    arm = choose("Arm", list(experiment.arms), parameter="arm", default=most_noisy(experiment))
    if experiment.arms[arm].pairing is None:
        st.info("This arm is a baseline: its segmentation starts from random weights, so it draws no pairs.")
        return
    reference = DatasetReference.model_validate(
        {"name": dataset["name"], "config": dataset["config"], "fingerprint": dataset["fingerprint"]}
    )
    try:
        job = next(
            planned.config
            for planned in expand(experiment, reference)
            if isinstance(planned.config, PretrainJob) and any(name == arm for name, _ in planned.uses)
        )
    except ExpansionError as error:
        st.error(plain(str(error)))
        return
    try:
        preview = client().preview(
            dataset=dataset["name"],
            pairing=job.pairing.model_dump(mode="json"),
            scope=job.model_dump(mode="json", include={"places", "scenes", "splits"}),
            chip_size=job.chip_size,
            seed=job.seed,
            count=COUNT,
        )
    except ApiProblem as problem:
        show_problem(problem)
        return
    show_figures(preview)
    pair_grid(
        pairs=[card(pair, place) for place, pair in enumerate(preview["pairs"])],
        columns_min_px=200,
        clickable=False,
        description=f"First pairs of arm {arm}",
        key="design-pairs",
    )


def most_noisy(experiment: Experiment) -> str:
    """Returns the arm whose pairs are worth seeing first."""
    rates = {name: arm.pairing.noise.rate or 0.0 for name, arm in experiment.arms.items() if arm.pairing is not None}
    return max(rates, key=lambda name: rates[name]) if rates else next(iter(experiment.arms))


def show_figures(preview: Preview) -> None:
    """Shows asked and realised noise, the pool, and the histogram."""
    with st.container(horizontal=True, key="preview-figures"):
        asked = preview["asked_rate"]
        st.metric("Noisy, asked for", "as the data has it" if asked is None else percent(asked, 0), width="content")
        st.metric("Noisy, realised", percent(preview["realised_rate"]), width="content")
        st.metric("Pairs drawn", f"{preview['drawn']:,}".replace(",", " "), width="content")
    pool = preview["chips"]
    words = (
        f"Drawn from {plural(pool.get('chips', 0), 'chip')}: {pool.get('noisy', 0)} noisy, {pool.get('clean', 0)} clean"
    )
    unknown = pool.get("unknown", 0)
    st.caption(words + (f", {unknown} with unknown change." if unknown else "."))
    for warning in preview["warnings"]:
        st.warning(plain(sentence(warning)))
    edges, counts = preview["object_change_histogram"]["edges"], preview["object_change_histogram"]["counts"]
    rows = [{"low": low, "high": high, "count": n} for (low, high), n in zip(pairwise(edges), counts, strict=True)]
    st.vega_lite_chart(
        rows,
        histogram(noun="pairs", x_title="object change share as the loss sees it", height=110),
        key="preview-histogram",
        alt="Realised noise over all pairs drawn",
    )


def card(pair: PreviewPair, place: int) -> PairSpec:
    """Returns the card of a pair."""
    badges: list[BadgeSpec] = []
    if pair["noisy"]:
        badges.append({"text": f"noisy · {percent(pair['object_change_share'], 0)} of objects", "tone": "warning"})
    elif pair["unknown"]:
        badges.append({"text": "change unknown", "tone": "info"})
    else:
        badges.append({"text": "clean", "tone": "neutral"})
    if pair["control"] is not None:
        badges.append({"text": CONTROL_WORDS[pair["control"]], "tone": "info"})
    sides = (("anchor", pair["anchor"]), ("positive", pair["positive"]))
    return {
        "key": f"{place}-{pair['scene']}-{pair['y']}-{pair['x']}",
        "title": pair["scene"],
        "subtitle": "" if pair["event"] == "synthetic" else f"{pair['event']} · {pair['y']}, {pair['x']}",
        "badges": badges,
        "images": [
            {"url": api_path(view["image_url"]), "label": f"{role} · {view['acquisition']}"} for role, view in sides
        ],
    }


def show_plan(plan: Plan) -> None:
    """Shows how many jobs an experiment is, how long it takes, and what the API remarks."""
    with st.container(horizontal=True, key="plan-figures"):
        st.metric("Jobs", plan["jobs"] - plan["already_done"], width="content")
        st.metric(
            "Time", "unknown" if plan["estimated_seconds"] is None else f"≈ {duration(plan['estimated_seconds'])}"
        )
    parts = [f"{plural(plan['pretrain_jobs'], 'pretraining')} and {plural(plan['segment_jobs'], 'segmentation')}"]
    if plan["already_done"]:
        parts.append(f"{plan['already_done']} already done and taken over")
    if plan["shared_pretrainings"]:
        parts.append(f"{plural(plan['shared_pretrainings'], 'pretraining')} saved by sharing")
    parts.append(f"time: {plan['estimate_basis']}")
    st.caption(plain("; ".join(parts)) + ".")
    for warning in plan["warnings"]:
        st.caption(f":material/info: {plain(sentence(warning))}")


def plan_of(text: str) -> Plan | ApiProblem:
    """Returns what the API says to the file, asked once per text and half a minute."""
    return _plan_of(find_endpoint().url, text)


@st.cache_data(max_entries=16, ttl=30, show_spinner=False)
def _plan_of(url: str, text: str) -> Plan | ApiProblem:  # noqa: ARG001  (what is kept is of one API)
    try:
        return client().validate(text)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        return problem
