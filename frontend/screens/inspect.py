"""Inspect: what a run predicts, over the imagery it was predicted from, and how that came about during training."""

from html import escape

import streamlit as st

from frontend.api_paths import api_path
from frontend.api_records import FINAL_STATUSES, ExperimentDetail, Job, Prediction
from frontend.components.overlay_viewer.viewer import ImageSpec, LayerSpec, default_state, overlay_viewer
from frontend.components.palette import class_specs
from frontend.page import choose, client, empty, header, problems_in_sentences, remember_in_url, screen, verbatim
from frontend.screens.scene_view import keep_view
from frontend.wording import experiment_title, points, protocol_words, state_words

WATCH_SECONDS = 4.0


def show() -> None:
    """Shows the screen."""
    header("Inspect", "Predictions over the images they were made from, beside the label, step by step.")
    experiments = {experiment["id"]: experiment for experiment in client().experiments(limit=100)["items"]}
    if not experiments:
        empty(
            "No predictions yet",
            "Segmentation jobs write predictions while they train. Design an experiment to get some.",
            page="design",
            label="Design an experiment",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect-run"):
        with st.container(width=340):
            chosen = choose(
                "Experiment",
                list(experiments),
                parameter="experiment",
                shown=lambda each: experiment_title(experiments[each]) if each in experiments else each,
                drops=("arm", "seed", "protocol", "scene", "step"),
            )
        experiment = client().experiment(chosen)
        job = choose_run(experiment)
    if job is None:
        empty("No segmentation job", "This experiment has no segmentation job for that arm and seed.")
        return
    predictions = client().predictions(job["id"])
    if job["status"] not in FINAL_STATUSES:
        st.fragment(watch, run_every=WATCH_SECONDS)(job["id"], len(predictions))
    if not predictions:
        show_nothing_yet(chosen, job)
        return
    show_prediction(predictions)


def choose_run(experiment: ExperimentDetail) -> Job | None:
    """Returns the segmentation job of the arm and seed that the user chose."""
    runs = {
        (use["arm"], use["seed"]): job
        for job in experiment["job_list"]
        if job["kind"] == "segment"
        for use in job["uses"]
        if use["experiment"] == experiment["id"]
    }
    arms = [arm for arm in experiment["arms"] if any(arm == each for each, _ in runs)]
    if not arms:
        return None
    started = next((arm for (arm, _), job in runs.items() if job["step"] > 0), arms[0])
    with st.container(width=240):
        arm = choose("Arm", arms, parameter="arm", default=started)
    seeds = [str(seed) for each, seed in runs if each == arm]
    with st.container(width=100):
        seed = choose("Seed", seeds, parameter="seed")
    return runs.get((arm, int(seed)))


def watch(job: str, shown: int) -> None:
    """Shows the page anew when the job has written more predictions than are on it."""
    with problems_in_sentences(recover=False):
        if len(client().predictions(job)) != shown:
            st.rerun(scope="app")


def show_nothing_yet(experiment: str, job: Job) -> None:
    """Says why there is no prediction and where to look."""
    if job["status"] in FINAL_STATUSES:
        text = f"This job is {state_words(job)} and wrote no prediction."
    else:
        text = f"This job is {state_words(job)}. Predictions appear here at its first evaluation."
    empty("No prediction yet", text)
    query = {"experiment": experiment, "job": job["id"]}
    st.page_link(screen("jobs"), label="See the job", query_params=query)


def show_prediction(predictions: list[Prediction]) -> None:
    """Shows the prediction of a protocol, scene and step that the user chose."""
    protocols = list(dict.fromkeys(prediction["protocol"] for prediction in predictions))
    with st.container(horizontal=True, vertical_alignment="bottom", key="inspect-what"):
        with st.container(width=180):
            protocol = choose(
                "Protocol",
                protocols,
                parameter="protocol",
                shown=protocol_words,
                default=protocols[-1],
                drops=("step",),
            )
        of_protocol = [prediction for prediction in predictions if prediction["protocol"] == protocol]
        newest = {prediction["scene"]: prediction for prediction in sorted(of_protocol, key=lambda each: each["step"])}
        with st.container(width=380):
            scene = choose(
                "Scene",
                sorted(newest, key=lambda name: (newest[name]["split"] != "validation", name)),
                parameter="scene",
                shown=lambda name: f"{name} · {newest[name]['split']}" if name in newest else name,
                drops=("step",),
            )
        history = {each["step"]: each for each in of_protocol if each["scene"] == scene}
        step = choose_step(sorted(history))
    picture, figures = st.columns([8, 2], gap="large")
    with picture:
        show_viewer(history[step])
    with figures:
        show_figures(history[step])


def choose_step(steps: list[int]) -> int:
    """Returns the training step to look at; the last one unless the user went back."""
    if len(steps) == 1:
        st.caption(f"predicted once, at step {steps[0]}")
        return steps[0]
    text = st.query_params.get("step", "")
    wanted = int(text) if text.isdigit() and int(text) in steps else steps[-1]
    if st.session_state.get("inspect-step") != wanted:
        st.session_state["inspect-step"] = wanted

    def follow() -> None:
        moved = st.session_state["inspect-step"]
        remember_in_url({"step": "" if moved == steps[-1] else str(moved)})

    step: int = st.select_slider("Training step", steps, key="inspect-step", on_change=follow, width=320)
    return step


def show_viewer(prediction: Prediction) -> None:
    """Shows the scene's images with label and prediction over them."""
    images: list[ImageSpec] = [
        {"key": acquisition, "label": acquisition, "url": api_path(url)}
        for acquisition, url in prediction["image_urls"].items()
    ]
    layers: list[LayerSpec] = [
        {"key": "label", "label": "label", "url": api_path(prediction["label_url"]), "kind": "label"},
        {"key": "prediction", "label": "prediction", "url": api_path(prediction["url"]), "kind": "prediction"},
    ]
    first = default_state(images=images, layers=layers, mode="side_by_side")
    shown = overlay_viewer(
        images=images,
        layers=layers,
        classes=class_specs(prediction["classes"]),
        initial=first.updated_from_params(st.query_params),
        height=560,
        description=f"Label and prediction of scene {prediction['scene']}",
        key="inspect-viewer",
    )
    keep_view(shown, first)


def show_figures(prediction: Prediction) -> None:
    """Shows the IoU of each class on this scene."""
    st.markdown("**IoU on this scene**")
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{points(prediction['iou'].get(name))}</td></tr>"
        for name in prediction["classes"]
    )
    st.html(f'<table class="pl-table" data-testid="scene-iou"><tr><th>class</th><th>IoU</th></tr>{rows}</table>')
    st.caption(
        f"{prediction['split'].capitalize()} scene, predicted from {verbatim(prediction['acquisition'])} at step "
        f"{prediction['step']}. "
        "Points of 100; a dash stands where a class is in neither label nor prediction."
    )


show()
