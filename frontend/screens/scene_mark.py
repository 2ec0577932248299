"""What the user thinks of a scene: a flag and a note."""

import streamlit as st

from frontend.cached_answers import forget_marks
from frontend.connection import ApiProblem
from frontend.page import client, show_problem
from frontend.scene_records import Dataset, SceneDetail
from frontend.wording import moment

MOST_CHARACTERS = 2000


def show_flag(dataset: Dataset, scene: SceneDetail) -> None:
    """Shows the button that flags the scene, or takes its flag off."""
    flagged, note = mark_of(scene)
    if st.button(
        "Flagged" if flagged else "Flag",
        key="scene-flag",
        icon=":material/flag:",
        type="primary" if flagged else "secondary",
        help="Flagged scenes can be listed, exported and left out of experiments.",
    ):
        keep(dataset, scene, flagged=not flagged, note=note)


def show_note(dataset: Dataset, scene: SceneDetail) -> None:
    """Shows the note for editing."""
    flagged, note = mark_of(scene)
    with st.form(f"note-{scene['name']}", border=False):
        text = st.text_area(
            "Note",
            note,
            key=f"note-text-{scene['name']}",
            max_chars=MOST_CHARACTERS,
            height=80,
            placeholder="What is to be remembered of this pair",
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            saved = st.form_submit_button("Save note", key="scene-note-save")
            if scene["mark"] is not None:
                st.caption(f"marked {moment(scene['mark']['updated_at'])}")
    if saved:
        keep(dataset, scene, flagged=flagged, note=text.strip())


def mark_of(scene: SceneDetail) -> tuple[bool, str]:
    """Returns flag and note."""
    mark = scene["mark"]
    return (False, "") if mark is None else (mark["flagged"], mark["note"])


def keep(dataset: Dataset, scene: SceneDetail, *, flagged: bool, note: str) -> None:
    """Keeps flag and note, or says why that was refused."""
    try:
        if flagged or note:
            client().mark(dataset["name"], scene["name"], flagged=flagged, note=note)
        elif scene["mark"] is not None:
            client().unmark(dataset["name"], scene["name"])
    except ApiProblem as problem:
        show_problem(problem)
    else:
        forget_marks()
        st.rerun()
