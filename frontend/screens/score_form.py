"""The form that queues the computation of a change score."""

from typing import Any

import streamlit as st

from frontend.api_records import Job
from frontend.connection import ApiProblem
from frontend.page import client, show_problem
from frontend.scene_records import Dataset
from frontend.score_wording import KEY_LETTERS, SCORE_WORDS, WEIGHT_WORDS, WHAT_THEY_ARE, score_title
from pairlab.experiment.change_scores import EmbeddingDistance

ENCODERS = ("tu-resnet18", "tu-resnet50", "resnet18", "resnet50")
MOST_PRETRAININGS = 100
MAX_DRAW = 2**31 - 1


def show_form(dataset: Dataset, *, is_first: bool) -> None:
    """Shows the form, open where the dataset has no score yet."""
    with st.expander("Compute a change score", expanded=is_first, icon=":material/calculate:", key="score-form"):
        chosen = st.segmented_control(
            "Score",
            list(SCORE_WORDS),
            format_func=SCORE_WORDS.__getitem__,
            default="cva",
            required=True,
            key="score-name",
        )
        st.caption(WHAT_THEY_ARE[chosen])
        score: dict[str, Any] = {"name": chosen}
        if chosen == "embedding":
            score |= choose_encoder()
        draw = choose_draw() if dataset["config"]["kind"] == "synthetic" else 0
        st.caption(
            "It is computed once for all scenes, by a worker, and kept. An experiment that filters by a score computes "
            "it by itself where it is missing."
        )
        if st.button("Compute it", key="score-queue", type="primary", icon=":material/play_arrow:"):
            queue(dataset["name"], score, draw)


def choose_encoder() -> dict[str, str]:
    """Returns encoder and weights of an embedding distance as the user chose them."""
    pretrainings = {job["key"]: job for job in finished_pretrainings()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        weights: str = st.selectbox(
            "Weights",
            [*WEIGHT_WORDS, *pretrainings],
            format_func=lambda key: WEIGHT_WORDS.get(key) or pretraining_words(pretrainings[key]),
            key="score-weights",
            filter_mode="contains",
            help="Published weights are downloaded once; random ones show what the architecture alone sees.",
            width=380,
        )
        if weights in pretrainings:
            return {"weights": weights}
        encoder = st.selectbox(
            "Encoder",
            ENCODERS,
            key="score-encoder",
            accept_new_options=True,
            help="Any encoder name of segmentation-models-pytorch; `tu-` takes it from timm.",
            width=260,
        )
    return {"weights": weights, "encoder": encoder or EmbeddingDistance().encoder}


def finished_pretrainings() -> list[Job]:
    """Returns the newest pretrainings that have weights."""
    return client().jobs(kind="pretrain", status="succeeded", limit=MOST_PRETRAININGS)["items"]


def pretraining_words(job: Job) -> str:
    """Returns whose a pretraining is."""
    letters = job["key"][:KEY_LETTERS]
    if not job["uses"]:
        return f"pretraining on {job['dataset']} · {letters}"
    use = job["uses"][0]
    return f"{use['experiment_name']} · {use['arm']} · seed {use['seed']} · {letters}"


def choose_draw() -> int:
    """Returns which draw of synthetic scenes is to be scored."""
    return int(
        st.number_input(
            "Draw of the scenes",
            min_value=0,
            max_value=MAX_DRAW,
            value=0,
            step=1,
            key="score-draw",
            help="Synthetic scenes are redrawn for every seed: seed 3 of an experiment sees draw 3.",
            width=200,
        )
    )


def queue(dataset: str, score: dict[str, Any], draw: int) -> None:
    """Queues a score, or says why it was refused."""
    try:
        queued = client().queue_score(dataset, score, draw=draw)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        show_problem(problem)
        return
    done = queued["status"] == "succeeded"
    title = score_title(queued["score"], queued["draw"])
    st.toast(f"{title} is computed already." if done else f"{title} is queued.", icon=":material/calculate:")
    st.rerun()
