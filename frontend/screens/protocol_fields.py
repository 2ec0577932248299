"""The fields of the downstream protocols: which there are, and how each is trained."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from frontend.screens.form import Form
from frontend.wording import protocol_words
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.protocols import FineTuning, LinearProbe, Protocol, SmallDecoder

PROTOCOLS: dict[str, type[LinearProbe | SmallDecoder | FineTuning]] = {
    "linear_probe": LinearProbe,
    "small_decoder": SmallDecoder,
    "fine_tuning": FineTuning,
}
MEANINGS = {
    "linear_probe": "A linear classifier on the frozen network.",
    "small_decoder": "A small decoder on the frozen encoder.",
    "fine_tuning": "The whole network is trained.",
}
LOSSES = {
    "cross_entropy": "cross-entropy",
    "focal": "focal (rare classes)",
    "dice": "dice (overlap)",
    "cross_entropy_dice": "cross-entropy + dice",
}
WEIGHTS = {"equal": "alike", "balanced": "by the inverse of their pixels", "given": "as given below"}
RULES = {"last": "the last step's", "best": "the best on validation scenes"}
Values = dict[str, Any]


def show_protocols(form: Form, protocols: Sequence[Protocol], classes: Sequence[str]) -> None:
    """Shows which protocols there are and, folded in while they are the defaults, how each is trained.

    Args:
        form: takes the edit, of the file's `protocols`.
        protocols: its values.
        classes: names of the classes, for weights; none where they are not known.
    """
    present: dict[str, Protocol] = {protocol.name: protocol for protocol in protocols}
    names = st.multiselect(
        "Protocols, the last one primary",
        list(PROTOCOLS),
        list(present),
        format_func=protocol_words,
        key=form.key("protocols"),
        help="Each starts from the same weights and the same labels, in every arm.",
    )
    changed = [show_protocol(form, name, present.get(name) or PROTOCOLS[name](), classes) for name in names]
    old = [_written(each) for each in protocols]
    form.note(("protocols",), changed, old)


def show_protocol(form: Form, name: str, protocol: Protocol, classes: Sequence[str]) -> Values:
    """Shows the fields of one protocol and returns it as the file is to have it."""
    fields = _Fields(form, protocol)
    fields.number("steps", f"Steps of {protocol_words(name)}", step=50, min_value=1)
    usual = not set(_written(protocol)) - {"name", "steps", "evaluate_every"}
    with st.expander(f"How {protocol_words(name)} is trained", expanded=not usual):
        st.caption(MEANINGS[name])
        left, right = st.columns(2)
        with left:
            show_rates(fields)
            fields.choice("loss", "Loss", LOSSES)
            fields.choice("checkpoint", "Weights that are tested", RULES, help=_RULE_HELP)
            fields.number("evaluate_every", "Steps between looks at validation", min_value=1, step=10)
            if isinstance(protocol, SmallDecoder):
                fields.number("channels", "Channels of the decoder", min_value=8, max_value=1024, step=8)
        with right:
            fields.number("batch_size", "Chips in a step", min_value=1, step=8)
            if not isinstance(protocol, LinearProbe):
                fields.number("weight_decay", "Weight decay", min_value=0.0, max_value=1.0)
            show_weights(fields, classes)
    return fields.values


_RULE_HELP = (
    "Declared before the run; the other one's validation mIoU is told beside it. Test scenes are predicted once, under "
    "this rule."
)


def show_rates(fields: "_Fields") -> None:
    """Shows one learning rate, or several to search among."""
    protocol = fields.protocol
    shown = ", ".join(f"{rate:g}" for rate in protocol.rates)
    text = st.text_input(
        "Learning rate, or several to try",
        shown,
        key=fields.key("learning_rate"),
        help="Several, as in 0.001, 0.01, are each trained in full in every arm; the one of the highest validation "
        "mIoU is tested.",
    )
    try:
        rates = parse_rates(text)
    except ExperimentError as error:
        fields.form.problems += [f"{protocol_words(protocol.name)}: {problem}" for problem in error.problems]
        return
    if len(rates) > 1:
        st.caption(f"{len(rates)} rates: {len(rates) * protocol.steps:,} steps in each job")
    if rates == [float(f"{rate:g}") for rate in protocol.rates]:
        return
    for field in ("learning_rate", "learning_rates"):
        fields.values.pop(field, None)
    if len(rates) > 1:
        fields.values["learning_rates"] = rates
    else:
        fields.put("learning_rate", rates[0])


def parse_rates(text: str) -> list[float]:
    """Returns the rates of a list, separated by commas or white space; raises ExperimentError."""
    parts = text.replace(",", " ").split()
    try:
        rates = [float(part) for part in parts]
    except ValueError as error:
        raise ExperimentError([f"learning rates are numbers, as in 0.001, 0.01; got {text!r}"]) from error
    if not rates or not all(0 < rate <= 10 for rate in rates) or len(set(rates)) != len(rates) or len(rates) > 8:
        raise ExperimentError([f"learning rates are one to eight different numbers above 0, up to 10; got {text!r}"])
    return rates


def show_weights(fields: "_Fields", classes: Sequence[str]) -> None:
    """Shows what classes weigh in the loss, and a number for each where they are given."""
    old = fields.protocol.class_weights
    kind = old if isinstance(old, str) else "given"
    chosen = st.selectbox(
        "Classes weigh",
        list(WEIGHTS),
        index=list(WEIGHTS).index(kind),
        format_func=WEIGHTS.__getitem__,
        key=fields.key("class_weights"),
    )
    if chosen != "given":
        if chosen != kind:
            fields.put("class_weights", chosen)
        return
    given = {} if isinstance(old, str) else dict(old)
    new = {}
    for name in dict.fromkeys([*classes, *given]):
        weight = st.number_input(
            f"Weight of {name}",
            0.0001,
            10_000.0,
            float(given.get(name, 1.0)),
            step=0.5,
            format="%g",
            key=fields.key("class_weights", name),
        )
        if weight != 1 or name in given:
            new[name] = weight
    if new != given and new:
        fields.values["class_weights"] = new


class _Fields:
    """The fields of one protocol; `values` is what the file is to have, without what is the default."""

    def __init__(self, form: Form, protocol: Protocol) -> None:
        self.form, self.protocol = form, protocol
        self.values = _written(protocol)

    def key(self, *path: str) -> str:
        return self.form.key("protocols", self.protocol.name, *path)

    def put(self, field: str, value: object) -> None:
        """Takes a value over; the default leaves the file."""
        if value == type(self.protocol).model_fields[field].default:
            self.values.pop(field, None)
        else:
            self.values[field] = value

    def number(self, field: str, label: str, **options: Any) -> None:  # noqa: ANN401  (Streamlit's own)
        old = getattr(self.protocol, field)
        if isinstance(old, float):
            options = {"format": "%.6g", "step": old / 10 or 1e-4, **options}
        new = st.number_input(label, value=old, key=self.key(field), **options)
        if new != old:
            self.put(field, new)

    def choice(self, field: str, label: str, words: dict[str, str], *, help: str | None = None) -> None:
        old = getattr(self.protocol, field)
        options = list(words)
        new = st.selectbox(
            label, options, index=options.index(old), format_func=words.__getitem__, key=self.key(field), help=help
        )
        if new != old:
            self.put(field, new)


def _written(protocol: Protocol) -> Values:
    """Returns a protocol as the file has it."""
    return {"name": protocol.name, **protocol.model_dump(mode="json", exclude_unset=True)}
