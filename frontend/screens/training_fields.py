"""The fields of a pretraining's optimizer and engine."""

from typing import Any, get_args

import streamlit as st

from frontend.screens.form import Form
from pairlab.experiment.training import Pretraining

OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD with momentum", "lars": "LARS, for large batches"}
SCHEDULES = {
    "cosine": "half a cosine to zero",
    "milestones": "a tenth from 60 %, a hundredth from 80 %",
    "constant": "stays as it is",
}
PRECISIONS = {
    "auto": "by the hardware",
    "float32": "float32",
    "bfloat16": "bfloat16",
    "float16": "float16, on a GPU",
}
COMPILING = {"auto": "where it pays", "never": "never", "always": "always"}


def show_training_fields(form: Form, training: Pretraining) -> None:
    """Shows optimizer and learning rate, and beneath them what is changed less often; steps and batch are elsewhere.

    Args:
        form: takes the edits, of the file's `pretraining`.
        training: its values.
    """
    left, right = st.columns(2)
    with left:
        _option(form, "Optimizer", "optimizer", training, OPTIMIZERS)
        _option(form, "Learning rate after the warm-up", "schedule", training, SCHEDULES)
    with right:
        form.number(
            "Learning rate",
            ("pretraining", "learning_rate"),
            training.learning_rate,
            min_value=1e-8,
            max_value=100.0,
        )
        scaled = st.toggle(
            "It is given for 256 images",
            training.scale_learning_rate,
            key=form.key("pretraining", "scale_learning_rate"),
            help="As the papers give theirs: it is multiplied by the pairs in a step / 256.",
        )
        form.note(
            ("pretraining", "scale_learning_rate"),
            scaled,
            training.scale_learning_rate,
            default=_default("scale_learning_rate"),
        )
    with st.expander("Warm-up, weight decay, memory and precision"):
        left, right = st.columns(2)
        with left:
            _number(form, "Warm-up, steps", "warmup_steps", training, min_value=0, step=10)
            _number(form, "Weight decay", "weight_decay", training, min_value=0.0, max_value=1.0)
            if training.optimizer != "adamw":
                _number(form, "Momentum", "momentum", training, min_value=0.0, max_value=1.0, step=0.01)
            _number(form, "Steps between checkpoints", "checkpoint_every", training, min_value=1, step=50)
        with right:
            _number(
                form,
                "Parts of a step",
                "parts",
                training,
                min_value=1,
                max_value=max(1, training.batch_size // 2),
                step=1,
                help="The images go through the network in so many parts, which takes that much less memory and one "
                "more forward pass. The loss is that of the whole batch, with all its negatives.",
            )
            _option(form, "Precision", "precision", training, PRECISIONS)
            _option(form, "Compile the network", "compile", training, COMPILING)


def _option(form: Form, label: str, name: str, training: Pretraining, words: dict[str, str]) -> None:
    form.option(
        label,
        ("pretraining", name),
        getattr(training, name),
        get_args(Pretraining.model_fields[name].annotation),
        default=_default(name),
        shown=words.__getitem__,
        restructures=name == "optimizer",
    )


def _number(form: Form, label: str, name: str, training: Pretraining, **options: Any) -> None:  # noqa: ANN401
    value = getattr(training, name)
    if isinstance(value, float) and "step" not in options:
        options["step"] = value / 10 or 1e-5
    form.number(label, ("pretraining", name), value, default=_default(name), **options)


def _default(name: str) -> object:
    return Pretraining.model_fields[name].default
