"""The fields of the network: encoder, decoder, what it starts from, and what segmentation takes over."""

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

from frontend.draft import Path
from frontend.screens.form import Form
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.initial import FileWeights, HubWeights, Initial, JobWeights
from pairlab.experiment.network import DecoderName

ENCODERS = (
    "tu-resnet10t",
    "resnet18",
    "resnet34",
    "resnet50",
    "tu-convnext_tiny",
    "mobilenet_v2",
    "efficientnet-b0",
)
SOURCES = {
    "random": "random weights",
    "file": "a file below a data root",
    "job": "an earlier pretraining",
    "hub": "published weights (downloaded)",
}
PARTS = {"encoder": "the encoder alone", "encoder_decoder": "encoder and decoder"}
BLANK: dict[str, dict[str, Any]] = {
    "random": {"source": "random"},
    "file": {"source": "file", "root": "data", "path": "weights.safetensors"},
    "job": {"source": "job", "key": "0" * 64},
    "hub": {"source": "hub", "name": "resnet18.a1_in1k"},
}
"""What a newly chosen source begins with; the fields that appear are to be filled in."""


def show_encoder(form: Form, experiment: Experiment) -> None:
    """Shows the encoder's name: one of some, or any other."""
    form.option(
        "Encoder",
        ("network", "encoder"),
        experiment.network.encoder,
        ENCODERS,
        accept_new_options=True,
        help="Any encoder name of segmentation-models-pytorch; `tu-` takes it from timm.",
    )


def show_decoder(form: Form, experiment: Experiment) -> None:
    """Shows the decoder."""
    form.option(
        "Decoder",
        ("network", "decoder"),
        experiment.network.decoder,
        get_args(DecoderName),
        help="pan needs chips of 128 pixels; dpt takes encoders of timm alone, vision transformers among them.",
    )


def show_start_and_transfer(form: Form, experiment: Experiment) -> None:
    """Shows what pretraining starts from and what segmentation takes over, folded in while both are the defaults."""
    initial = experiment.initial
    usual = initial.source == "random" and experiment.transfer is None
    by_itself = experiment.model_copy(update={"transfer": None}).transferred
    with st.expander("Initial weights and transfer", expanded=not usual):
        source = st.selectbox(
            "Pretraining starts from",
            list(SOURCES),
            index=list(SOURCES).index(initial.source),
            format_func=SOURCES.__getitem__,
            key=form.key("initial", "source"),
        )
        if source != initial.source:
            form.restructure(("initial",), None if source == "random" else BLANK[source])
        else:
            show_source(form, initial, ("initial",), lambda field: form.key("initial", field))
        form.option(
            "Segmentation takes over",
            ("transfer",),
            experiment.transferred,
            list(PARTS),
            shown=PARTS.__getitem__,
            default=by_itself,
            help="With the encoder alone the decoder begins anew, and the linear probe stands on the encoder's levels.",
        )


def show_source(form: Form, initial: Initial, path: Path, key: Callable[[str], str]) -> None:
    """Shows what names given weights: a file, a pretraining or published ones.

    Args:
        form: takes the edits.
        initial: the weights.
        path: of `initial` in the file.
        key: of the widget of one of its fields.
    """
    match initial:
        case FileWeights():
            left, right = st.columns(2)
            with left:
                form.text("Data root", (*path, "root"), initial.root, key=key("root"))
            with right:
                form.text(
                    "File below it", (*path, "path"), initial.path, key=key("path"), help=".safetensors, .pth or .pt"
                )
        case JobWeights():
            form.text(
                "Key of the pretraining",
                (*path, "key"),
                initial.key,
                key=key("key"),
                help="64 characters; `pairlab jobs --json` lists them.",
            )
        case HubWeights():
            form.text(
                "timm's name with the tag of the weights",
                (*path, "name"),
                initial.name,
                key=key("name"),
                help="For example resnet18.a1_in1k; the worker needs the network for it.",
            )
    if isinstance(initial, FileWeights | JobWeights):
        form.option(
            "Of it",
            (*path, "part"),
            initial.part,
            list(PARTS),
            key=key("part"),
            shown=PARTS.__getitem__,
            default=_default(initial),
        )


def _default(initial: FileWeights | JobWeights) -> object:
    return type(initial).model_fields["part"].default
