"""The forms that register a dataset: synthetic scenes, an xBD tree, any images before and after."""

import re
from collections.abc import Mapping, Sequence

import streamlit as st

from frontend.connection import ApiProblem
from frontend.page import choose_else_default, client, empty, plain, show_problem, verbatim
from frontend.scene_records import DataRoot
from pairlab.experiment.datasets import SyntheticDataset
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.synthetic_scenes import PRESETS, QUESTIONS, SyntheticScenes
from pairlab.experiment.yaml_text import parse_yaml

KINDS = {"synthetic": "Synthetic scenes", "xbd": "xBD tiles", "bitemporal": "Images before and after"}
DAMAGE_LEVELS = ("minor-damage", "major-damage", "destroyed")
LAYOUTS = {"folders": "Folders A, B and label", "manifest": "A table that lists the images"}


def register_synthetic(taken: Sequence[str]) -> None:
    """Shows the form for synthetic scenes."""
    defaults = SyntheticDataset()

    def follow() -> None:
        if st.session_state.get("synthetic-name", "") in ("", *PRESETS):
            st.session_state["synthetic-name"] = free_name(st.session_state["synthetic-preset"], taken)

    preset = st.selectbox(
        "Preset",
        list(PRESETS),
        format_func=lambda name: f"{name} – {QUESTIONS[name]}" if name in QUESTIONS else name,
        key="synthetic-preset",
        on_change=follow,
        help="Presets freeze the generator before arms are compared; each is named after the question it asks.",
    )
    if st.session_state.setdefault("synthetic-name", preset) in taken:
        st.session_state["synthetic-name"] = ""
    with st.form("register-synthetic", border=True):
        name = st.text_input("Name", key="synthetic-name")
        with st.container(horizontal=True):
            train = st.number_input("Training scenes", 1, 1_000_000, defaults.train, key="synthetic-train")
            validation = st.number_input(
                "Validation scenes", 1, 100_000, defaults.validation, key="synthetic-validation"
            )
            test = st.number_input("Test scenes", 1, 100_000, defaults.test, key="synthetic-test")
        with st.expander("Turn knobs of the preset", icon=":material/tune:"):
            knobs = st.text_area(
                "Knobs that differ from the preset, one a line",
                key="synthetic-knobs",
                height=100,
                placeholder="change_rate: 0.3\nchange_extent: [0.1, 0.4]\nhaze: 0",
            )
            st.dataframe(
                [{"knob": knob, f"in {preset}": value, "what it is": text} for knob, value, text in knobs_of(preset)],
                hide_index=True,
                height=240,
                alt="Knobs of the preset",
            )
        if st.form_submit_button("Register", type="primary", key="synthetic-register"):
            turned = parsed_knobs(knobs)
            if turned is not None:
                counts = {"train": train, "validation": validation, "test": test}
                register(
                    name, {"kind": "synthetic", "preset": preset, **counts, **({"knobs": turned} if turned else {})}
                )


def knobs_of(preset: str) -> list[tuple[str, str, str]]:
    """Returns name, value and meaning of each knob of a preset."""
    values = PRESETS[preset].model_dump(mode="json")
    fields = SyntheticScenes.model_fields
    return [(name, str(value), (fields[name].description or "").replace("\n", " ")) for name, value in values.items()]


def parsed_knobs(text: str) -> dict[str, object] | None:
    """Returns the knobs that the user wrote; says what is wrong and returns None where they cannot be read."""
    if not text.strip():
        return {}
    try:
        return parse_yaml(text)
    except ExperimentError as error:
        reason = error.problems[0].replace("an experiment file is a mapping of fields (name, dataset, arms, …)", "")
        st.error(plain(f"The knobs cannot be read: write one a line, like `change_rate: 0.3`. {reason.strip(' ,')}"))
        return None


def register_xbd(taken: Sequence[str]) -> None:
    """Shows the form for an xBD tree below a data root."""
    root = choose_root()
    if root is None:
        return
    folders = folders_of(root, "xbd")
    if not folders:
        st.info(
            f"Nothing in data root {plain(root['name'])} looks like an xBD tree. Expected are folders train, tier3, "
            "test or hold with images/ and labels/ inside. A folder further down can be named below."
        )
    folder = choose_folder(folders, "xbd-folder")
    with st.form("register-xbd", border=True):
        name = st.text_input("Name", value=free_name(root["name"], taken), key=f"xbd-name-{root['name']}")
        damage_from = st.selectbox(
            "Counts as damaged from",
            DAMAGE_LEVELS,
            key="xbd-damage",
            help="The level from which a building counts as changed between the acquisitions.",
        )
        if st.form_submit_button("Register", type="primary", key="xbd-register"):
            register(name, {"kind": "xbd", "root": root["name"], "folder": folder, "damage_from": damage_from})


def register_bitemporal(taken: Sequence[str]) -> None:
    """Shows the form for images before and after, in folders or listed by a table, below a data root."""
    root = choose_root()
    if root is None:
        return
    folders = folders_of(root, "bitemporal")
    folder = choose_folder(folders, "bitemporal-folder")
    manifests = root["manifests"].get(folder, [])
    layout = st.segmented_control(
        "Layout",
        list(LAYOUTS),
        format_func=LAYOUTS.__getitem__,
        default="manifest" if manifests else "folders",
        key=f"bitemporal-layout-{root['name']}-{folder}",
        required=True,
    )
    st.caption(
        "A table (CSV or Parquet) has a row per scene and acquisition: columns scene, acquisition and image, and where "
        "known mask, change, split and event. All other columns become filters."
        if layout == "manifest"
        else "Images of equal names in A/ (before) and B/ (after), and where there are any, change masks in label/; in "
        "the folder itself, or in train/, val/ and test/ (the layout of LEVIR-CD)."
    )
    with st.form("register-bitemporal", border=True):
        name = st.text_input("Name", value=free_name(folder or root["name"], taken), key=f"bitemporal-name-{folder}")
        config: dict[str, object] = {"kind": "bitemporal", "root": root["name"], "folder": folder}
        if layout == "manifest":
            manifest = st.selectbox(
                "Table",
                manifests,
                accept_new_options=True,
                placeholder="path below the folder, like pairs.csv",
                key="bitemporal-manifest",
            )
            classes = st.text_input(
                "Classes of the masks",
                key="bitemporal-classes",
                placeholder="background, building, road",
                help="Names of the values 0, 1, 2, …, with commas in between. 0 is the background, 255 is ignored. "
                "Leave it empty where there are no masks.",
            )
            config |= {"manifest": (manifest or "").strip(), "classes": listed(classes)}
        no_data = st.number_input(
            "Value without data",
            value=None,
            key="bitemporal-no-data",
            placeholder="black areas of at least 256 pixels",
            help="Pixels that have this value in all bands show nothing.",
        )
        if st.form_submit_button("Register", type="primary", key="bitemporal-register"):
            if layout == "manifest" and not config["manifest"]:
                st.error("Name the table that lists the images.")
            else:
                register(name, {**config, **({} if no_data is None else {"no_data": no_data})})


def choose_root() -> DataRoot | None:
    """Returns the data root that the user chose; says how to get one where there is none."""
    roots = {root["name"]: root for root in client().data_roots()}
    if not roots:
        empty(
            "No data root",
            "PairLab reads imagery only from folders given to it at start. Start it with "
            "`pairlab up --data-root NAME=FOLDER`, and the folder appears here under that name.",
        )
        return None
    return roots[choose_else_default("Data root", list(roots), parameter="root", default=next(iter(roots)))]


def folders_of(root: DataRoot, kind: str) -> list[str]:
    """Returns the folders of a data root that look like a kind of dataset."""
    return [folder for folder in root["folders"] if root["kinds"].get(folder) == kind]


def choose_folder(folders: Sequence[str], key: str) -> str:
    """Returns the folder that the user chose or typed; empty is the data root itself."""
    folder = st.selectbox(
        "Folder",
        folders or [""],
        format_func=lambda each: each or "(the data root itself)",
        accept_new_options=True,
        key=key,
        help="A folder below the data root; others than the ones found can be typed.",
    )
    return (folder or "").strip()


def register(name: str, config: Mapping[str, object]) -> None:
    """Registers a dataset, or says what is wrong with it."""
    name = name.strip()
    if not name:
        st.error("The dataset needs a name: small letters, digits, dots and dashes.")
        return
    try:
        with st.spinner("Looking at what there is…"):
            added = client().create_dataset(name, dict(config))
    except ApiProblem as problem:
        show_problem(problem)
        return
    if added["state"] == "indexing":
        st.toast(f"{verbatim(name)} is registered and is being indexed.")
    else:
        st.toast(f"{verbatim(name)} is registered.")
    st.rerun()


def free_name(text: str, taken: Sequence[str]) -> str:
    """Returns a name that the API accepts for a dataset, and that is not taken; nothing where it is."""
    name = re.sub(r"[^a-z0-9_.\-]+", "-", text.lower()).strip("-._")[:64] or "dataset"
    return "" if name in taken else name


def listed(text: str) -> list[str]:
    """Returns the parts between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
