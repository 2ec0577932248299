"""Answers of the API that a screen asks for again and again, kept for a short while."""

import streamlit as st

from frontend.connection import find_endpoint
from frontend.page import POLL_SECONDS, client
from frontend.scene_query import SceneQuery
from frontend.scene_records import Dataset, DatasetReport, Distribution, SceneDetail
from frontend.score_records import ScoreCurve

SECONDS = 60.0


# The functions at the end are kept by all their arguments: another API, or another content of the dataset, is asked.


def report_of(dataset: Dataset) -> DatasetReport:
    """Returns a dataset's report; while it is being indexed, one of a moment ago at most."""
    if dataset["state"] == "indexing":
        return _fresh_report(find_endpoint().url, dataset["name"])
    return _report(find_endpoint().url, _identity(dataset), dataset["name"])


def distribution_of(dataset: Dataset, query: SceneQuery) -> Distribution:
    """Returns how the scenes that pass a filter are spread."""
    if dataset["state"] == "indexing":
        return client().distribution(dataset["name"], query)
    return _distribution(find_endpoint().url, _identity(dataset), dataset["name"], query)


def scene_of(dataset: Dataset, name: str, query: SceneQuery) -> SceneDetail:
    """Returns one scene and its place among those that pass a filter."""
    if dataset["state"] == "indexing":
        return client().scene(dataset["name"], name, query)
    return _scene(find_endpoint().url, _identity(dataset), dataset["name"], name, query)


def score_curve_of(dataset: Dataset, score: str, *, chip_size: int, min_changed_pixels: int) -> ScoreCurve:
    """Returns how well a finished change score tells noisy chips from clean ones."""
    return _score_curve(find_endpoint().url, _identity(dataset), dataset["name"], score, chip_size, min_changed_pixels)


def forget_marks() -> None:
    """Forgets the answers that a mark may have changed."""
    _distribution.clear()
    _scene.clear()


def _identity(dataset: Dataset) -> str:
    return f"{dataset['fingerprint']} {dataset['state']}"


@st.cache_data(max_entries=32, ttl=SECONDS, show_spinner=False)
def _report(url: str, identity: str, name: str) -> DatasetReport:  # noqa: ARG001
    return client().report(name)


@st.cache_data(max_entries=32, ttl=POLL_SECONDS, show_spinner=False)
def _fresh_report(url: str, name: str) -> DatasetReport:  # noqa: ARG001
    return client().report(name)


@st.cache_data(max_entries=128, ttl=SECONDS, show_spinner=False)
def _distribution(url: str, identity: str, name: str, query: SceneQuery) -> Distribution:  # noqa: ARG001
    return client().distribution(name, query)


@st.cache_data(max_entries=128, ttl=SECONDS, show_spinner=False)
def _scene(url: str, identity: str, dataset: str, name: str, query: SceneQuery) -> SceneDetail:  # noqa: ARG001
    return client().scene(dataset, name, query)


@st.cache_data(max_entries=128, ttl=SECONDS, show_spinner=False)
def _score_curve(
    url: str,  # noqa: ARG001
    identity: str,  # noqa: ARG001
    dataset: str,
    score: str,
    chip_size: int,
    min_changed_pixels: int,
) -> ScoreCurve:
    return client().score_curve(dataset, score, chip_size=chip_size, min_changed_pixels=min_changed_pixels)
