"""Design: an experiment as form and as YAML, the pairs it would draw, what it costs, and its start."""

from typing import Any
from uuid import uuid4

import streamlit as st

from frontend.connection import ApiProblem
from frontend.draft import Path, with_edits
from frontend.page import client, empty, header, plain, remember_in_url, screen, set_widget, show_problem
from frontend.scene_records import Dataset
from frontend.screens.arm_cards import show_arms
from frontend.screens.design_form import Form, show_downstream, show_pretraining, show_question
from frontend.screens.design_preview import plan_of, show_plan, show_preview
from frontend.screens.selection_export import PENDING_SCENES
from frontend.wording import experiment_title
from pairlab.experiment.experiment import Experiment, load_experiment
from pairlab.experiment.problems import ExperimentError

TEXT, REVISION, SOURCE, PROBLEMS = "draft-text", "draft-revision", "draft-source", "draft-problems"
ONCE, BOX = "draft-idempotency-key", "yaml-box"
SIDES = ("Pairs", "YAML")


def show() -> None:
    """Shows the screen."""
    header("Design", "One question, asked by arms that differ in one thing. Form and YAML are the same file.")
    datasets = {dataset["name"]: dataset for dataset in client().datasets(limit=200)["items"]}
    show_sources()
    if TEXT not in st.session_state:
        empty(
            "No experiment file",
            "Nothing to start from was found: PairLab's examples are missing in this installation.",
        )
        return
    take_scenes()
    experiment = load_experiment(st.session_state[TEXT])
    left, right = st.columns([6, 5], gap="large")
    with left:
        experiment = show_form(experiment, datasets)
    with right, st.container(key="design-side"):
        side = choose_side()
        if side == "YAML":
            show_yaml()
        elif experiment.dataset in datasets:
            show_preview(experiment, datasets[experiment.dataset])
        else:
            show_missing_dataset(experiment.dataset)
    with left:
        show_submit(st.session_state[TEXT])


def choose_side() -> str | None:
    """Returns what is shown beside the form, as the URL names it."""
    named = st.query_params.get("side")

    def follow() -> None:
        remember_in_url({"side": "" if st.session_state["side"] == SIDES[0] else st.session_state["side"]})

    return st.segmented_control(
        "Beside the form",
        SIDES,
        key=set_widget("side", named if named in SIDES else SIDES[0]),
        required=True,
        on_change=follow,
        label_visibility="collapsed",
    )


def show_sources() -> None:
    """Lets the user start from an example or an earlier experiment; the URL's `from` and `example` do the same."""
    examples = {f"example:{example['name']}": example for example in client().examples()}
    earlier = {f"from:{experiment['id']}": experiment for experiment in client().experiments(limit=30)["items"]}
    texts = {key: f"example · {example['name']}" for key, example in examples.items()}
    texts |= {key: experiment_title(each) for key, each in earlier.items()}
    wanted = next((f"{name}:{st.query_params[name]}" for name in ("from", "example") if name in st.query_params), None)
    if wanted is None and TEXT not in st.session_state and examples:
        wanted = next((key for key in examples if key.endswith(":quickstart")), next(iter(examples)))
    if wanted is not None and wanted != st.session_state.get(SOURCE):
        load_source(wanted)
    with st.popover("Start from…", icon=":material/file_open:", key="design-start", width="content"):
        st.caption("Loading one replaces what is in the form.")
        picked = st.selectbox("File", list(texts), format_func=lambda key: texts[key], key="design-source")
        if st.button("Load", key="design-load", type="primary", disabled=picked is None) and picked:
            name, _, value = picked.partition(":")
            for other in ("from", "example"):
                if other in st.query_params:
                    del st.query_params[other]
            st.query_params[name] = value
            st.session_state.pop(SOURCE, None)
            st.rerun()


def load_source(source: str) -> None:
    """Takes an example or an earlier experiment as the file."""
    kind, _, value = source.partition(":")
    try:
        if kind == "from":
            text = client().experiment(value)["yaml"]
        else:
            text = next((each["yaml"] for each in client().examples() if each["name"] == value), "")
            if not text:
                raise ApiProblem([f"There is no example {value!r}."], status=404)
        load_experiment(text)
    except ApiProblem as problem:
        if problem.unreachable:
            raise
        show_problem(problem)
    except ExperimentError as error:
        show_problem(ApiProblem([f"{value} cannot be read by this version: {error}"]))
    else:
        take(text)
    st.session_state[SOURCE] = source


def take_scenes() -> None:
    """Takes the selection that the pair browser handed over into the file."""
    selection = st.session_state.pop(PENDING_SCENES, None)
    if selection is None:
        return
    edits: dict[Path, Any] = {("dataset",): selection["dataset"], ("scenes",): selection["filter"] or None}
    try:
        take(with_edits(st.session_state[TEXT], edits))
    except ExperimentError as error:
        show_problem(
            ApiProblem([f"The selection does not fit into this file: {problem}" for problem in error.problems])
        )
    else:
        st.toast("The file takes the scenes of your selection now.", icon=":material/filter_alt:")


def take(text: str) -> None:
    """Makes a text the file, and has all fields of the form show its values."""
    st.session_state[TEXT] = text
    st.session_state[REVISION] = st.session_state.get(REVISION, 0) + 1
    st.session_state[PROBLEMS] = []


def show_form(experiment: Experiment, datasets: dict[str, Dataset]) -> Experiment:
    """Shows the form and returns the experiment with its edits; one that is not valid leaves the file as it is."""
    form = Form(st.session_state[REVISION])
    show_question(form, experiment, datasets)
    st.subheader("Arms", anchor=False)
    restructure = show_arms(form, experiment)
    with st.expander("Pretraining", icon=":material/model_training:"):
        show_pretraining(form, experiment)
    with st.expander("Segmentation", icon=":material/grid_on:"):
        show_downstream(form, experiment, datasets.get(experiment.dataset))
    st.caption(
        "Knobs that have no field here (augmentation, looks, heads, …) are set in the YAML, and the form leaves them."
    )
    problems = list(form.problems)
    try:
        if form.edits:
            st.session_state[TEXT] = with_edits(st.session_state[TEXT], form.edits)
        if restructure is not None:
            take(restructure(st.session_state[TEXT]))
            st.rerun()
    except ExperimentError as error:
        problems += error.problems
    if problems:
        st.error(
            "The form's last change is not in the file yet:\n" + "\n".join(f"- {plain(each)}" for each in problems)
        )
    elif form.restructures or any(path[0] == "method" or (len(path) == 2 and path[0] == "arms") for path in form.edits):
        st.rerun()  # other fields belong to another method or kind of arm
    return load_experiment(st.session_state[TEXT])


def show_yaml() -> None:
    """Shows the file for editing; a text that is not valid is kept in the box with its problems below."""
    if not st.session_state.get(PROBLEMS):
        st.session_state[BOX] = st.session_state[TEXT]

    def read() -> None:
        text = st.session_state[BOX]
        try:
            load_experiment(text)
        except ExperimentError as error:
            st.session_state[PROBLEMS] = error.problems
        else:
            take(text)

    st.text_area(
        "Experiment file", key=BOX, height=620, on_change=read, help="Ctrl+Enter or a click outside applies it."
    )
    if st.session_state.get(PROBLEMS):
        st.error("Not applied yet:\n" + "\n".join(f"- {plain(each)}" for each in st.session_state[PROBLEMS]))
        if st.button("Back to the last valid file", key="yaml-back"):
            take(st.session_state[TEXT])
            st.rerun()
    st.download_button(
        "Download",
        st.session_state[TEXT],
        "experiment.yaml",
        "application/yaml",
        key="yaml-download",
        on_click="ignore",
    )


def show_missing_dataset(name: str) -> None:
    """Says that the dataset is not registered, and where to do that."""
    empty(
        "Dataset not registered",
        f"The file names dataset **{plain(name)}**, which is not registered here. Register it, or choose another one.",
        page="datasets",
        label="Register a dataset",
    )


def show_submit(text: str) -> None:
    """Shows what the experiment would run, and the button that queues it."""
    with st.container(border=True, key="design-submit"):
        st.markdown("**What it runs**")
        with st.spinner("Counting jobs…"):
            plan = plan_of(text)
        if isinstance(plan, ApiProblem):
            show_problem(plan)
        else:
            show_plan(plan)
        pending = bool(st.session_state.get(PROBLEMS))
        if st.button(
            "Queue the experiment",
            type="primary",
            key="design-queue",
            icon=":material/play_arrow:",
            disabled=isinstance(plan, ApiProblem) or pending,
        ):
            submit(text)


def submit(text: str) -> None:
    """Queues the experiment once, however often the button is pressed, and goes to its jobs."""
    once, sent = st.session_state.get(ONCE, ("", ""))
    if sent != text:
        once = str(uuid4())
        st.session_state[ONCE] = (once, text)
    try:
        experiment = client().submit(text, idempotency_key=once)
    except ApiProblem as problem:
        show_problem(problem)
        return
    st.session_state.pop(ONCE)
    st.switch_page(screen("jobs"), query_params={"experiment": experiment["id"]})


show()
