"""What is known of a scene: change, offset, pixels per class, metadata of its acquisitions, its objects."""

from collections.abc import Mapping
from html import escape
from math import atan2, degrees, hypot
from typing import Any

import streamlit as st

from frontend.connection import ApiProblem
from frontend.page import client, facts, show_problem
from frontend.scene_records import Dataset, SceneDetail, SceneObject, Vector
from frontend.wording import grouped, percent, plural

ARROW_PIXELS = 20.0
"""Offset that the arrow's whole length stands for; what xBD's tall buildings reach."""
MOST_ROWS = 12


def show_facts(scene: SceneDetail) -> None:
    """Shows change, offset and pixels per class."""
    st.markdown("**Scene**")
    hidden = " (more may be hidden by un-classified objects)" if scene["unknown"] else ""
    facts(
        {
            "Split": scene["split"],
            "Event": scene["event"],
            "Size": f"{scene['width']} × {scene['height']} pixels",
            "Change share": percent(scene["change_share"], 2) + hidden,
            "Of object pixels": percent(scene["object_change_share"]),
            "Changed pixels": grouped(scene["changed_pixels"]),
            "Without data": percent(scene["no_data_share"]),
        }
    )
    st.markdown("**Offset**")
    show_offset(scene)
    if any(scene["class_pixels"].values()):
        st.markdown("**Pixels per class**")
        show_class_pixels(scene)
    if scene["attributes"]:
        with st.expander("Columns to filter and sort by"):
            facts({name: shown(scene["attributes"], name) for name in scene["attributes"]})


def show_offset(scene: SceneDetail) -> None:
    """Shows the estimated shift of the last acquisition against the first as an arrow and in numbers."""
    vector = scene["offset_vector"]
    if vector is None:
        st.caption("Not estimated (yet): it needs the pixels of both acquisitions.")
        return
    length = hypot(vector["y"], vector["x"])
    confidence = scene["offset_confidence"]
    doubtful = ": too low to be believed, so lists leave it out" if scene["offset"] is None else ""
    sure = (
        "" if confidence is None else f"<br><span class='pl-dim'>confidence {percent(confidence, 0)}{doubtful}</span>"
    )
    words = f"<b>{length:.1f} px</b> · x {signed_pixels(vector['x'])}, y {signed_pixels(vector['y'])}{sure}"
    st.html(f'<div class="pl-offset" data-testid="offset">{arrow(vector)}<div>{words}</div></div>')


def arrow(vector: Vector) -> str:
    """Returns the shift as an arrow in a dial whose rim stands for ARROW_PIXELS and all beyond."""
    length, turn = hypot(vector["y"], vector["x"]), degrees(atan2(vector["y"], vector["x"]))
    reach = 50 * min(length / ARROW_PIXELS, 1.0)
    return (
        f'<div class="dial"><div class="shaft" style="width:{reach:.1f}%;transform:rotate({turn:.1f}deg)"></div></div>'
    )


def signed_pixels(value: float) -> str:
    """Returns a coordinate of a shift with its sign."""
    return f"{value:+.1f}".replace("-", "−")


def show_class_pixels(scene: SceneDetail) -> None:
    """Shows a table: classes by acquisition."""
    pixels = scene["class_pixels"]
    classes = list(dict.fromkeys(name for counts in pixels.values() for name in counts))
    head = "".join(f"<th>{escape(acquisition)}</th>" for acquisition in pixels)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{grouped(counts.get(name, 0))}</td>" for counts in pixels.values())
        + "</tr>"
        for name in classes
        if any(counts.get(name) for counts in pixels.values())
    )
    st.html(f'<table class="pl-table"><tr><th>class</th>{head}</tr>{rows}</table>')


def show_metadata(scene: SceneDetail) -> None:
    """Shows what the dataset says of each acquisition, side by side; what differs is marked."""
    known = {acquisition: values for acquisition, values in scene["metadata"].items() if values}
    if not known:
        return
    names = list(dict.fromkeys(name for values in known.values() for name in values))
    differing = [name for name in names if len({shown(values, name) for values in known.values()}) > 1]
    with st.expander(f"Acquisitions, {plural(len(differing), 'difference')}", expanded=True, key="scene-metadata"):
        head = "".join(f"<th>{escape(acquisition)}</th>" for acquisition in known)
        rows = "".join(
            f"<tr{differs(name in differing)}><td>{escape(name.replace('_', ' '))}</td>"
            + "".join(f"<td>{escape(shown(values, name))}</td>" for values in known.values())
            + "</tr>"
            for name in names
        )
        st.html(
            '<div class="pl-scroll"><table class="pl-table pl-metadata" data-testid="metadata">'
            f"<tr><th></th>{head}</tr>{rows}</table></div>"
        )


def differs(is_different: bool) -> str:
    """Returns the attributes of a row."""
    return ' class="differs" title="differs between the acquisitions"' if is_different else ""


def shown(values: Mapping[str, Any], name: str) -> str:
    """Returns a value as text, a dash where there is none."""
    value = values.get(name)
    if value is None or value == "":
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def show_objects(dataset: Dataset, scene: SceneDetail) -> None:
    """Shows a table of the labelled objects, which is asked for once it is opened."""
    if not dataset["object_classes"]:
        return
    count = sum(scene["objects"].values())
    box = st.expander(f"{plural(count, 'object')} with their attributes", key="scene-objects", on_change="rerun")
    if not box.open:
        return
    with box:
        try:
            found = {each: client().objects(dataset["name"], scene["name"], each) for each in scene["acquisitions"]}
        except ApiProblem as problem:
            show_problem(problem)
            return
        rows = object_rows(found)
        if not rows:
            st.caption("No object is labelled here.")
            return
        st.dataframe(
            rows,
            hide_index=True,
            key="scene-object-table",
            height="content" if len(rows) <= MOST_ROWS else 420,
            alt="Objects of the scene with their class and area per acquisition",
        )


def object_rows(found: Mapping[str, list[SceneObject]]) -> list[dict[str, object]]:
    """Returns a row per object: its class and area in each acquisition; what changed its class comes first."""
    rows: dict[str, dict[str, object]] = {}
    for acquisition, objects in found.items():
        for each in objects:
            row = rows.setdefault(each["name"], {"object": each["name"]})
            row[f"class, {acquisition}"] = each["kind"]
            row[f"area, {acquisition}"] = round(each["area"])
    columns = ["object", *(f"{what}, {acquisition}" for acquisition in found for what in ("class", "area"))]
    full = [{column: row.get(column) for column in columns} for row in rows.values()]
    kinds = [column for column in columns if column.startswith("class, ")]
    return sorted(full, key=lambda row: (len({row[kind] for kind in kinds}) == 1, str(row["object"])))
