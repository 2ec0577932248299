"""The form beside an experiment's YAML: every field shows the file's value, and a change edits the file."""

from collections.abc import Mapping
from typing import get_args

import streamlit as st

from frontend.draft import parse_seeds, shown_seeds
from frontend.page import screen, verbatim
from frontend.scene_query import query_of_filter
from frontend.scene_records import Dataset
from frontend.screens.arm_exceptions import NAMED_SCENES, scenes_in_words
from frontend.screens.augmentation_fields import show_augmentation_fields
from frontend.screens.form import Form
from frontend.screens.label_fields import show_label_fields
from frontend.screens.method_fields import METHODS, show_method_fields
from frontend.screens.network_fields import show_decoder, show_encoder, show_start_and_transfer
from frontend.screens.protocol_fields import show_protocols
from frontend.screens.split_fields import show_split_fields
from frontend.screens.training_fields import show_training_fields
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.pairing import Noise
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.protocols import LabelScheme


def show_question(form: Form, experiment: Experiment, datasets: Mapping[str, Dataset]) -> None:
    """Shows the fields of the question: name, description, dataset, reference, seeds, margin."""
    form.text("Name", ("name",), experiment.name, max_chars=120)
    words = st.text_area("What it asks", experiment.description, key=form.key("description"), height=70, max_chars=2000)
    form.note(("description",), words.strip() or None, experiment.description or None)
    left, right = st.columns(2)
    with left:
        dataset = form.option("Dataset", ("dataset",), experiment.dataset, list(datasets))
    with right:
        form.option(
            "Reference arm",
            ("reference",),
            experiment.reference,
            list(experiment.arms),
            help="The arm that every other arm is compared with.",
        )
    with left:
        text = st.text_input(
            "Seeds", shown_seeds(experiment.seeds), key=form.key("seeds"), help="For example 0, 1 or 0-4."
        )
        try:
            form.note(("seeds",), parse_seeds(text), list(experiment.seeds))
        except ExperimentError as error:
            form.problems += error.problems
    with right:
        form.number(
            "Margin δ, mIoU points",
            ("margin",),
            experiment.margin,
            step=0.5,
            help="Differences inside (−δ, +δ) do not matter to you. Declared before the run.",
        )
    show_scene_filter(form, experiment)
    show_split_fields(form, experiment.splits, datasets.get(dataset))


def show_scene_filter(form: Form, experiment: Experiment) -> None:
    """Shows which scenes take part, where they are not all; they are chosen in the pair browser."""
    content = experiment.scenes.model_dump(mode="json", exclude_defaults=True)
    if not content:
        return
    with st.container(border=True, key="design-scenes"):
        st.markdown(f"**Only some scenes take part:** {verbatim(scenes_in_words(experiment.scenes))}")
        with st.container(horizontal=True, vertical_alignment="center"):
            if not any(content.get(name) for name in NAMED_SCENES):
                parameters = {"dataset": experiment.dataset, **query_of_filter(content).to_params()}
                st.page_link(screen("pairs"), label="Look at them", query_params=parameters)
            if st.button("Take all scenes", key=form.key("scenes", "all")):
                form.restructure(("scenes",), None)


def show_pretraining(form: Form, experiment: Experiment) -> None:
    """Shows method, network and length of the pretraining, and what it may see."""
    method = experiment.method
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(
            "Method",
            list(METHODS),
            index=list(METHODS).index(method.name),
            format_func=lambda name: METHODS[name],
            key=form.key("method"),
        )
    with right:
        show_encoder(form, experiment)
    if chosen != method.name:
        form.restructure(("method",), {"name": chosen})
    else:
        show_method_fields(form, ("method",), method, lambda field: form.key("method", field))
    training = experiment.pretraining
    left, right = st.columns(2)
    with left:
        form.number("Steps", ("pretraining", "steps"), training.steps, min_value=1, step=50)
        form.number("Chip size, pixels", ("chip_size",), experiment.chip_size, min_value=32, max_value=1024, step=32)
        show_noisy_from(form, experiment)
    with right:
        form.number("Pairs in a step", ("pretraining", "batch_size"), training.batch_size, min_value=2, step=8)
        show_decoder(form, experiment)
    show_training_fields(form, training)
    show_augmentation_fields(form, training.augmentation)
    show_start_and_transfer(form, experiment)
    show_transductive(form, experiment)


def show_noisy_from(form: Form, experiment: Experiment) -> None:
    """Shows from how many changed pixels on a pair is noisy: one number for all arms, whose places it decides."""
    arms = {
        name: arm.pairing.noise.min_changed_pixels
        for name, arm in experiment.arms.items()
        if arm.pairing is not None and arm.pairing.policy == "temporal"
    }
    if not arms:
        return
    old = next(iter(arms.values()))
    new = st.number_input(
        "Noisy from, changed pixels",
        1,
        value=old,
        key=form.key("min_changed_pixels"),
        help="Relevant-change pixels from which a pair counts as noisy, in all arms.",
    )
    if new != old:
        value = None if new == Noise().min_changed_pixels else new
        form.edits |= {("arms", name, "pairing", "noise", "min_changed_pixels"): value for name in arms}


def show_transductive(form: Form, experiment: Experiment) -> None:
    """Shows whether pretraining sees images of the validation and test splits."""
    seen = st.toggle(
        "Pretrain on validation and test images too (transductive)",
        experiment.transductive,
        key=form.key("transductive"),
        help="Their labels stay unseen, so knobs that need labels are refused, and every result says that scores are "
        "those of scenes it has seen.",
    )
    if seen != experiment.transductive:
        form.restructure(("transductive",), True if seen else None)


def show_downstream(form: Form, experiment: Experiment, dataset: Dataset | None) -> None:
    """Shows labels and protocols of the segmentation."""
    known = {} if dataset is None else dataset["label_schemes"]
    schemes = [each for each in get_args(LabelScheme) if dataset is None or each in known]
    show_label_fields(form, experiment.labels, dataset, schemes)
    show_protocols(form, experiment.protocols, known.get(experiment.labels.scheme, []))
