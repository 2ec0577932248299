"""Datasets: what is registered, and how to register more."""

import re
from collections.abc import Mapping

import streamlit as st

from frontend.api_client import ApiProblem
from frontend.api_records import Dataset
from frontend.page import client, empty, header, plain, screen, show_problem
from frontend.wording import moment, plural, sentence
from pairlab.experiment.datasets import PRESETS, SyntheticDataset

KINDS = {"synthetic": "Synthetic scenes", "xbd": "xBD tiles"}
DAMAGE_LEVELS = ("minor-damage", "major-damage", "destroyed")


def show() -> None:
    """Shows the screen."""
    header("Datasets", "Scenes with two acquisitions and labels. Nothing is copied: imagery is read where it lies.")
    datasets = client().datasets(limit=200)["items"]
    if not datasets:
        empty(
            "No dataset yet",
            "Register the synthetic scenes below to try PairLab without any files, or an xBD tree from a data root.",
        )
    for dataset in datasets:
        show_dataset(dataset)
    st.subheader("Register a dataset", anchor=False)
    kind = st.segmented_control(
        "Kind",
        list(KINDS),
        format_func=lambda kind: KINDS[kind],
        default="synthetic",
        key="kind",
        bind="query-params",
        required=True,
    )
    if kind == "xbd":
        register_xbd()
    else:
        register_synthetic([dataset["name"] for dataset in datasets])


def show_dataset(dataset: Dataset) -> None:
    """Shows one dataset: its counts, what was noticed in it, and what can be done with it."""
    name, config = dataset["name"], dataset["config"]
    with st.container(border=True, key=f"dataset-{name}"):
        st.markdown(f"**{plain(name)}**  \n{describe(dataset)}")
        splits = " · ".join(f"{count:,} {split}".replace(",", " ") for split, count in dataset["splits"].items())
        events = dataset["events"]
        lines = [f"{plural(dataset['scenes'], 'scene')}: {splits}"]
        if len(events) > 1:
            lines.append(f"{len(events)} events: " + ", ".join(f"{event} ({count})" for event, count in events.items()))
        schemes = [f"{scheme} ({len(classes)} classes)" for scheme, classes in dataset["label_schemes"].items()]
        lines += [f"Label schemes: {', '.join(schemes)}", f"Registered {moment(dataset['created_at'])}"]
        st.caption("  \n".join(plain(line) for line in lines))
        if dataset["warnings"]:
            with st.expander(f"{plural(len(dataset['warnings']), 'thing')} noticed", icon=":material/info:"):
                st.markdown("\n".join(f"- {plain(sentence(warning))}" for warning in dataset["warnings"]))
        with st.container(horizontal=True, vertical_alignment="center"):
            st.page_link(screen("pairs"), label="Look at its pairs", query_params={"dataset": name})
            st.page_link(screen("design"), label="Design an experiment")
            with st.popover("Remove", type="tertiary"):
                kept = "Its files stay where they are." if config["kind"] == "xbd" else "It can be registered again."
                st.markdown(f"Take **{plain(name)}** off this list? {kept}")
                if st.button("Remove it", key=f"remove-{name}", type="primary"):
                    remove(name)


def describe(dataset: Dataset) -> str:
    """Returns in words where a dataset's scenes come from."""
    config = dataset["config"]
    if config["kind"] == "synthetic":
        return f"Synthetic scenes, preset {plain(config.get('preset', 'quickstart'))}; every seed redraws them."
    place = f"{config['root']}/{config.get('folder', '')}".rstrip("/")
    return f"xBD tiles in data root {plain(place)}; buildings count as damaged from {config['damage_from']}."


def remove(name: str) -> None:
    """Removes a dataset, or says why it has to stay."""
    try:
        client().delete_dataset(name)
    except ApiProblem as problem:
        show_problem(problem)
    else:
        st.rerun()


def register_synthetic(taken: list[str]) -> None:
    """Shows the form for synthetic scenes."""
    defaults = SyntheticDataset()
    with st.form("register-synthetic", border=True):
        name = st.text_input("Name", value="quickstart" if "quickstart" not in taken else "", key="synthetic-name")
        preset = st.selectbox(
            "Preset",
            sorted(PRESETS),
            key="synthetic-preset",
            help="Presets freeze the generator before arms are compared.",
        )
        with st.container(horizontal=True):
            train = st.number_input("Training scenes", 1, 1_000_000, defaults.train, key="synthetic-train")
            validation = st.number_input(
                "Validation scenes", 1, 100_000, defaults.validation, key="synthetic-validation"
            )
            test = st.number_input("Test scenes", 1, 100_000, defaults.test, key="synthetic-test")
        if st.form_submit_button("Register", type="primary", key="synthetic-register"):
            config = {"kind": "synthetic", "preset": preset, "train": train, "validation": validation, "test": test}
            register(name.strip(), config)


def register_xbd() -> None:
    """Shows the form for an xBD tree below a data root."""
    roots = {root["name"]: root["folders"] for root in client().data_roots()}
    if not roots:
        empty(
            "No data root",
            "PairLab reads imagery only from folders given to it at start. Start it with "
            "`pairlab up --data-root NAME=FOLDER`, and the folder appears here under that name.",
        )
        return
    root = st.selectbox("Data root", list(roots), key="root", bind="query-params")
    folders = roots[root]
    if not folders:
        st.info(
            f"Nothing in data root {plain(root)} looks like an xBD tree. Expected are folders train, tier3, test or "
            "hold with images/ and labels/ inside. A folder further down can be named below."
        )
    with st.form("register-xbd", border=True):
        folder = st.selectbox(
            "Folder",
            folders,
            format_func=lambda each: each or "(the data root itself)",
            accept_new_options=True,
            key="xbd-folder",
            help="A folder below the data root; others than the ones found can be typed.",
        )
        name = st.text_input("Name", value=slug(root), key="xbd-name")
        damage_from = st.selectbox(
            "Counts as damaged from",
            DAMAGE_LEVELS,
            key="xbd-damage",
            help="The level from which a building counts as changed between the acquisitions.",
        )
        if st.form_submit_button("Register", type="primary", key="xbd-register"):
            config = {"kind": "xbd", "root": root, "folder": folder or "", "damage_from": damage_from}
            with st.spinner("Reading the tiles' labels…"):
                register(name.strip(), config)


def register(name: str, config: Mapping[str, object]) -> None:
    """Registers a dataset, or says what is wrong with it."""
    if not name:
        st.error("The dataset needs a name: small letters, digits, dots and dashes.")
        return
    try:
        client().create_dataset(name, dict(config))
    except ApiProblem as problem:
        show_problem(problem)
    else:
        st.toast(f"{name} is registered.")
        st.rerun()


def slug(text: str) -> str:
    """Returns a name that the API accepts for a dataset."""
    return re.sub(r"[^a-z0-9_.\-]+", "-", text.lower()).strip("-.") or "dataset"


show()
