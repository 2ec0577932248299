"""The fields of a contrastive method and its loss: of the experiment, or of one arm."""

from collections.abc import Callable

import streamlit as st

from frontend.draft import Path
from frontend.screens.form import Form
from pairlab.experiment.methods import ChangeWeight, Method, PixelInfoNCE

METHODS = {
    "pixel_infonce": "Pixel InfoNCE (dense)",
    "densecl": "DenseCL (dense, momentum copy and queue)",
    "pixpro": "PixPro (dense, momentum copy)",
    "vicregl": "VICRegL (dense)",
    "simclr": "SimCLR (global)",
    "moco": "MoCo v2 (global, momentum copy and queue)",
    "byol": "BYOL (global, momentum copy)",
    "simsiam": "SimSiam (global)",
    "vicreg": "VICReg (global)",
    "barlow_twins": "Barlow Twins (global)",
    "seco": "SeCo (global, pairs of two dates)",
}
MAIN_FIELDS = {
    "densecl": {
        "temperature": "Temperature τ",
        "dense_weight": "Weight of the dense loss λ",
        "queue_size": "Keys in a queue",
    },
    "pixpro": {
        "threshold": "Threshold T, cell diagonals",
        "match_tolerance_px": "… or pixels, if more",
        "momentum": "Momentum at the start",
    },
    "vicregl": {
        "alpha": "Weight of the global loss α",
        "location_matches": "Matches by place",
        "feature_matches": "Matches by features",
    },
    "simclr": {"temperature": "Temperature τ"},
    "seco": {"temperature": "Temperature τ", "momentum": "Momentum", "queue_size": "Keys in a queue"},
    "vicreg": {
        "invariance_weight": "Weight of invariance λ",
        "variance_weight": "Weight of variance μ",
        "covariance_weight": "Weight of covariance ν",
    },
    "barlow_twins": {"redundancy_weight": "Weight of redundancy λ"},
    "simsiam": {"embedding_dim": "Width of the projector", "predictor_dim": "Width of the bottleneck"},
    "byol": {"momentum": "Momentum at the start"},
    "moco": {"temperature": "Temperature τ", "momentum": "Momentum", "queue_size": "Keys in the queue"},
}
"""Of methods that match no pixels: the numbers worth a field; the others are edited in the file."""
MATCHING = {"geometric": "the same ground point", "feature": "the point with the most alike features"}


def show_method_fields(form: Form, path: Path, method: Method, key: Callable[[str], str]) -> None:
    """Shows a method's main numbers and, of a dense method, what is matched and what counts less.

    Args:
        form: takes the edits.
        path: of the method in the file.
        method: its values.
        key: returns a widget's key.
    """
    before = len(form.edits)
    if isinstance(method, PixelInfoNCE):
        left, right = st.columns(2)
        with left:
            form.option(
                "A pixel's positive",
                (*path, "matching"),
                method.matching,
                list(MATCHING),
                key=key("matching"),
                default="geometric",
                shown=MATCHING.__getitem__,
                restructures=True,
                help="By features, a pixel is matched with whatever looks most alike to the network (as in DenseCL), "
                "so a wrong pair may find a right partner.",
            )
        with right:
            form.number("Temperature τ", (*path, "temperature"), method.temperature, key=key("temperature"))
        show_change_weight(form, path, method, key)
    else:
        fields = MAIN_FIELDS[method.name]
        for column, (name, label) in zip(st.columns(len(fields)), fields.items(), strict=True):
            value = getattr(method, name)
            with column:
                # By method: a widget that outlives a change of method would carry its number over.
                form.number(label, (*path, name), value, key=key(f"{method.name}-{name}"), step=step_of(value))
    if len(form.edits) > before:
        form.edits[(*path, "name")] = method.name  # a file that left the method out has no name yet


def step_of(value: float) -> float:
    """Returns how far a click moves a number: by a tenth of it, a whole one by 1."""
    return 1 if isinstance(value, int) else value / 10 or 0.1


def show_change_weight(form: Form, path: Path, method: PixelInfoNCE, key: Callable[[str], str]) -> None:
    """Shows whether pixels that look changed count less, and from what difference on."""
    weight = method.change_weight
    left, right = st.columns(2, vertical_alignment="center")
    wanted = left.toggle(
        "Changed-looking pixels count less",
        weight is not None,
        key=key("change_weight"),
        help="A pixel pair's weight in the loss falls with the difference of its two images there; no labels needed.",
    )
    if wanted and weight is None:
        form.restructure((*path, "change_weight"), {"scale": ChangeWeight().scale})
    elif not wanted and weight is not None:
        form.restructure((*path, "change_weight"), None)
    elif weight is not None:
        with right:
            form.number(
                "Difference that counts 1/e",
                (*path, "change_weight", "scale"),
                weight.scale,
                key=key("scale"),
                min_value=0.01,
                max_value=100.0,
                step=0.1,
                help="In standard deviations of the images' bands, as the change score CVA measures it.",
            )
