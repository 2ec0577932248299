"""The router: which screens there are, and the one boundary that turns problems into sentences."""

from pathlib import Path

import streamlit as st

from frontend.page import problems_in_sentences, screen

ASSETS = Path(__file__).parent / "assets"
SCREENS = (
    ("pairs", "Pairs", ":material/compare:"),
    ("design", "Design", ":material/tune:"),
    ("jobs", "Jobs", ":material/monitoring:"),
    ("compare", "Compare", ":material/scatter_plot:"),
    ("inspect", "Inspect", ":material/layers:"),
    ("datasets", "Datasets", ":material/folder_open:"),
)

st.set_page_config(page_title="PairLab", page_icon=str(ASSETS / "mark.svg"), layout="wide")
st.logo(str(ASSETS / "wordmark.svg"), size="large")
pages = [
    st.Page(screen(name), title=title, icon=icon, url_path=name, default=position == 0)
    for position, (name, title, icon) in enumerate(SCREENS)
]
st.html(ASSETS / "style.css")
page = st.navigation(pages, position="top")
with problems_in_sentences():
    page.run()
