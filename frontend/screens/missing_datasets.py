"""Datasets that the file names and nobody has registered: how to get them."""

from collections.abc import Collection

import streamlit as st

from frontend.connection import ApiProblem
from frontend.page import client, empty, plain, show_problem
from pairlab.experiment.experiment import Experiment
from pairlab.experiment.problems import ExperimentError
from pairlab.experiment.registrations import Registration, registrations_of


def missing_datasets(experiment: Experiment, registered: Collection[str]) -> list[str]:
    """Returns the datasets that an experiment and its arms name and that are not registered, in their order."""
    named = [experiment.dataset, *(arm.dataset for arm in experiment.arms.values() if arm.dataset is not None)]
    return [name for name in dict.fromkeys(named) if name not in registered]


def show_missing_datasets(names: list[str], text: str) -> None:
    """Says which datasets are not registered; rendered scenes that the file's comments describe are a click away."""
    offered = [each for each in _described(text) if each.name in names]
    listed = ", ".join(f"**{plain(name)}**" for name in names)
    one = len(names) == 1
    said = f"The file names {listed}, which {'is' if one else 'are'} not registered here."
    if not offered:
        title = "Dataset not registered" if one else "Datasets not registered"
        empty(title, f"{said} Register it, or choose another one.", page="datasets", label="Register a dataset")
        return
    empty("Scenes not registered", f"{said} The file's comments say which scenes are meant; they are rendered here.")
    label = f"Register {' and '.join(each.name for each in offered)}" if len(offered) < 3 else "Register them all"
    if st.button(label, key="design-register", type="primary", icon=":material/add:"):
        _register(offered)


def _described(text: str) -> tuple[Registration, ...]:
    try:
        return registrations_of(text)
    except ExperimentError:  # comments are the user's own words
        return ()


def _register(offered: list[Registration]) -> None:
    try:
        for each in offered:
            client().create_dataset(each.name, each.config.model_dump(mode="json"))
    except ApiProblem as problem:
        show_problem(problem)
    else:
        st.rerun()
