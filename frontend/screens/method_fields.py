"""The fields of a contrastive method and its loss: of the experiment, or of one arm."""

from collections.abc import Callable
from typing import get_args

import streamlit as st

from frontend.draft import Path
from frontend.screens.form import Form
from pairlab.experiment.methods import ChangeWeight, DenseCL, GridStride, Method, PixelInfoNCE, PixPro, VICRegL

METHODS = {
    "pixel_infonce": "Pixel InfoNCE (dense)",
    "densecl": "DenseCL (dense, momentum copy)",
    "pixpro": "PixPro (dense, momentum copy)",
    "vicregl": "VICRegL (dense)",
    "simclr": "SimCLR (global)",
    "moco": "MoCo v2 (global, momentum copy)",
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
        "place_steps": "Steps matched by place",
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
    "seco": {"temperature": "Temperature τ", "momentum": "Momentum", "queue_size": "Keys in a queue, 0 for none"},
    "vicreg": {
        "invariance_weight": "Weight of invariance λ",
        "variance_weight": "Weight of variance μ",
        "covariance_weight": "Weight of covariance ν",
    },
    "barlow_twins": {"redundancy_weight": "Weight of redundancy λ"},
    "simsiam": {"embedding_dim": "Width of the projector", "predictor_dim": "Width of the bottleneck"},
    "byol": {"momentum": "Momentum at the start"},
    "moco": {"temperature": "Temperature τ", "momentum": "Momentum", "queue_size": "Keys in the queue, 0 for none"},
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
        left, right = st.columns(2)
        with left:
            show_grid(form, path, method, key)
        if method.matching == "geometric":
            with right:
                form.number(
                    "Match tolerance, pixels",
                    (*path, "match_tolerance_px"),
                    method.match_tolerance_px,
                    key=key("tolerance"),
                    default=0.0,
                    min_value=0.0,
                    max_value=128.0,
                    step=1.0,
                    help="Positives are all cells within this distance on the ground: images of two dates are offset "
                    "by 3 to 20 pixels on xBD. 0 takes the one cell at the same place.",
                )
        show_change_weight(form, path, method, key)
    else:
        fields = MAIN_FIELDS[method.name]
        for column, (name, label) in zip(st.columns(len(fields)), fields.items(), strict=True):
            value = getattr(method, name)
            with column:
                # By method: a widget that outlives a change of method would carry its number over.
                form.number(label, (*path, name), value, key=key(f"{method.name}-{name}"), step=step_of(value))
        if isinstance(method, DenseCL | PixPro | VICRegL):
            left, right = st.columns(2)
            with left:
                show_grid(form, path, method, key)
            if isinstance(method, VICRegL):
                with right:
                    show_limit(form, path, method, key)
    if len(form.edits) > before:
        form.edits[(*path, "name")] = method.name  # a file that left the method out has no name yet


def show_grid(
    form: Form, path: Path, method: PixelInfoNCE | DenseCL | PixPro | VICRegL, key: Callable[[str], str]
) -> None:
    """Shows how large the cells of a dense method's grid are."""
    sides = get_args(GridStride)
    chosen = st.selectbox(
        "Side of a cell, pixels",
        sides,
        index=sides.index(method.grid_stride),
        key=key(f"{method.name}-grid_stride"),
        help="A coarser grid forgives larger offsets of the two images, and costs less.",
    )
    form.note(
        (*path, "grid_stride"), chosen, method.grid_stride, default=type(method).model_fields["grid_stride"].default
    )


def show_limit(form: Form, path: Path, method: VICRegL, key: Callable[[str], str]) -> None:
    """Shows how far apart cells matched by place may lie; an empty field is the diagonal of the larger cell."""
    chosen = st.number_input(
        "Match tolerance, pixels",
        min_value=0.1,
        max_value=128.0,
        value=method.match_tolerance_px,
        step=1.0,
        format="%.6g",
        key=key(f"{method.name}-match_tolerance_px"),
        placeholder="diagonal of the larger cell",
        help="How far apart cells matched by place may lie on the ground.",
    )
    form.note((*path, "match_tolerance_px"), chosen, method.match_tolerance_px)


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
