"""The fields of the augmentation: how far each view may differ from its chip."""

import streamlit as st

from frontend.screens.form import Form
from pairlab.experiment.training import Augmentation

PATH = ("pretraining", "augmentation")
RGB_ALONE = "Without effect on scenes that have not three bands."
FACTORS = {
    "brightness": ("Brightness, ± %", "Largest change of light."),
    "contrast": ("Contrast, ± %", "Largest change of contrast."),
    "saturation": ("Saturation, ± %", f"Largest change of saturation. {RGB_ALONE}"),
    "hue": ("Hue, ± % of the colour circle", f"Largest shift of hue: 10 % are 36 degrees. {RGB_ALONE}"),
    "grayscale": ("Grey views, %", f"How often a view loses its colours. {RGB_ALONE}"),
    "blur": ("Blurred views, %", "How often a view is blurred by a Gaussian."),
}
"""Label and help of what is a share."""
MOST = {"hue": 50}


def show_augmentation_fields(form: Form, augmentation: Augmentation) -> None:
    """Shows every knob of the augmentation, folded in while all are the defaults.

    Args:
        form: takes the edits, of the file's `pretraining.augmentation`.
        augmentation: its values.
    """
    with st.expander("Augmentation of the views", expanded=augmentation != Augmentation()):
        show_crop(form, augmentation)
        flips = st.toggle(
            "Flips and quarter turns",
            augmentation.flips,
            key=form.key(*PATH, "flips"),
            help="Overhead images have no up.",
        )
        form.note((*PATH, "flips"), flips, augmentation.flips, default=_default("flips"))
        for place, (name, (label, help)) in enumerate(FACTORS.items()):
            if place % 2 == 0:  # row by row, which is the order on a narrow screen too
                columns = st.columns(2)
            with columns[place % 2]:
                form.percent(
                    label,
                    (*PATH, name),
                    getattr(augmentation, name),
                    key=form.key(*PATH, name),
                    default=_default(name),
                    help=help,
                    most=MOST.get(name, 100),
                    step=1 if name in MOST else 5,
                )


def show_crop(form: Form, augmentation: Augmentation) -> None:
    """Shows the smallest and the largest crop; a share between whole percents stays until it is moved."""
    low, high = augmentation.crop_scale
    at = (max(1, round(100 * low)), max(1, round(100 * high)))
    moved = st.slider(
        "Area of a crop, % of the chip",
        1,
        100,
        at,
        key=form.key(*PATH, "crop_scale"),
        help="Each view is a crop of an area between the two, enlarged to the size of the chip.",
    )
    new = [old if part == was else part / 100 for old, part, was in zip((low, high), moved, at, strict=True)]
    form.note((*PATH, "crop_scale"), new, [low, high], default=list(Augmentation().crop_scale))


def _default(name: str) -> object:
    return Augmentation.model_fields[name].default
