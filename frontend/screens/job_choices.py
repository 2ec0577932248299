"""What a finished segmentation chose on validation scenes: the learning rate and the weights that were tested."""

from typing import Any

import streamlit as st

from frontend.api_records import JobDetail
from frontend.page import plain
from frontend.wording import grouped, points, protocol_words


def show_choices(job: JobDetail) -> None:
    """Shows a sentence or two per protocol; jobs of earlier versions of PairLab noted nothing of it."""
    for name, found in job["results"].get("protocols", {}).items():
        if checkpoint := found.get("checkpoint"):
            st.caption(plain(choice_words(name, checkpoint, found.get("learning_rates", []))))


def choice_words(protocol: str, checkpoint: dict[str, Any], tried: list[dict[str, Any]]) -> str:
    """Returns what was tested and what stood beside it.

    Args:
        protocol: its name.
        checkpoint: rule, learning rate and step, and the last and the best step with their validation mIoU.
        tried: the learning rates with their validation mIoU.
    """
    rule, other = checkpoint["rule"], "best" if checkpoint["rule"] == "last" else "last"
    chosen, beside = checkpoint[rule], checkpoint[other]
    said = (
        f"{protocol_words(protocol).capitalize()}: tested with the {rule} weights (step {grouped(chosen['step'])}, "
        f"validation mIoU {points(chosen['miou'])})"
    )
    if beside["step"] != chosen["step"]:
        said += f"; the {other} were those of step {grouped(beside['step'])} ({points(beside['miou'])})"
    if len(tried) > 1:
        listed = ", ".join(f"{each['learning_rate']:g} ({points(each['miou'])})" for each in tried)
        said += f". Learning rate {checkpoint['learning_rate']:g} was chosen by validation mIoU among {listed}"
    return f"{said}."
